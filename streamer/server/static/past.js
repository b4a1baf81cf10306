// History: what was seen, found again; pictures with their boxes.

import { Correct } from "./correct.js";
import { el, put } from "./dom.js";
import { clipButtons, PastClip } from "./past-clip.js";
import { PastExport } from "./past-export.js";
import { PastLine } from "./past-line.js";
import { localTime, parseQuery, setChip, toggleChip } from "./query.js";
import { Stage } from "./stage.js";
import { fetchBlob, fetchJson } from "./token.js";
import { otherAnswers, seconds } from "./words.js";

// What counts: what somebody said in place of the model, or the model's own answer.
const counting = (found) => ({ detections: found.correction?.detections ?? found.detections, caption: found.correction?.caption ?? found.caption });
const shownTime = (at) => new Date(at * 1000).toLocaleString();

export class Past {
  #input = el("input", { type: "search", id: "search", autocomplete: "off", maxLength: 500, placeholder: "red car stream:gate since:2h" });
  #words = el("p", { class: "past-words", role: "status" });
  #chips = el("div", { class: "past-chips", role: "group", "aria-label": "Filters" });
  #list = el("ol", { class: "past-list" });
  #more = el("button", { class: "button", type: "button", text: "Older", hidden: true });
  #dialog = el("dialog", { class: "past-dialog", "aria-label": "Picture" });
  #export = new PastExport();
  #correct = new Correct((stream, hint) => this.#export.open({ params: [], streams: [stream], whose: "only_corrected", hint }));
  #clip = new PastClip();
  #line = new PastLine((stream, until) => this.#jump(stream, until));
  #linked = "";
  #asked = 0;
  #next = null;

  constructor(root, { now, streams, admin }) {
    Object.assign(this, { root, now, streams, admin });
    const form = el("form", { class: "past-form", role: "search" },
      el("label", { for: "search", text: "Search what was seen" }), this.#input, el("button", { class: "button", type: "submit", text: "Search" }),
      el("button", { class: "button", type: "button", text: "Export…", onclick: () => this.#openExport() }));
    root.replaceChildren(form, this.#chips, this.#words, this.#line.root, this.#list, this.#more, this.#dialog, this.#correct.root, this.#clip.root, this.#export.root);
    form.addEventListener("submit", (event) => { event.preventDefault(); this.search(); });
    this.#more.addEventListener("click", () => this.#load(this.#next));
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
  }

  open() {
    this.#showChips();
    if (this.#linkedTo() || !this.#list.children.length) this.search();
  }

  // Whether the address has a search that was not done yet, as links from other views have: #history?q=stream:gate
  #linkedTo() {
    const words = new URLSearchParams(location.hash.split("?")[1] ?? "").get("q");
    if (!words || words === this.#linked) return false;
    this.#linked = this.#input.value = words;
    return true;
  }

  close() {
    this.#linked = "";
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
    if (faults.length) return put(this.#words, faults.join(". "));
    const query = new URLSearchParams([...params, ["limit", "24"]]);
    if (cursor) query.set("cursor", cursor);
    put(this.#words, "Searching…");
    const { value, error } = await fetchJson(`/api/v1/history?${query}`);
    if (turn !== this.#asked) return;
    if (error) return put(this.#words, `The search did not work: ${error}`);
    if (!cursor) this.#list.replaceChildren();
    this.#list.append(...value.results.map((found) => new Card(found, (one) => this.#enlarge(one)).root));
    this.#next = value.next;
    this.#more.hidden = !value.next;
    const count = this.#list.children.length;
    put(this.#words, count ? `${count}${value.next ? " newest" : ""} of what was seen` : "Nothing was found. Fewer words, or a longer time, find more.");
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
    const { found } = card;
    const box = el("div", { class: "stage" });
    const answers = otherAnswers(found, null).map(([name, words]) => el("p", {}, el("strong", { text: `${name} ` }), words));
    const close = el("button", { class: "button", type: "button", text: "Close", onclick: () => this.#dialog.close() });
    const correct = this.admin?.() ? el("button", { class: "button", type: "button", text: "Correct", onclick: () => this.#openCorrect(card) }) : null;
    const buttons = el("div", { class: "past-buttons" });
    buttons.append(...[correct, close].filter(Boolean));
    const said = found.correction ? el("p", { class: "past-words", text: `Corrected by ${found.correction.by}. The model said: ${found.caption ?? "nothing"}` }) : null;
    const parts = [box, el("h2", { text: `${found.stream}, ${shownTime(found.at)}` }), el("p", { text: counting(found).caption ?? "" }), said, ...answers, buttons];
    this.#dialog.replaceChildren(...parts.filter(Boolean));
    clipButtons(found, (alert) => this.#playClip(alert)).then((clips) => buttons.prepend(...clips));
    this.#dialog.showModal();
    const stage = new Stage(box);
    stage.setAspect(found.width / found.height);
    stage.setBoxes(card.boxes);
    card.load().then(() => card.bitmap && stage.setPicture(card.bitmap));
  }

  // Of what is searched its stream and its time; the server's dataset knows no words.
  #openExport() {
    const { params, faults } = parseQuery(this.#input.value, this.now());
    if (faults.length) return put(this.#words, faults.join(". "));
    const more = params.some(([name]) => !["stream", "since", "until"].includes(name));
    this.#export.open({ params, streams: this.streams(), hint: more ? "Words, labels and rules of the search do not count here: all pictures of the time are taken." : "" });
  }

  #playClip(alert) {
    this.#dialog.close();
    this.#clip.open(alert);
  }

  #openCorrect(card) {
    this.#dialog.close();
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

  constructor(found, enlarge) {
    this.found = found;
    const { detections, caption } = counting(found);
    this.boxes = { detections, alpha: 1, key: String(found.id), at: found.media_seconds };
    const box = el("div", { class: "stage" });
    const stood = found.until - found.at >= 1 ? `, for ${seconds(found.until - found.at)}` : "";
    const words = el("span", { class: "tile-words" }, el("span", { class: "tile-name", text: `${found.stream} · ${shownTime(found.at)}${stood}` }),
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
    this.bitmap = await createImageBitmap(blob);
    this.stage.setPicture(this.bitmap);
  }
}
