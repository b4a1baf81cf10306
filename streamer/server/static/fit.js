// Where things go on a canvas. Numbers in, numbers out; all in device pixels.

// The largest place of that aspect in the middle of the canvas: {x, y, width, height}.
export function fit(canvasWidth, canvasHeight, aspect) {
  const width = Math.min(canvasWidth, canvasHeight * aspect);
  const height = width / aspect;
  return { x: (canvasWidth - width) / 2, y: (canvasHeight - height) / 2, width, height };
}

// Corners of a box, given in 0..1 of the picture, on the canvas.
export function place(box, picture) {
  const left = picture.x + box.x1 * picture.width;
  const top = picture.y + box.y1 * picture.height;
  const right = picture.x + box.x2 * picture.width;
  const bottom = picture.y + box.y2 * picture.height;
  return { left, top, width: Math.max(1, right - left), height: Math.max(1, bottom - top) };
}

// Where a label of that size is read best: above the box, else inside it, else below; inside the picture always, and
// not over another label where there is a choice.
export function placeLabel(width, height, box, picture, taken) {
  const bottom = box.top + box.height;
  const x = clamp(box.left, picture.x, picture.x + picture.width - width);
  const heights = [box.top - height, box.top, bottom, bottom - height];
  const inside = (y) => y >= picture.y - 0.5 && y + height <= picture.y + picture.height + 0.5;
  const free = (y) => !taken.some((other) => overlaps({ x, y, width, height }, other));
  const wanted = heights.find((y) => inside(y) && free(y)) ?? heights.find(inside) ?? box.top;
  return { x, y: clamp(wanted, picture.y, picture.y + picture.height - height), width, height };
}

function overlaps(a, b) {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

const clamp = (value, low, high) => Math.max(low, Math.min(value, high));
