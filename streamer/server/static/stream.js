// What follows from a stream's state.

export function aspectOf(stream) {
  return stream.source ? stream.source.width / stream.source.height : 16 / 9;
}

// Seconds usually between two results.
export function intervalOf(stream) {
  return 1 / Math.max(0.01, Math.min(stream.analysed_fps || stream.settings.fps, stream.settings.fps));
}
