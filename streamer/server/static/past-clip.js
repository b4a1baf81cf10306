// An alert's clip, played with the boxes and words of its time in step.

import { boxesAt } from "./between.js";
import { el, put } from "./dom.js";
import { Stage } from "./stage.js";
import { authorised, fetchJson } from "./token.js";
import { dayTime, fileTime } from "./words.js";

const BEFORE = 5; // seconds that a clip begins before its alert, where nobody says when it began
const MARGIN = 60; // an answer that stood longer began before the clip
const NO_BOXES = { detections: [], alpha: 1, key: "", at: null };

// Buttons for the clips of the alerts that went on while a result stood; open(alert) plays one.
export async function clipButtons(found, open) {
  const query = new URLSearchParams({ stream: found.stream, since: String(found.at - 1), until: String(found.until + 1), limit: "5" });
  const { value } = await fetchJson(`/api/v1/alerts?${query}`);
  const alerts = (value?.alerts ?? []).filter((alert) => alert.clip);
  return alerts.map((alert) => el("button", { class: "button", type: "button", text: `Play the clip: ${alert.rule}, ${dayTime(alert.started_at)}`, onclick: () => open(alert) }));
}

export class PastClip {
  #title = el("h2", {});
  #video = el("video", { controls: true, playsInline: true, muted: true });
  #box = el("div", { class: "stage clip-stage" });
  #when = el("p", { class: "past-words" });
  #said = el("p", { class: "said-caption" });
  #file = el("a", { class: "button", text: "Download the clip", hidden: true });
  #words = el("p", { class: "past-words", role: "status" });
  #stage = null;
  #results = [];
  #began = 0;
  #url = null;
  #turn = 0;
  #frame = 0;

  constructor() {
    const close = el("button", { class: "button", type: "button", text: "Close", onclick: () => this.root.close() });
    this.#video.setAttribute("aria-label", "The clip");
    this.root = el("dialog", { class: "past-dialog clip", "aria-label": "Clip" }, this.#box, this.#title, this.#when, this.#said, this.#words, el("div", { class: "past-buttons" }, this.#file, close));
    this.root.addEventListener("close", () => this.#closed());
    for (const kind of ["seeked", "timeupdate", "loadeddata"]) this.#video.addEventListener(kind, () => this.#show());
    this.#video.addEventListener("play", () => this.#follow());
    this.#video.addEventListener("loadedmetadata", () => this.#stage.setAspect(this.#video.videoWidth / this.#video.videoHeight));
    this.#video.addEventListener("error", () => this.#url && put(this.#words, "This browser cannot play the camera's video format. Download it, and another player may."));
  }

  async open(alert) {
    const turn = ++this.#turn;
    put(this.#title, `${alert.stream}: ${alert.title}`);
    this.#file.hidden = true;
    put(this.#words, "The clip is fetched…");
    put(this.#when, "");
    put(this.#said, "");
    this.#results = [];
    this.root.showModal();
    if (!this.#stage) {
      this.#stage = new Stage(this.#box);
      this.#box.prepend(this.#video); // below the boxes
    }
    this.#stage.setBoxes(NO_BOXES);
    const clip = await fetchClip(alert.clip);
    if (turn !== this.#turn || !this.root.open) return;
    if (!clip) return put(this.#words, "The clip cannot be had: it is not kept any more, or the server does not answer.");
    this.#began = clip.began !== null && clip.began <= alert.started_at + 1 ? clip.began : alert.started_at - BEFORE;
    this.#url = URL.createObjectURL(clip.blob);
    this.#video.src = this.#url;
    Object.assign(this.#file, { href: this.#url, download: `${alert.stream} ${alert.rule} ${fileTime(alert.started_at)}.mp4`, hidden: false });
    this.#video.play().catch(() => {}); // the browser may want a press first
    await this.#fetchResults(alert, turn);
  }

  async #fetchResults(alert, turn) {
    const query = new URLSearchParams({ stream: alert.stream, since: String(this.#began - MARGIN), until: String((alert.ended_at ?? alert.updated_at) + MARGIN), limit: "200" });
    const { value, error } = await fetchJson(`/api/v1/history?${query}`);
    if (turn !== this.#turn || !this.root.open) return;
    put(this.#words, error ? `The boxes cannot be had: ${error}` : "");
    const results = value?.results ?? [];
    this.#results = results.reverse().map((found) => ({ captured: found.at, until: found.until, caption: found.correction?.caption ?? found.caption, detections: found.correction?.detections ?? found.detections }));
    this.#show();
  }

  #closed() {
    this.#turn += 1;
    cancelAnimationFrame(this.#frame);
    this.#video.pause();
    this.#video.removeAttribute("src");
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = null;
  }

  // While it plays the boxes go with its pictures.
  #follow() {
    cancelAnimationFrame(this.#frame);
    this.#show();
    if (this.root.open && !this.#video.paused && !this.#video.ended) this.#frame = requestAnimationFrame(() => this.#follow());
  }

  #show() {
    const moment = this.#began + this.#video.currentTime;
    const { before, detections } = boxesAt(this.#results, moment);
    this.#stage.setBoxes({ detections, alpha: 1, key: `${this.#turn} ${moment.toFixed(3)} ${this.#results.length}`, at: moment });
    put(this.#when, dayTime(moment));
    put(this.#said, before?.caption ?? "");
  }
}

// {blob, began: Unix seconds or null}; null where it cannot be had.
async function fetchClip(name) {
  try {
    const answer = await fetch(`/api/v1/clips/${encodeURIComponent(name)}`, { headers: authorised() });
    if (!answer.ok) return null;
    const began = Number(answer.headers.get("x-started-at"));
    return { blob: await answer.blob(), began: began > 0 ? began : null };
  } catch {
    return null;
  }
}
