// A zone drawn on a stream's picture: points are set by the pointer, or by keys, in 0..1 of the picture.

import { el, put } from "./dom.js";
import { fetchBlob } from "./token.js";

const STEP = 0.02;
const NEAR = 14; // CSS pixels around a corner that are the corner
const MOST = 64;

// Whether a name is one that the pattern means, as the server reads it: * and ? and [abc].
export function matches(pattern, name) {
  const plain = pattern.replace(/[.+^${}()|\\]/g, "\\$&").replace(/\[!/g, "[^").replace(/\*/g, ".*").replace(/\?/g, ".");
  try {
    return new RegExp(`^${plain}$`, "s").test(name);
  } catch {
    return pattern === name;
  }
}

export class Zone {
  points = [];
  #canvas = el("canvas", { class: "zone-canvas", tabIndex: 0, width: 640, height: 360, role: "img" });
  #stream = el("select", {});
  #words = el("small", {});
  #bitmap = null;
  #cursor = { x: 0.5, y: 0.5 };
  #undo = el("button", { class: "pill", type: "button", text: "Undo the last corner", onclick: () => this.#set(this.points.slice(0, -1)) });
  #held = null; // the corner under the pointer, while it is down
  #dropped = false; // whether the click that follows ends a move

  // streams(): names of those that run; changed(): after each corner.
  constructor(streams, changed) {
    Object.assign(this, { streams, changed });
    this.#canvas.setAttribute("aria-label", "Zone on the picture: arrow keys move the cross, Enter sets a corner, Backspace takes the last one away");
    const clear = el("button", { class: "pill", type: "button", text: "Whole picture", onclick: () => this.#set([]) });
    this.root = el("fieldset", { class: "zone" }, el("legend", { text: "Zone" }),
      el("div", { class: "rule-row" }, el("label", { class: "rule-field" }, el("span", { text: "Picture of" }), this.#stream), this.#undo, clear), this.#canvas, this.#words);
    this.#stream.addEventListener("change", () => this.load());
    this.#canvas.addEventListener("pointerdown", (event) => this.#down(event));
    this.#canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const kind of ["pointerup", "pointercancel"]) this.#canvas.addEventListener(kind, () => { this.#held = null; });
    this.#canvas.addEventListener("touchstart", (event) => this.#cornerAt(event.touches[0]) !== null && event.preventDefault(), { passive: false }); // else the page scrolls under it
    this.#canvas.addEventListener("click", (event) => {
      if (this.#dropped || this.#canvas.getAttribute("aria-busy") === "true") return; // its picture may have another shape
      this.#add(...this.#at(event));
    });
    this.#canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  // patterns: the rule's streams, whose first one is shown; none are all.
  show(points, patterns) {
    this.#stream.replaceChildren(...this.streams().map((name) => el("option", { value: name, text: name })));
    this.#choose(patterns);
    this.#set(points);
  }

  // The rule is of other streams now; the picture stays where it is one of theirs.
  follow(patterns) {
    const before = this.#stream.value;
    if (patterns.length && !patterns.some((pattern) => matches(pattern, before))) this.#choose(patterns);
    if (this.#stream.value !== before) this.load();
  }

  #choose(patterns) {
    const first = this.streams().find((name) => patterns.some((pattern) => matches(pattern, name)));
    if (first) this.#stream.value = first;
  }

  // Fetches the picture of now.
  async load() {
    const name = this.#stream.value;
    if (!name) return;
    this.#canvas.setAttribute("aria-busy", "true");
    const blob = await fetchBlob(`/api/v1/streams/${encodeURIComponent(name)}/picture.jpg`);
    this.#bitmap = blob ? await createImageBitmap(blob).catch(() => null) : null;
    if (this.#bitmap) this.#canvas.height = Math.round((640 * this.#bitmap.height) / this.#bitmap.width);
    this.#canvas.setAttribute("aria-busy", "false");
    this.#draw();
  }

  #key(event) {
    const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    if (event.key in moves) {
      const [x, y] = moves[event.key];
      this.#cursor = { x: Math.min(1, Math.max(0, this.#cursor.x + x)), y: Math.min(1, Math.max(0, this.#cursor.y + y)) };
      this.#draw();
    } else if (event.key === "Enter" || event.key === " ") this.#add(this.#cursor.x, this.#cursor.y);
    else if (event.key === "Backspace") this.#set(this.points.slice(0, -1));
    else return;
    event.preventDefault();
  }

  #at({ clientX, clientY }) {
    const place = this.#canvas.getBoundingClientRect();
    return [(clientX - place.left) / place.width, (clientY - place.top) / place.height];
  }

  // The place in the row of the corner that is nearest, null where none is near.
  #cornerAt(event) {
    const { width, height } = this.#canvas.getBoundingClientRect();
    const [x, y] = this.#at(event);
    const far = this.points.map((point, place) => [place, Math.hypot((point[0] - x) * width, (point[1] - y) * height)]);
    const [place, distance] = far.sort((a, b) => a[1] - b[1])[0] ?? [null, Infinity];
    return distance <= NEAR ? place : null;
  }

  #down(event) {
    this.#held = event.button === 0 ? this.#cornerAt(event) : null;
    this.#dropped = this.#held !== null;
    if (this.#dropped) this.#canvas.setPointerCapture(event.pointerId);
  }

  #move(event) {
    if (this.#held === null) {
      this.#canvas.style.cursor = this.#cornerAt(event) === null ? "" : "move";
      return;
    }
    this.#set(this.points.with(this.#held, this.#at(event).map(round)));
  }

  #add(x, y) {
    if (this.points.length < MOST) this.#set([...this.points, [round(x), round(y)]]);
  }

  #set(points) {
    this.points = points;
    const left = Math.max(0, 3 - points.length);
    put(this.#words, points.length === 0 ? "The whole picture counts. Press corners on it to draw a zone." : left ? `${left} more ${left === 1 ? "corner makes" : "corners make"} a zone.` : `${points.length} corners. A box counts where its lower middle is. A corner can be drawn elsewhere.`);
    this.#undo.disabled = !points.length;
    this.#draw();
    this.changed();
  }

  #draw() {
    const { width, height } = this.#canvas;
    const pen = this.#canvas.getContext("2d");
    pen.fillStyle = "#222";
    pen.fillRect(0, 0, width, height);
    if (this.#bitmap) pen.drawImage(this.#bitmap, 0, 0, width, height);
    pen.lineWidth = 2;
    pen.strokeStyle = "#ffe066";
    pen.fillStyle = "rgb(255 224 102 / 25%)";
    pen.beginPath();
    for (const [x, y] of this.points) pen.lineTo(x * width, y * height);
    pen.closePath();
    pen.fill();
    pen.stroke();
    for (const [x, y] of this.points) pen.strokeRect(x * width - 3, y * height - 3, 6, 6);
    if (document.activeElement === this.#canvas) {
      pen.strokeStyle = "#fff";
      pen.strokeRect(this.#cursor.x * width - 8, this.#cursor.y * height - 0.5, 16, 1);
      pen.strokeRect(this.#cursor.x * width - 0.5, this.#cursor.y * height - 8, 1, 16);
    }
  }
}

const round = (value) => Math.round(Math.min(1, Math.max(0, value)) * 1000) / 1000;
