// A picture with its boxes drawn over it, right at any size, device pixel ratio and aspect.

import { colourOf, INK } from "./colours.js";
import { el } from "./dom.js";
import { fit, place, placeLabel } from "./fit.js";

// Of old boxes, in widths of their line.
const DASHES = [4, 3];

export class Stage {
  #picture = el("canvas", { class: "picture" });
  #boxes = el("canvas", { class: "boxes" });
  #shown = { bitmap: null, aspect: 16 / 9, boxes: { detections: [], alpha: 1, key: "", at: null } };
  #drawn = "";
  #aspect = 0;

  constructor(root, { small = false } = {}) {
    this.root = root;
    this.small = small;
    for (const canvas of [this.#picture, this.#boxes]) canvas.setAttribute("aria-hidden", "true");
    root.prepend(this.#picture, this.#boxes);
    new ResizeObserver(() => this.#resize()).observe(root);
  }

  // The aspect (width / height) of the source: boxes are given in 0..1 of it.
  setAspect(aspect) {
    if (!(aspect > 0) || aspect === this.#aspect) return;
    this.#aspect = this.#shown.aspect = aspect;
    if (!this.small) this.root.style.aspectRatio = String(aspect);
    this.#drawPicture();
    this.#drawBoxes(true);
  }

  setPicture(bitmap) {
    this.#shown.bitmap = bitmap;
    this.#drawPicture();
  }

  // {detections, alpha, key, at, old}: what to draw and how strongly, dashed where it is old; an equal key is not drawn
  // again; at: media time.
  setBoxes(boxes) {
    this.#shown.boxes = boxes;
    this.#drawBoxes(false);
  }

  #resize() {
    const ratio = devicePixelRatio || 1;
    const width = Math.max(1, Math.round(this.root.clientWidth * ratio));
    const height = Math.max(1, Math.round(this.root.clientHeight * ratio));
    if (this.#boxes.width === width && this.#boxes.height === height) return;
    for (const canvas of [this.#picture, this.#boxes]) Object.assign(canvas, { width, height });
    this.#drawPicture();
    this.#drawBoxes(true);
  }

  #drawPicture() {
    const canvas = this.#picture;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    const { bitmap, aspect } = this.#shown;
    if (!bitmap || (bitmap.displayWidth ?? bitmap.width) === 0) return;
    const { x, y, width, height } = fit(canvas.width, canvas.height, aspect);
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, x, y, width, height);
  }

  #drawBoxes(always) {
    const { boxes: { detections, alpha, key, at, old = false }, aspect } = this.#shown;
    if (!always && key === this.#drawn) return;
    this.#drawn = key;
    this.root.dataset.boxesAt = at === null ? "" : String(at);
    this.root.dataset.boxesOld = String(old);
    const canvas = this.#boxes;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.globalAlpha = alpha;
    context.setLineDash(old ? DASHES.map((length) => length * this.#line) : []);
    const picture = fit(canvas.width, canvas.height, aspect);
    const placed = detections.map((found) => ({ found, box: place(found, picture) }));
    placed.forEach(({ found, box }) => this.#drawBox(context, found, box));
    const taken = [];
    placed.forEach(({ found, box }) => taken.push(this.#drawLabel(context, found, box, picture, taken)));
  }

  get #line() {
    return Math.max(1, Math.round((this.small ? 1.5 : 2.5) * (devicePixelRatio || 1)));
  }

  // A dark rim keeps the line visible on light pictures. What was carried there since it was seen has a thinner line.
  #drawBox(context, found, { left, top, width, height }) {
    context.lineJoin = "round";
    const line = found.attributes?.carried ? Math.max(1, Math.round(this.#line * 0.6)) : this.#line;
    for (const [style, extra] of [["rgb(8 11 15 / 55%)", 2], [colourOf(found.label), 0]]) {
      context.strokeStyle = style;
      context.lineWidth = line + extra;
      context.strokeRect(left, top, width, height);
    }
  }

  #drawLabel(context, found, box, picture, taken) {
    const ratio = devicePixelRatio || 1;
    const size = Math.round((this.small ? 10 : 13) * ratio);
    const pad = Math.round(size * 0.38);
    context.font = `600 ${size}px system-ui, "Segoe UI", "DejaVu Sans", sans-serif`;
    const words = this.#fitting(context, found, picture.width - 2 * pad);
    const width = Math.min(context.measureText(words).width + 2 * pad, picture.width);
    const spot = placeLabel(width, Math.round(size * 1.5), box, picture, taken);
    context.fillStyle = colourOf(found.label);
    context.beginPath();
    context.roundRect(spot.x, spot.y, spot.width, spot.height, Math.round(size * 0.25));
    context.fill();
    context.fillStyle = INK;
    context.textBaseline = "middle";
    context.fillText(words, spot.x + pad, spot.y + spot.height / 2 + size * 0.04);
    return spot;
  }

  #fitting(context, { label, track_id: track }, room) {
    const tail = track === null || track === undefined ? "" : ` #${track}`;
    let words = label + tail;
    for (let keep = label.length - 1; keep > 0 && context.measureText(words).width > room; keep--) {
      words = `${label.slice(0, keep)}…${tail}`;
    }
    return words;
  }
}
