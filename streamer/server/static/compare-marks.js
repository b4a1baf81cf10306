// Marks on a picture where two answers' boxes differ: dashed with + what only this one has, dotted with − what only the
// first one has.

import { el } from "./dom.js";
import { fit, place } from "./fit.js";

const NONE = { more: [], less: [] };

export class Marks {
  #canvas = el("canvas", { class: "marks", "aria-hidden": "true" });
  #shown = NONE;
  #aspect = 16 / 9;

  constructor(root) {
    this.root = root;
    root.append(this.#canvas);
    new ResizeObserver(() => this.#draw()).observe(root);
  }

  // boxes: {more, less}, or null.
  show(boxes, aspect) {
    this.#shown = boxes ?? NONE;
    this.#aspect = aspect;
    this.#draw();
  }

  #draw() {
    const ratio = devicePixelRatio || 1;
    const canvas = this.#canvas;
    canvas.width = Math.max(1, Math.round(this.root.clientWidth * ratio));
    canvas.height = Math.max(1, Math.round(this.root.clientHeight * ratio));
    const context = canvas.getContext("2d");
    const picture = fit(canvas.width, canvas.height, this.#aspect);
    for (const [boxes, sign, dash] of [[this.#shown.more, "+", [9, 5]], [this.#shown.less, "−", [2, 5]]]) {
      for (const box of boxes) draw(context, place(box, picture), sign, dash.map((length) => length * ratio), ratio);
    }
  }
}

function draw(context, { left, top, width, height }, sign, dash, ratio) {
  const out = 3 * ratio;
  for (const [style, line] of [["rgb(8 11 15 / 80%)", 4.5], ["#ffffff", 2.5]]) {
    context.strokeStyle = style;
    context.lineWidth = line * ratio;
    context.lineCap = dash[0] < 4 * ratio ? "round" : "butt";
    context.setLineDash(dash);
    context.strokeRect(left - out, top - out, width + 2 * out, height + 2 * out);
  }
  context.setLineDash([]);
  const size = 18 * ratio;
  const x = Math.max(0, Math.min(left + width - size, context.canvas.width - size));
  const y = Math.max(0, Math.min(top + height - size, context.canvas.height - size));
  context.fillStyle = "#ffffff";
  context.fillRect(x, y, size, size);
  context.fillStyle = "#0b0f14";
  context.font = `700 ${16 * ratio}px system-ui, "DejaVu Sans", sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText(sign, x + size / 2, y + size / 2 + ratio);
}
