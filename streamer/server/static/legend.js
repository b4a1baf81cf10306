// The labels found in a frame, with their colours and numbers.

import { colourOf } from "./colours.js";
import { el } from "./dom.js";
import { labelCounts } from "./words.js";

export function legend(detections) {
  const line = el("div", { class: "entry-labels" });
  for (const [label, count] of labelCounts(detections)) {
    const swatch = el("i", { class: "swatch" });
    swatch.style.backgroundColor = colourOf(label);
    line.append(el("span", {}, swatch, count > 1 ? `${count} × ${label}` : label));
  }
  return line;
}
