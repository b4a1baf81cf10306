// The picture that is shown at this moment, kept: later ones do not change it.

// {bitmap (a canvas), width, height, captured, mediaSeconds}: shown is what Player.shown gives; aspect: width / height of
// the source; most: pixels across beyond which it is made smaller.
export function keepShown(shown, aspect, most = Infinity) {
  const whole = shown.bitmap.displayHeight ?? shown.bitmap.height;
  const width = Math.max(1, Math.round(Math.min(most, whole * aspect)));
  const height = Math.max(1, Math.round(width / aspect));
  return { ...shown, bitmap: layers([shown.bitmap], width, height), width, height };
}

// A file of the picture, "image/png" or "image/jpeg"; over: further canvases, drawn over the whole of it.
export function fileOf({ bitmap, width, height }, type, over = []) {
  return new Promise((resolve) => layers([bitmap, ...over], width, height).toBlob(resolve, type, 0.95));
}

function layers(pictures, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  for (const picture of pictures) context.drawImage(picture, 0, 0, width, height);
  return canvas;
}
