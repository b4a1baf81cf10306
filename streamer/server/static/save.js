// The frame that is shown, taken away: the picture as PNG, with its boxes or without, and its result as JSON.

import { el, put } from "./dom.js";
import { give } from "./give.js";
import { fileOf, keepShown } from "./shot.js";
import { Stage } from "./stage.js";
import { aspectOf } from "./stream.js";
import { clockTime, mediaTime } from "./words.js";

export class Save {
  #box = el("div", { class: "stage" });
  #title = el("h2", {});
  #words = el("p", { class: "save-words", role: "status" });
  #boxes = el("input", { type: "checkbox", id: "save-boxes", checked: true });
  #picture = el("button", { class: "button", type: "button", text: "Picture (PNG)" });
  #result = el("button", { class: "button", type: "button", text: "Result (JSON)" });
  #stage = null;
  #frame = null;

  // button: what opens it. stream(): the one that is shown, or null. player, store, now() as on the page.
  constructor(button, { stream, player, store, now }) {
    Object.assign(this, { stream, player, store, now });
    const close = el("button", { class: "button quiet", type: "button", text: "Close", onclick: () => this.root.close() });
    const tick = el("label", { class: "save-tick", for: "save-boxes" }, this.#boxes, "With boxes");
    this.root = el("dialog", { class: "past-dialog save", "aria-label": "Save this frame" }, this.#title, this.#box, this.#words, tick,
      el("div", { class: "past-buttons" }, this.#picture, this.#result, close));
    document.body.append(this.root);
    button.addEventListener("click", () => this.#open());
    this.#boxes.addEventListener("change", () => this.#show());
    this.#picture.addEventListener("click", () => this.#savePicture());
    this.#result.addEventListener("click", () => this.#saveResult());
    this.root.addEventListener("close", () => this.#closed());
  }

  #open() {
    const stream = this.stream();
    const shown = stream && this.player.shown(stream.stream);
    if (!shown || this.root.open) return;
    const boxes = { ...this.player.boxes(stream.stream, this.now()), alpha: 1 };
    const result = resultAt(this.store.results(stream.stream), shown.captured);
    const kept = keepShown(shown, aspectOf(stream));
    this.#frame = { ...kept, stream: stream.stream, boxes, result };
    put(this.#title, `${stream.stream} · ${mediaTime(kept.mediaSeconds)} · ${clockTime(kept.captured)}`);
    put(this.#words, result ? "" : "Nothing has been said of this stream yet, so there is a picture alone.");
    this.#result.disabled = !result;
    this.root.showModal();
    this.#stage ??= new Stage(this.#box);
    this.#stage.setAspect(kept.width / kept.height);
    this.#stage.setPicture(kept.bitmap);
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
    const picture = { stream, captured, media_seconds: mediaSeconds, width, height, detections: boxes.detections };
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
async function drawn({ width, height, boxes }) {
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
    return [keepShown({ bitmap: canvas }, canvas.width / canvas.height).bitmap];
  } finally {
    box.remove();
  }
}
