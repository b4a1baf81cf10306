// What follows from a stream's state.

// For the colour of its dot: the state, "paused" where only the analysis is, "unknown" while the server is not heard.
export function dotOf(stream, linked) {
  if (!linked) return "unknown";
  return stream.settings.paused && stream.state === "live" ? "paused" : stream.state;
}

export function aspectOf(stream) {
  return stream.source ? stream.source.width / stream.source.height : 16 / 9;
}

// Whether a time in its source means something: a file has a beginning, a camera has the clock alone.
export const isFile = ({ address }) => !/^[a-z][\w+.-]*:/i.test(address) && !address.startsWith("/dev/");
