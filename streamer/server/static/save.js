// The frame that is shown, taken away: the picture as PNG, with its boxes or without, and its result as JSON.

import { el, put } from "./dom.js";
import { give } from "./give.js";
import { fileOf, keepShown } from "./shot.js";
import { Stage } from "./stage.js";
import { aspectOf } from "./stream.js";
import { clockTime, mediaTime, seconds } from "./words.js";

// Boxes older than that lie beside what moves: they are no boxes of this picture.
const OLD_SECONDS = 0.5;

export class Save {
  #box = el("div", { class: "stage" });
  #title = el("h2", {});
  #words = el("p", { class: "save-words", role: "status" });
  #age = el("p", { class: "save-age" });
  #boxes = el("input", { type: "checkbox", id: "save-boxes", checked: true });
  #picture = el("button", { class: "button", type: "button", text: "Picture (PNG)" });
  #result = el("button", { class: "button", type: "button", text: "Result (JSON)" });
  #stage = null;
  #frame = null;
  // Whether somebody wants boxes in pictures that have boxes of their own.
  #wanted = true;

  // button: what opens it. stream(): the one that is shown, or null. player, store as on the page.
  constructor(button, { stream, player, store }) {
    Object.assign(this, { stream, player, store });
    const close = el("button", { class: "button quiet", type: "button", text: "Close", onclick: () => this.root.close() });
    const tick = el("label", { class: "save-tick", for: "save-boxes" }, this.#boxes, "With boxes");
    this.root = el("dialog", { class: "past-dialog save", "aria-label": "Save this frame" }, this.#title, this.#box, this.#age, this.#words, tick,
      el("div", { class: "past-buttons" }, this.#picture, this.#result, close));
    document.body.append(this.root);
    button.addEventListener("click", () => this.#open());
    this.#boxes.addEventListener("change", () => this.#choose());
    this.#picture.addEventListener("click", () => this.#savePicture());
    this.#result.addEventListener("click", () => this.#saveResult());
    this.root.addEventListener("close", () => this.#closed());
  }

  #open() {
    const stream = this.stream();
    const shown = stream && this.player.shown(stream.stream);
    if (!shown || this.root.open) return;
    const found = this.player.boxes(stream.stream);
    const boxes = { ...found, alpha: 1, old: found.older > OLD_SECONDS && found.detections.length > 0 };
    const result = resultAt(this.store.results(stream.stream), shown.captured);
    const kept = keepShown(shown, aspectOf(stream));
    this.#frame = { ...kept, stream: stream.stream, boxes, result, age: boxes.old ? `The boxes are ${seconds(boxes.older)} older than the picture` : "" };
    this.#boxes.checked = !boxes.old && this.#wanted;
    put(this.#title, `${stream.stream} · ${mediaTime(kept.mediaSeconds)} · ${clockTime(kept.captured)}`);
    put(this.#age, this.#frame.age);
    put(this.#words, result ? "" : "Nothing has been said of this stream yet, so there is a picture alone.");
    this.#result.disabled = !result;
    this.root.showModal();
    this.#stage ??= new Stage(this.#box);
    this.#stage.setAspect(kept.width / kept.height);
    this.#stage.setPicture(kept.bitmap);
    this.#show();
  }

  #choose() {
    if (!this.#frame.boxes.old) this.#wanted = this.#boxes.checked;
    this.#show();
  }

  #closed() {
    this.#stage.setPicture(null);
    this.#frame = null;
  }

  #show() {
    const { boxes, captured } = this.#frame;
    const detections = this.#boxes.checked ? boxes.detections : [];
    this.#stage.setBoxes({ ...boxes, detections, key: `${captured} ${detections.length}` });
  }

  async #savePicture() {
    const frame = this.#frame;
    const over = this.#boxes.checked ? await drawn(frame) : [];
    const file = await fileOf(frame, "image/png", over);
    if (file) this.#give(file, frame, "png");
  }

  #saveResult() {
    const { stream, captured, mediaSeconds, width, height, boxes, result } = this.#frame;
    const picture = { stream, captured, media_seconds: mediaSeconds, width, height, detections: boxes.detections, boxes_older_seconds: Math.round(boxes.older * 1000) / 1000 };
    this.#give(new Blob([JSON.stringify({ picture, result }, null, 2)], { type: "application/json" }), this.#frame, "json");
  }

  #give(file, frame, ending) {
    const name = fileName(frame, ending);
    give(file, name);
    put(this.#words, `Saved as ${name}`);
  }
}

// STREAM_TIME.ENDING, of letters that every file system takes; the time is UTC, of capture.
export function fileName({ stream, captured }, ending) {
  const time = new Date(captured * 1000).toISOString().replace(/[:.]/g, "-");
  return `${stream.replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^[.-]+/, "").slice(0, 80) || "stream"}_${time}.${ending}`;
}

// The newest result that is not younger than the picture; else the oldest one.
function resultAt(results, captured) {
  return results.findLast((one) => one.captured <= captured + 0.05) ?? results[0] ?? null;
}

// The boxes' canvas as it is at the picture's own size, from a stage of that size beyond the window's edge.
async function drawn({ width, height, boxes, age }) {
  const ratio = devicePixelRatio || 1;
  const box = el("div", { class: "stage save-stage", "aria-hidden": "true" });
  box.style.width = `${width / ratio}px`;
  box.style.height = `${height / ratio}px`;
  document.body.append(box);
  try {
    const stage = new Stage(box, { small: width / ratio < 500 });
    stage.setAspect(width / height);
    stage.setBoxes({ ...boxes, key: "saved" });
    const canvas = box.querySelector("canvas.boxes");
    for (let turn = 0; turn < 60 && canvas.width < width - ratio; turn++) await new Promise(requestAnimationFrame);
    const over = keepShown({ bitmap: canvas }, canvas.width / canvas.height).bitmap;
    if (age) sign(over, age);
    return [over];
  } finally {
    box.remove();
  }
}

// A line of words along the lower edge, so that the picture says it wherever it goes.
function sign(canvas, words) {
  const context = canvas.getContext("2d");
  let size = Math.max(11, Math.round(canvas.height / 28));
  const font = () => { context.font = `600 ${size}px system-ui, "Segoe UI", "DejaVu Sans", sans-serif`; };
  for (font(); size > 6 && context.measureText(words).width > canvas.width - 2 * size; font()) size -= 1;
  context.fillStyle = "rgb(8 11 15 / 74%)";
  context.fillRect(0, canvas.height - 1.7 * size, canvas.width, 1.7 * size);
  context.fillStyle = "#f2f6fa";
  context.textBaseline = "middle";
  context.fillText(words, size, canvas.height - 0.83 * size);
}
