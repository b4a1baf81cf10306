// A colour for each label, the same on every page and day; bright enough for dark words on it.

const COLOURS = [
  "#5cc8ff", "#ffb454", "#7ee787", "#ff8fa3", "#c4a7ff", "#ffe066",
  "#4fd6c2", "#ff9ff3", "#a8d672", "#ff9e6b", "#8fb3ff", "#e0c3a0",
];
// The first labels of street scenes get colours that are far apart.
const KNOWN = ["person", "car", "bus", "truck", "bicycle", "motorcycle", "dog", "cat", "traffic light", "bird"];

export const INK = "#0b0f14";

export function colourOf(label) {
  const known = KNOWN.indexOf(label);
  if (known >= 0) return COLOURS[known];
  let hash = 7;
  for (const letter of label) hash = (hash * 31 + letter.codePointAt(0)) >>> 0;
  return COLOURS[hash % COLOURS.length];
}
