// What follows from a stream's state.

export function aspectOf(stream) {
  return stream.source ? stream.source.width / stream.source.height : 16 / 9;
}

// Seconds usually between two results.
export function intervalOf(stream) {
  const answered = stream.analysed_fps + stream.reused_fps;
  return 1 / Math.max(0.01, Math.min(answered || stream.settings.fps, stream.settings.fps));
}
