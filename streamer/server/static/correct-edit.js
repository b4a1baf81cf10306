// Boxes and words being corrected: each change can be taken back and made again. No page, no picture; boxes are in 0..1.

const LEAST = 0.004; // the least side of a box
const DEPTH = 200; // changes that can be taken back
const TOGETHER_MS = 900; // in which steps of one kind at one box are one change

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const round = (value) => Math.round(value * 1e5) / 1e5;
const rounded = (box) => ({ ...box, x1: round(box.x1), y1: round(box.y1), x2: round(box.x2), y2: round(box.y2) });

// The box elsewhere, of the same size, inside the picture.
export function moved(box, dx, dy) {
  const x = clamp(dx, -box.x1, 1 - box.x2);
  const y = clamp(dy, -box.y1, 1 - box.y2);
  return rounded({ ...box, x1: box.x1 + x, x2: box.x2 + x, y1: box.y1 + y, y2: box.y2 + y });
}

// The box with the sides that the handle names ("nw", "e", …) moved; sides do not pass each other.
export function resized(box, handle, dx, dy) {
  const next = { ...box };
  if (handle.includes("w")) next.x1 = clamp(box.x1 + dx, 0, box.x2 - LEAST);
  if (handle.includes("e")) next.x2 = clamp(box.x2 + dx, box.x1 + LEAST, 1);
  if (handle.includes("n")) next.y1 = clamp(box.y1 + dy, 0, box.y2 - LEAST);
  if (handle.includes("s")) next.y2 = clamp(box.y2 + dy, box.y1 + LEAST, 1);
  return rounded(next);
}

// The box between two points, of at least the least size, inside the picture.
export function between(label, from, to) {
  const x1 = clamp(Math.min(from.x, to.x), 0, 1 - LEAST);
  const y1 = clamp(Math.min(from.y, to.y), 0, 1 - LEAST);
  return rounded({ label, track_id: null, attributes: null, x1, y1, x2: clamp(Math.max(from.x, to.x), x1 + LEAST, 1), y2: clamp(Math.max(from.y, to.y), y1 + LEAST, 1) });
}

export class Edit extends EventTarget {
  // Event: "change" (boxes, caption or what is selected).
  boxes = [];
  caption = "";
  selected = -1;
  #done = [];
  #undone = [];
  #last = { kind: "", at: 0 };
  #saved = "";

  constructor(boxes, caption) {
    super();
    this.boxes = boxes.map((box) => ({ ...box }));
    this.caption = caption;
    this.#saved = this.#state();
  }

  get dirty() {
    return this.#state() !== this.#saved;
  }

  get canUndo() {
    return this.#done.length > 0;
  }

  get canRedo() {
    return this.#undone.length > 0;
  }

  get box() {
    return this.boxes[this.selected] ?? null;
  }

  select(place) {
    this.selected = place >= 0 && place < this.boxes.length ? place : -1;
    this.#last.kind = "";
    this.#tell();
  }

  add(box) {
    if (this.boxes.length >= 500) return;
    this.#keep("add");
    this.boxes = [...this.boxes, box];
    this.selected = this.boxes.length - 1;
    this.#tell();
  }

  remove() {
    if (!this.box) return;
    this.#keep("remove");
    this.boxes = this.boxes.filter((_, place) => place !== this.selected);
    this.selected = Math.min(this.selected, this.boxes.length - 1);
    this.#tell();
  }

  // kind: what sort of step it is; steps of one sort at one box soon after each other are one change.
  change(box, kind) {
    if (!this.box || JSON.stringify(box) === JSON.stringify(this.box)) return;
    this.#keep(`${kind} ${this.selected}`);
    this.boxes = this.boxes.map((one, place) => (place === this.selected ? box : one));
    this.#tell();
  }

  say(caption) {
    if (caption === this.caption) return;
    this.#keep("say");
    this.caption = caption;
    this.#tell();
  }

  // All at once, such as the model's own answer.
  replace(boxes, caption) {
    this.#keep("replace");
    this.boxes = boxes.map((box) => ({ ...box }));
    this.caption = caption;
    this.selected = -1;
    this.#tell();
  }

  undo() {
    this.#swap(this.#done, this.#undone);
  }

  redo() {
    this.#swap(this.#undone, this.#done);
  }

  // What follows is another change, however soon it comes.
  rest() {
    this.#last.kind = "";
  }

  saved() {
    this.#saved = this.#state();
  }

  #keep(kind) {
    const now = Date.now();
    const drawn = kind.startsWith("draw") && this.#last.kind === "add"; // a box is drawn in one go
    const same = (drawn || kind === this.#last.kind) && now - this.#last.at < TOGETHER_MS && !["add", "remove", "replace"].includes(kind);
    this.#last = { kind, at: now };
    this.#undone = [];
    if (same && this.#done.length) return;
    this.#done.push(this.#snapshot());
    if (this.#done.length > DEPTH) this.#done.shift();
  }

  #swap(from, to) {
    const state = from.pop();
    if (!state) return;
    to.push(this.#snapshot());
    Object.assign(this, state);
    this.#last.kind = "";
    this.#tell();
  }

  #snapshot() {
    return { boxes: this.boxes, caption: this.caption, selected: this.selected };
  }

  #state() {
    return JSON.stringify([this.boxes, this.caption]);
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}
