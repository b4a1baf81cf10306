// History: what was seen, found again; pictures with their boxes.

import { Correct } from "./correct.js";
import { el, put } from "./dom.js";
import { PastClip } from "./past-clip.js";
import { PastExport } from "./past-export.js";
import { PastLarge } from "./past-large.js";
import { PastLine } from "./past-line.js";
import { PastNewer } from "./past-newer.js";
import { localTime, parseQuery, setChip, toggleChip } from "./query.js";
import { Stage } from "./stage.js";
import { fetchBlob, fetchJson } from "./token.js";
import { dayTime, seconds } from "./words.js";

// What counts: what somebody said in place of the model, or the model's own answer.
const counting = (found) => ({ detections: found.correction?.detections ?? found.detections, caption: found.correction?.caption ?? found.caption });

export class Past {
  #input = el("input", { type: "search", id: "search", autocomplete: "off", maxLength: 500, placeholder: "red car stream:gate since:2h" });
  #words = el("p", { class: "past-words", role: "status" });
  #chips = el("div", { class: "past-chips", role: "group", "aria-label": "Filters" });
  #list = el("ol", { class: "past-list" });
  #more = el("button", { class: "button", type: "button", text: "Older", hidden: true });
  #large;
  #newer;
  #export = new PastExport();
  #correct = new Correct((stream, hint) => this.#export.open({ params: [], streams: [stream], whose: "only_corrected", hint }));
  #clip = new PastClip();
  #line = new PastLine((stream, until) => this.#jump(stream, until));
  #linked = "";
  #open = false;
  #failed = false;
  #asked = 0;
  #next = null;

  constructor(root, page) {
    const { now, streams, admin, connection } = page;
    Object.assign(this, { root, now, streams, admin });
    this.#large = new PastLarge({ next: (card, by) => this.#beside(card, by), play: (alert) => this.#playClip(alert), correct: null });
    this.#newer = new PastNewer(page.store, () => this.search());
    const form = el("form", { class: "past-form", role: "search" },
      el("label", { for: "search", text: "Search what was seen" }), this.#input, el("button", { class: "button", type: "submit", text: "Search" }),
      el("button", { class: "button", type: "button", text: "Export…", onclick: () => this.#openExport() }));
    root.replaceChildren(form, this.#chips, el("div", { class: "past-count" }, this.#words, this.#newer.root), this.#line.root, this.#list, this.#more, this.#large.root, this.#correct.root, this.#clip.root, this.#export.root);
    form.addEventListener("submit", (event) => { event.preventDefault(); this.search(); });
    this.#more.addEventListener("click", () => this.#load(this.#next));
    connection.addEventListener("state", ({ detail }) => detail.state === "open" && this.#open && this.#failed && this.search());
  }

  // Searched anew whenever somebody comes; called as well when a stream comes or goes, and then nothing jumps.
  open() {
    this.#showChips();
    const came = !this.#open;
    this.#open = true;
    if (this.#linkedTo() || came || !this.#list.children.length) this.search();
  }

  // Whether the address has a search that was not done yet, as links from other views have: #history?q=stream:gate
  #linkedTo() {
    const words = new URLSearchParams(location.hash.split("?")[1] ?? "").get("q");
    if (!words || words === this.#linked) return false;
    this.#linked = this.#input.value = words;
    return true;
  }

  close() {
    this.#open = false;
    this.#linked = "";
    this.#newer.follow(null);
  }

  async search({ line = true } = {}) {
    this.#next = null;
    await this.#load(null);
    this.#showChips();
    const { params, faults } = parseQuery(this.#input.value, this.now());
    if (line && !faults.length) await this.#line.load(params);
  }

  // What that stream had seen by then; the strips stay, to go elsewhere from there.
  #jump(stream, until) {
    this.#input.value = setChip(setChip(this.#input.value, "stream", stream), "until", localTime(until));
    this.search({ line: false });
  }

  async #load(cursor) {
    const turn = ++this.#asked;
    const { params, faults } = parseQuery(this.#input.value, this.now());
    if (!cursor) this.#newer.follow(null);
    if (faults.length) return this.#fail(`${faults.join(". ")}.`, cursor);
    const query = new URLSearchParams([...params, ["limit", "24"]]);
    if (cursor) query.set("cursor", cursor);
    put(this.#words, "Searching…");
    this.#list.setAttribute("aria-busy", "true");
    const { value, error } = await fetchJson(`/api/v1/history?${query}`);
    if (turn !== this.#asked) return;
    this.#list.setAttribute("aria-busy", "false");
    this.#failed = Boolean(error);
    if (error) return this.#fail(`The search did not work: ${error}. It is tried again when the connection is back.`, cursor);
    if (!cursor) this.#list.replaceChildren();
    if (!cursor) this.#newer.follow(params, value.results);
    this.#list.append(...value.results.map((found) => new Card(found, (one) => this.#enlarge(one)).root));
    this.#next = value.next;
    this.#more.hidden = !value.next;
    const count = this.#list.children.length;
    put(this.#words, count ? `${count}${value.next ? " newest" : ""} of what was seen` : "Nothing was found. Fewer words, or a longer time, find more.");
  }

  // Cards of an earlier search do not stay under the words of another.
  #fail(words, cursor) {
    put(this.#words, words);
    if (cursor) return;
    this.#list.replaceChildren();
    this.#more.hidden = true;
    this.#line.clear();
  }

  // Streams that are there, and the labels of what is shown: one press each.
  #showChips() {
    const labels = new Set([...this.#list.querySelectorAll("[data-labels]")].flatMap((one) => one.dataset.labels.split("\n")).filter(Boolean));
    const chips = [...this.streams().map((name) => ["stream", name]), ...[...labels].sort().slice(0, 12).map((name) => ["label", name]), ["since", "1h"], ["since", "1d"]];
    this.#chips.replaceChildren(...chips.map(([name, value]) => {
      const pressed = toggleChip(this.#input.value, name, value).length < this.#input.value.length;
      const press = () => { this.#input.value = toggleChip(this.#input.value, name, value); this.search(); };
      return el("button", { class: "chip", type: "button", text: `${name}: ${value}`, "aria-pressed": String(pressed), onclick: press });
    }));
  }

  #enlarge(card) {
    this.#large.actions.correct = this.admin() ? (one) => this.#openCorrect(one) : null;
    this.#large.open(card);
  }

  // The card before (-1) or behind (1) it, from the next page where there is one; null: there is none.
  async #beside({ root }, by) {
    if (by > 0 && !root.nextElementSibling && this.#next) await this.#load(this.#next);
    const next = by > 0 ? root.nextElementSibling : root.previousElementSibling;
    next?.scrollIntoView({ block: "nearest" });
    return next?.card ?? null;
  }

  // Of what is searched its stream and its time; the server's dataset knows no words.
  #openExport() {
    const { params, faults } = parseQuery(this.#input.value, this.now());
    if (faults.length) return put(this.#words, faults.join(". "));
    const more = params.some(([name]) => !["stream", "since", "until"].includes(name));
    this.#export.open({ params, streams: this.streams(), hint: more ? "Words, labels and rules of the search do not count here: all pictures of the time are taken." : "" });
  }

  #playClip(alert) {
    this.#large.close();
    this.#clip.open(alert);
  }

  #openCorrect(card) {
    this.#large.close();
    let shown = card;
    this.#correct.open(card.found, card.bitmap, (found) => {
      const next = new Card(found, (one) => this.#enlarge(one));
      shown.root.replaceWith(next.root);
      shown = next;
    });
  }
}

// Its picture is fetched once it comes near the window.
const watcher = new IntersectionObserver((entries) => entries.filter((one) => one.isIntersecting).forEach((one) => {
  watcher.unobserve(one.target);
  one.target.card.load();
}), { rootMargin: "300px" });

class Card {
  bitmap = null;
  blob = null;

  constructor(found, enlarge) {
    this.found = found;
    this.counts = counting(found);
    const { detections, caption } = this.counts;
    this.boxes = { detections, alpha: 1, key: String(found.id), at: found.media_seconds };
    const box = el("div", { class: "stage" });
    const stood = found.until - found.at >= 1 ? `, for ${seconds(found.until - found.at)}` : "";
    const words = el("span", { class: "tile-words" }, el("span", { class: "past-where" }, el("span", { class: "tile-name", text: found.stream, title: found.stream }), el("span", { class: "past-when", text: `${dayTime(found.at)}${stood}` })),
      el("span", { class: "tile-caption", text: found.correction ? caption ?? "" : found.error ?? (found.snippet || found.caption || "") }),
      found.correction ? el("span", { class: "corrected", text: "Corrected" }) : null);
    const button = el("button", { class: "tile", type: "button", onclick: () => enlarge(this) }, box, words);
    this.root = el("li", { data: { labels: [...new Set(detections.map((one) => one.label))].join("\n") } }, button);
    this.root.card = this;
    this.stage = new Stage(box, { small: true });
    this.stage.setAspect(found.width / found.height);
    this.stage.setBoxes(this.boxes);
    watcher.observe(this.root);
  }

  // Once, however many ask for it.
  load() {
    this.loading ??= this.#load();
    return this.loading;
  }

  async #load() {
    if (!this.found.picture) return;
    const blob = await fetchBlob(`/api/v1/snapshots/${encodeURIComponent(this.found.picture)}`);
    if (!blob) return;
    this.blob = blob;
    this.bitmap = await createImageBitmap(blob);
    this.stage.setPicture(this.bitmap);
  }
}
