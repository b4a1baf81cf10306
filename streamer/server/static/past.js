// History: what was seen, found again; pictures with their boxes.

import { el, put } from "./dom.js";
import { parseQuery, toggleChip } from "./query.js";
import { Stage } from "./stage.js";
import { fetchBlob, fetchJson } from "./token.js";
import { otherAnswers, seconds } from "./words.js";

const shownTime = (at) => new Date(at * 1000).toLocaleString();

export class Past {
  #input = el("input", { type: "search", id: "search", autocomplete: "off", maxLength: 500, placeholder: "red car stream:gate since:2h" });
  #words = el("p", { class: "past-words", role: "status" });
  #chips = el("div", { class: "past-chips", role: "group", "aria-label": "Filters" });
  #list = el("ol", { class: "past-list" });
  #more = el("button", { class: "button", type: "button", text: "Older", hidden: true });
  #dialog = el("dialog", { class: "past-dialog", "aria-label": "Picture" });
  #asked = 0;
  #next = null;

  constructor(root, { now, streams }) {
    Object.assign(this, { root, now, streams });
    const form = el("form", { class: "past-form", role: "search" },
      el("label", { for: "search", text: "Search what was seen" }), this.#input, el("button", { class: "button", type: "submit", text: "Search" }));
    root.replaceChildren(form, this.#chips, this.#words, this.#list, this.#more, this.#dialog);
    form.addEventListener("submit", (event) => { event.preventDefault(); this.search(); });
    this.#more.addEventListener("click", () => this.#load(this.#next));
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
  }

  open() {
    this.#showChips();
    if (!this.#list.children.length) this.search();
  }

  async search() {
    this.#next = null;
    await this.#load(null);
    this.#showChips();
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
    this.#dialog.replaceChildren(box, el("h2", { text: `${found.stream}, ${shownTime(found.at)}` }), el("p", { text: found.caption ?? "" }), ...answers, close);
    this.#dialog.showModal();
    const stage = new Stage(box);
    stage.setAspect(found.width / found.height);
    if (card.bitmap) stage.setPicture(card.bitmap);
    stage.setBoxes(card.boxes);
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
    this.boxes = { detections: found.detections, alpha: 1, key: String(found.id), at: found.media_seconds };
    const box = el("div", { class: "stage" });
    const stood = found.until - found.at >= 1 ? `, for ${seconds(found.until - found.at)}` : "";
    const words = el("span", { class: "tile-words" }, el("span", { class: "tile-name", text: `${found.stream} · ${shownTime(found.at)}${stood}` }),
      el("span", { class: "tile-caption", text: found.error ?? (found.snippet || found.caption || "") }));
    const button = el("button", { class: "tile", type: "button", onclick: () => enlarge(this) }, box, words);
    this.root = el("li", { data: { labels: [...new Set(found.detections.map((one) => one.label))].join("\n") } }, button);
    this.root.card = this;
    this.stage = new Stage(box, { small: true });
    this.stage.setAspect(found.width / found.height);
    this.stage.setBoxes(this.boxes);
    watcher.observe(this.root);
  }

  async load() {
    if (!this.found.picture) return;
    const blob = await fetchBlob(`/api/v1/snapshots/${encodeURIComponent(this.found.picture)}`);
    if (!blob) return;
    this.bitmap = await createImageBitmap(blob);
    this.stage.setPicture(this.bitmap);
  }
}
