// What was said, newest on top. Whoever scrolls down keeps the place; equal answers in a row share one entry.

import { el, put } from "./dom.js";
import { legend } from "./legend.js";
import { clockTime, labelCounts, mediaTime, otherAnswers } from "./words.js";

const ENTRIES_KEPT = 100;

export class Timeline {
  #root;
  #button;
  #newest = null;
  #unseen = 0;

  constructor(root, button) {
    this.#root = root;
    this.#button = button;
    button.addEventListener("click", () => { root.scrollTop = 0; });
    root.addEventListener("scroll", () => this.#reading || this.#seen(), { passive: true });
  }

  // Begins again with these results, oldest first.
  reset(results, stream) {
    this.#newest = null;
    this.#root.replaceChildren(el("li", { class: "timeline-none", text: "Nothing has been said yet." }));
    this.#root.scrollTop = 0;
    results.forEach((result) => this.#put(result, stream));
    this.#seen();
  }

  add(result, stream) {
    const reading = this.#reading;
    const before = this.#root.scrollHeight;
    const isNew = this.#put(result, stream);
    if (!reading) return;
    this.#root.scrollTop += this.#root.scrollHeight - before;
    if (isNew) this.#unseen += 1;
    put(this.#button, `${this.#unseen} new ↑`);
    this.#button.hidden = this.#unseen === 0;
  }

  get #reading() {
    return this.#root.scrollTop > 8;
  }

  #seen() {
    this.#unseen = 0;
    this.#button.hidden = true;
  }

  #put(result, stream) {
    const key = keyOf(result, stream);
    if (this.#newest?.key === key) {
      this.#newest.count += 1;
      this.#newest.kept += result.reused;
      this.#date(this.#newest, result);
      return false;
    }
    if (!this.#newest) this.#root.replaceChildren();
    const media = el("span");
    const clock = el("span");
    const time = el("div", { class: "entry-time" }, media, clock);
    this.#newest = { key, count: 1, kept: Number(result.reused), from: result, media, clock };
    this.#date(this.#newest, result);
    this.#root.prepend(el("li", { class: "entry" }, time, ...content(result, stream)));
    while (this.#root.childElementCount > ENTRIES_KEPT) this.#root.lastElementChild.remove();
    return true;
  }

  #date({ count, kept, from, media, clock }, result) {
    const start = mediaTime(from.media_seconds);
    const times = count > 1 ? `${start} – ${mediaTime(result.media_seconds)} · ${count} times` : start;
    put(media, kept ? `${times}, ${kept} unchanged` : times);
    put(clock, clockTime(result.captured));
  }
}

function keyOf(result, stream) {
  return JSON.stringify([result.caption, otherAnswers(result, stream), result.error, labelCounts(result.detections)]);
}

function content(result, stream) {
  const parts = [];
  if (result.error) parts.push(el("p", { class: "fault", text: `Not analysed. ${result.error}` }));
  if (result.caption) parts.push(el("p", { class: "entry-text", text: result.caption }));
  for (const [question, words] of otherAnswers(result, stream)) {
    parts.push(el("p", { class: "entry-text said-answer" }, el("b", { text: `${question} ` }), words));
  }
  if (result.detections.length) parts.push(legend(result.detections));
  if (!parts.length) parts.push(el("p", { class: "entry-text said-none", text: "Nothing found" }));
  return parts;
}
