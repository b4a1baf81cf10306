// A zone drawn on a stream's picture: points are set by the pointer, or by keys, in 0..1 of the picture.

import { el, put } from "./dom.js";
import { fetchBlob } from "./token.js";

const STEP = 0.02;

export class Zone {
  points = [];
  #canvas = el("canvas", { class: "zone-canvas", tabIndex: 0, width: 640, height: 360, role: "img" });
  #stream = el("select", {});
  #words = el("small", {});
  #bitmap = null;
  #cursor = { x: 0.5, y: 0.5 };

  constructor(streams) {
    this.streams = streams;
    this.#canvas.setAttribute("aria-label", "Zone on the picture: arrow keys move the cross, Enter sets a corner, Backspace takes the last one away");
    const clear = el("button", { class: "pill", type: "button", text: "Whole picture", onclick: () => this.#set([]) });
    this.root = el("fieldset", { class: "zone" }, el("legend", { text: "Zone" }),
      el("div", { class: "rule-row" }, el("label", { class: "rule-field" }, el("span", { text: "Picture of" }), this.#stream), clear), this.#canvas, this.#words);
    this.#stream.addEventListener("change", () => this.load());
    this.#canvas.addEventListener("click", (event) => {
      if (this.#canvas.getAttribute("aria-busy") === "true") return; // its picture may have another shape
      const place = this.#canvas.getBoundingClientRect();
      this.#add((event.clientX - place.left) / place.width, (event.clientY - place.top) / place.height);
    });
    this.#canvas.addEventListener("keydown", (event) => this.#key(event));
  }

  show(points, stream) {
    const running = this.streams();
    this.#stream.replaceChildren(...running.map((name) => el("option", { value: name, text: name })));
    if (running.includes(stream)) this.#stream.value = stream;
    this.#set(points);
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

  #add(x, y) {
    if (this.points.length < 64) this.#set([...this.points, [round(x), round(y)]]);
  }

  #set(points) {
    this.points = points;
    const left = Math.max(0, 3 - points.length);
    put(this.#words, points.length === 0 ? "The whole picture counts. Click corners to draw a zone." : left ? `${left} more corners make a zone.` : `${points.length} corners. A box counts where its lower middle is.`);
    this.#draw();
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
