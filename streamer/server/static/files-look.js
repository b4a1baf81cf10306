// A result looked through: each picture that was asked about with its boxes and words, stepped through by keys, a
// slider, or the list of captions.

import { el, put } from "./dom.js";
import { legend } from "./legend.js";
import { Stage } from "./stage.js";
import { fetchBlob, fetchJson } from "./token.js";
import { mediaTime, otherAnswers } from "./words.js";

const PAGE = 200;
const MOST = 20_000;
const PICTURES = 40;
const AGAIN_MS = 1500;
const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };

export class JobLook {
  #title = el("h2", {});
  #box = el("div", { class: "stage" });
  #note = el("p", { class: "look-note", role: "status" });
  #slider = el("input", { type: "range", min: 0, value: 0, "aria-label": "Frame" });
  #back = el("button", { class: "button", type: "button", text: "Previous", "aria-label": "Previous frame" });
  #on = el("button", { class: "button", type: "button", text: "Next", "aria-label": "Next frame" });
  #where = el("output", { class: "look-where" });
  #said = el("div", { class: "look-said", "aria-live": "polite" });
  #list = el("ol", { class: "look-list", "aria-label": "Captions" });
  #stage = null;
  #job = null;
  #results = [];
  #cursor = null;
  #at = 0;
  #pictures = new Map();
  #loading = null;
  #timer = 0;

  constructor() {
    const close = el("button", { class: "button", type: "button", text: "Close", onclick: () => this.root.close() });
    const steps = el("div", { class: "look-steps" }, this.#back, this.#slider, this.#on, this.#where);
    this.root = el("dialog", { class: "past-dialog look", "aria-label": "Look through" },
      el("div", { class: "look-head" }, this.#title, close), el("div", { class: "look-body" }, el("div", { class: "look-picture" }, this.#box, steps, this.#note, this.#said), this.#list));
    this.root.addEventListener("keydown", (event) => this.#key(event));
    this.root.addEventListener("close", () => this.#closed());
    this.#slider.addEventListener("input", () => this.#go(Number(this.#slider.value)));
    this.#back.addEventListener("click", () => this.#go(this.#at - 1));
    this.#on.addEventListener("click", () => this.#go(this.#at + 1));
    this.#list.addEventListener("click", ({ target }) => {
      const button = target.closest("button");
      if (button) this.#go(Number(button.dataset.place));
    });
  }

  open(job) {
    this.#job = job;
    this.#results = [];
    this.#cursor = null;
    this.#at = 0;
    this.#pictures.clear();
    this.#list.replaceChildren();
    this.#said.replaceChildren();
    put(this.#title, job.title);
    put(this.#note, "The answers are fetched…");
    this.root.showModal();
    this.#stage ??= new Stage(this.#box);
    this.#stage.setAspect(job.width / job.height);
    this.#stage.setPicture(null);
    this.#stage.setBoxes({ detections: [], alpha: 1, key: "none", at: null });
    this.#showPlace();
    this.#slider.focus();
    this.#fetch();
  }

  // What the jobs are now: a running one has more rows soon, a removed one has none.
  follow(jobs) {
    if (!this.root.open) return;
    const job = jobs.find((one) => one.id === this.#job.id);
    if (job) this.#job = job;
    else this.root.close();
  }

  #closed() {
    clearTimeout(this.#timer);
    for (const bitmap of this.#pictures.values()) bitmap.close();
    this.#pictures.clear();
    this.#job = null;
  }

  async #fetch() {
    const job = this.#job;
    const query = new URLSearchParams({ limit: String(PAGE), ...(this.#cursor === null ? {} : { cursor: this.#cursor }) });
    const { value, error } = await fetchJson(`/api/v1/jobs/${encodeURIComponent(job.id)}/results?${query}`);
    if (!this.root.open || job.id !== this.#job?.id) return;
    if (error) put(this.#note, `The answers cannot be had: ${error}. They are tried again.`);
    else this.#add(value);
    const room = this.#results.length < MOST;
    if (value?.more && room) this.#fetch();
    else if (error || this.#job.state === "running" || this.#job.state === "waiting") this.#timer = setTimeout(() => this.#fetch(), AGAIN_MS);
    else if (!room) put(this.#note, `The first ${MOST} frames are shown; the journal has all of them.`);
  }

  #add({ results, next }) {
    this.#cursor = next;
    const first = this.#results.length;
    this.#results.push(...results);
    this.#list.append(...results.map((result, place) => entry(result, first + place)));
    this.#slider.max = String(Math.max(0, this.#results.length - 1));
    if (first === 0 && results.length) {
      put(this.#note, "");
      this.#go(0);
    } else this.#showPlace();
  }

  #key(event) {
    if (!(event.key in STEPS) || event.altKey || event.ctrlKey || event.metaKey || event.target === this.#slider) return;
    event.preventDefault();
    this.#go(this.#at + STEPS[event.key]);
  }

  #go(place) {
    if (!this.#results.length) return;
    this.#at = Math.max(0, Math.min(this.#results.length - 1, place));
    this.#showPlace();
    this.#showSaid(this.#results[this.#at]);
    this.#showPicture();
  }

  #showPlace() {
    this.#slider.value = String(this.#at);
    const result = this.#results[this.#at];
    put(this.#where, result ? `${mediaTime(result.media_seconds)} · ${this.#at + 1} of ${this.#results.length}` : "");
    this.#slider.setAttribute("aria-valuetext", this.#where.textContent);
    this.#back.disabled = this.#at === 0;
    this.#on.disabled = this.#at >= this.#results.length - 1;
    this.#list.querySelector("[aria-current]")?.removeAttribute("aria-current");
    const button = this.#list.children[this.#at]?.firstElementChild;
    button?.setAttribute("aria-current", "true");
    const list = this.#list;
    const top = button ? button.offsetTop - list.offsetTop : 0;
    if (button && (top < list.scrollTop || top + button.offsetHeight > list.scrollTop + list.clientHeight)) list.scrollTop = top - list.clientHeight / 2;
  }

  #showSaid(result) {
    const parts = [];
    if (result.error) parts.push(el("p", { class: "fault", text: `This frame could not be analysed. ${result.error}` }));
    if (result.caption) parts.push(el("p", { class: "said-caption", text: result.caption }));
    for (const [question, words] of otherAnswers(result, { settings: { tasks: this.#job.tasks } })) parts.push(el("p", { class: "said-answer" }, el("b", { text: `${question} ` }), words));
    if (result.detections.length) parts.push(legend(result.detections));
    for (const [task, note] of Object.entries(result.notes)) parts.push(el("p", { class: "odd", text: `Answer to ${task}: ${note}` }));
    if (!parts.length) parts.push(el("p", { class: "said-none", text: "Nothing found in this frame." }));
    this.#said.replaceChildren(...parts);
  }

  // Only one picture is fetched at a time, and then the one that is wanted by then.
  async #showPicture() {
    const result = this.#results[this.#at];
    const known = this.#pictures.get(result.sequence);
    if (known) {
      this.#pictures.delete(result.sequence); // and behind all others: the oldest one goes first
      this.#pictures.set(result.sequence, known);
      return this.#draw(result, known);
    }
    if (this.#loading) return;
    this.#loading = result;
    const job = this.#job;
    const wide = Math.min(1920, Math.max(320, Math.ceil((this.#box.clientWidth * (devicePixelRatio || 1)) / 160) * 160));
    const blob = await fetchBlob(`/api/v1/jobs/${encodeURIComponent(job.id)}/picture.jpg?at=${result.media_seconds}&width=${wide}`);
    const bitmap = blob ? await createImageBitmap(blob) : null;
    this.#loading = null;
    if (!this.root.open || !this.#job) return;
    if (job.id === this.#job.id && bitmap) this.#keep(result.sequence, bitmap);
    const wanted = this.#results[this.#at];
    if (!wanted) return;
    if (job.id === this.#job.id && wanted === result) this.#draw(result, bitmap);
    else this.#showPicture();
  }

  #keep(sequence, bitmap) {
    this.#pictures.set(sequence, bitmap);
    if (this.#pictures.size <= PICTURES) return;
    const [oldest, old] = this.#pictures.entries().next().value;
    this.#pictures.delete(oldest);
    old.close();
  }

  #draw(result, bitmap) {
    put(this.#note, bitmap ? "" : "This picture cannot be had; its answers are below.");
    this.#stage.setPicture(bitmap);
    this.#stage.setBoxes({ detections: result.detections, alpha: 1, key: `${this.#job.id} ${result.sequence}`, at: result.media_seconds });
  }
}

function entry(result, place) {
  const words = result.error ? "No answer" : result.caption ?? (result.detections.map((found) => found.label).join(", ") || Object.values(result.answers).find((answer) => typeof answer === "string") || "Nothing found");
  const button = el("button", { class: "look-entry", type: "button", data: { place: String(place) } }, el("span", { class: "look-time", text: mediaTime(result.media_seconds) }), el("span", { text: words }));
  return el("li", {}, button);
}
