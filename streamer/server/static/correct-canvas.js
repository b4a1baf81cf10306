// The boxes on the picture: those being corrected, with handles at the one in hand, and the model's own, dashed. Drawn,
// moved and resized by the pointer, or by keys.

import { colourOf, INK } from "./colours.js";
import { between, moved, resized } from "./correct-edit.js";
import { el } from "./dom.js";
import { fit, place, placeLabel } from "./fit.js";

const STEP = 0.005;
const LARGE = 0.05;
const NEAR = 11; // pixels around a handle that are the handle
const HANDLES = { nw: [0, 0], n: [0.5, 0], ne: [1, 0], e: [1, 0.5], se: [1, 1], s: [0.5, 1], sw: [0, 1], w: [0, 0.5] };
const CURSORS = { nw: "nwse-resize", se: "nwse-resize", ne: "nesw-resize", sw: "nesw-resize", n: "ns-resize", s: "ns-resize", e: "ew-resize", w: "ew-resize" };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// Those of the corners always, those of a side where it is long enough in CSS pixels.
const handlesOf = (width, height) => Object.entries(HANDLES).filter(([, [right, down]]) => (right !== 0.5 || width >= 40) && (down !== 0.5 || height >= 40));

export class CorrectCanvas {
  #edit = null;
  #model = [];
  #aspect = 16 / 9;
  #drag = null;
  #label;
  #onlabel;

  // label(): what a new box is called; onlabel(): somebody wants to name the box in hand.
  constructor(root, { label, onlabel, describedBy }) {
    this.#label = label;
    this.#onlabel = onlabel;
    this.canvas = el("canvas", { class: "correct-canvas", tabIndex: 0, role: "application", "aria-label": "Boxes on the picture", "aria-describedby": describedBy });
    root.append(this.canvas);
    this.root = root;
    new ResizeObserver(() => this.draw()).observe(root);
    this.canvas.addEventListener("keydown", (event) => this.#key(event));
    this.canvas.addEventListener("pointerdown", (event) => this.#down(event));
    this.canvas.addEventListener("pointermove", (event) => this.#move(event));
    this.canvas.addEventListener("pointerup", () => this.#up());
    this.canvas.addEventListener("pointercancel", () => this.#up(false));
    for (const kind of ["focus", "blur"]) this.canvas.addEventListener(kind, () => this.draw());
  }

  show(edit, model, aspect) {
    this.#edit = edit;
    this.#model = model;
    this.#aspect = aspect;
    edit.addEventListener("change", () => this.draw());
    this.draw();
  }

  // A box in the middle, to be moved from there.
  add() {
    const off = 0.02 * (this.#edit.boxes.length % 8);
    this.#edit.add(between(this.#label(), { x: 0.4 + off, y: 0.4 + off }, { x: 0.6 + off, y: 0.6 + off }));
  }

  #key(event) {
    const edit = this.#edit;
    if (event.key === "Tab") return this.#tab(event);
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in ARROWS && edit.box) {
      const [x, y] = ARROWS[event.key];
      if (event.shiftKey) edit.change(resized(edit.box, "se", x * STEP, y * STEP), "resize");
      else edit.change(moved(edit.box, x * STEP, y * STEP), "move");
    } else if ((event.key === "PageUp" || event.key === "PageDown") && edit.box) {
      const by = event.key === "PageUp" ? -LARGE : LARGE;
      edit.change(event.shiftKey ? resized(edit.box, "se", by, 0) : moved(edit.box, 0, by), "large");
    } else if (event.key === "Delete" || event.key === "Backspace") edit.remove();
    else if (event.key === "n" || event.key === "N") this.add();
    else if (event.key === "Enter" && edit.box) this.#onlabel();
    else return;
    event.preventDefault();
  }

  // From box to box; behind the last one, and before the first, the focus leaves as everywhere.
  #tab(event) {
    const next = this.#edit.selected + (event.shiftKey ? -1 : 1);
    if (next < 0 || next >= this.#edit.boxes.length) return;
    this.#edit.select(next);
    event.preventDefault();
  }

  #down(event) {
    if (event.button !== 0) return;
    const at = this.#at(event);
    const handle = this.#handleAt(at);
    const place = handle ? this.#edit.selected : this.#boxAt(at);
    if (!handle) this.#edit.select(place);
    this.#edit.rest();
    this.#drag = { at, handle, box: this.#edit.box, fresh: place < 0 };
    this.canvas.setPointerCapture(event.pointerId);
    this.canvas.focus();
    event.preventDefault();
  }

  #move(event) {
    const at = this.#at(event);
    if (!this.#drag) return this.#point(at);
    const { at: from, handle, box, fresh, kind } = this.#drag;
    const dx = at.x - from.x;
    const dy = at.y - from.y;
    if (fresh) {
      if (Math.hypot(dx * this.canvas.clientWidth, dy * this.canvas.clientHeight) < 5) return;
      this.#edit.add(between(this.#label(), from, at));
      const [x, y] = [dx < 0 ? "w" : "e", dy < 0 ? "n" : "s"];
      this.#drag = { at, handle: `${y}${x}`, box: this.#edit.box, fresh: false, kind: "draw" };
    } else if (box) this.#edit.change(handle ? resized(box, handle, dx, dy) : moved(box, dx, dy), kind ?? "drag");
  }

  // A box that was just drawn is named at once: typing is its label's, not the picture's.
  #up(done = true) {
    const drawn = done && this.#drag?.kind === "draw";
    this.#drag = null;
    this.#edit?.rest();
    if (drawn) this.#onlabel();
  }

  #point(at) {
    const handle = this.#handleAt(at);
    this.canvas.style.cursor = handle ? CURSORS[handle] : this.#boxAt(at) >= 0 ? "move" : "crosshair";
  }

  // Where the pointer is, in 0..1 of the picture.
  #at(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    const picture = fit(this.canvas.clientWidth, this.canvas.clientHeight, this.#aspect);
    const within = (value) => Math.min(1, Math.max(0, value));
    return { x: within((event.clientX - left - picture.x) / picture.width), y: within((event.clientY - top - picture.y) / picture.height) };
  }

  #handleAt({ x, y }) {
    const box = this.#edit?.box;
    if (!box) return null;
    const picture = fit(this.canvas.clientWidth, this.canvas.clientHeight, this.#aspect);
    const far = ([name, [right, down]]) => [name, Math.hypot((box.x1 + right * (box.x2 - box.x1) - x) * picture.width, (box.y1 + down * (box.y2 - box.y1) - y) * picture.height)];
    const [name, distance] = handlesOf((box.x2 - box.x1) * picture.width, (box.y2 - box.y1) * picture.height).map(far).sort((a, b) => a[1] - b[1])[0];
    const side = Math.min((box.x2 - box.x1) * picture.width, (box.y2 - box.y1) * picture.height);
    return distance <= Math.min(NEAR, Math.max(4, side / 3)) ? name : null; // the middle of a small one moves it
  }

  // The one in hand where it is there, else the smallest.
  #boxAt({ x, y }) {
    const holds = (box) => box.x1 <= x && x <= box.x2 && box.y1 <= y && y <= box.y2;
    const { boxes, selected, box } = this.#edit;
    if (box && holds(box)) return selected;
    const area = (place) => (boxes[place].x2 - boxes[place].x1) * (boxes[place].y2 - boxes[place].y1);
    return [...boxes.keys()].filter((place) => holds(boxes[place])).sort((a, b) => area(a) - area(b))[0] ?? -1;
  }

  draw() {
    if (!this.#edit) return;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [Math.max(1, Math.round(this.root.clientWidth * ratio)), Math.max(1, Math.round(this.root.clientHeight * ratio))];
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    const picture = fit(width, height, this.#aspect);
    this.#drawModel(pen, picture, ratio);
    const taken = [];
    this.#edit.boxes.forEach((box, number) => this.#drawBox(pen, picture, ratio, box, number === this.#edit.selected, taken));
  }

  #drawModel(pen, picture, ratio) {
    pen.save();
    pen.setLineDash([6 * ratio, 5 * ratio]);
    for (const [style, extra] of [["rgb(8 11 15 / 60%)", 1.5], ["#f2f6fa", 0]]) {
      pen.strokeStyle = style;
      pen.lineWidth = (1.5 + extra) * ratio;
      for (const found of this.#model) {
        const { left, top, width, height } = place(found, picture);
        pen.strokeRect(left, top, width, height);
      }
    }
    pen.restore();
  }

  #drawBox(pen, picture, ratio, box, chosen, taken) {
    const spot = place(box, picture);
    const colour = colourOf(box.label);
    for (const [style, extra] of [["rgb(8 11 15 / 60%)", 2], [colour, 0]]) {
      pen.strokeStyle = style;
      pen.lineWidth = ((chosen ? 3 : 2) + extra) * ratio;
      pen.strokeRect(spot.left, spot.top, spot.width, spot.height);
    }
    this.#drawLabel(pen, picture, ratio, box.label, colour, spot, taken);
    if (chosen) this.#drawHandles(pen, ratio, spot);
  }

  #drawLabel(pen, picture, ratio, label, colour, spot, taken) {
    const size = Math.round((picture.width < 480 * ratio ? 10 : 13) * ratio);
    pen.font = `600 ${size}px system-ui, "Segoe UI", "DejaVu Sans", sans-serif`;
    const words = label.length > 40 ? `${label.slice(0, 39)}…` : label;
    const where = placeLabel(Math.min(picture.width, pen.measureText(words).width + size), Math.round(size * 1.5), spot, picture, taken);
    taken.push(where);
    pen.fillStyle = colour;
    pen.fillRect(where.x, where.y, where.width, where.height);
    pen.fillStyle = INK;
    pen.textBaseline = "middle";
    pen.fillText(words, where.x + size / 2, where.y + where.height / 2, where.width - size / 2);
  }

  #drawHandles(pen, ratio, { left, top, width, height }) {
    const side = (Math.min(width, height) < 36 * ratio ? 6 : 9) * ratio;
    const focused = document.activeElement === this.canvas;
    pen.lineWidth = 1.5 * ratio;
    pen.strokeStyle = "#0a0d11";
    pen.fillStyle = focused ? "#ffffff" : "#c3cdd8";
    for (const [, [right, down]] of handlesOf(width / ratio, height / ratio)) {
      pen.fillRect(left + right * width - side / 2, top + down * height - side / 2, side, side);
      pen.strokeRect(left + right * width - side / 2, top + down * height - side / 2, side, side);
    }
  }
}
