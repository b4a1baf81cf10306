// One picture of the history, large: what was said of it, its file, the clips of its time, and the way to its neighbours.

import { el } from "./dom.js";
import { clipButtons } from "./past-clip.js";
import { Stage } from "./stage.js";
import { dayTime, fileTime, otherAnswers } from "./words.js";

const TURNS = { ArrowLeft: -1, ArrowRight: 1 };

export class PastLarge {
  root = el("dialog", { class: "past-dialog", "aria-label": "Picture" });
  #card = null;
  #url = null;
  #turning = false;

  // actions: {next(card, by): the promise of the card before (-1) or behind it (1), or null; correct(card) or null where
  // nobody may; play(alert)}
  constructor(actions) {
    this.actions = actions;
    this.root.addEventListener("click", (event) => event.target === this.root && this.root.close());
    this.root.addEventListener("keydown", (event) => {
      if (!(event.key in TURNS) || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.#turn(TURNS[event.key]);
    });
    this.root.addEventListener("close", () => this.#closed());
  }

  // card: {found, boxes, counts, bitmap, blob, load()}
  open(card) {
    this.#show(card);
    this.root.showModal();
  }

  close() {
    this.root.close();
  }

  #show(card) {
    this.#card = card;
    const { found, counts } = card;
    const box = el("div", { class: "stage" });
    const answers = otherAnswers(found, null).map(([name, words]) => el("p", {}, el("strong", { text: `${name} ` }), words));
    const said = found.correction ? el("p", { class: "past-words", text: `Corrected by ${found.correction.by}. The model said: ${found.caption ?? "nothing"}` }) : null;
    const buttons = el("div", { class: "past-buttons" });
    const file = el("a", { class: "button", text: "Download the picture", hidden: true });
    const correct = this.actions.correct ? el("button", { class: "button", type: "button", text: "Correct", onclick: () => this.actions.correct(card) }) : null;
    buttons.append(...[this.#step("Previous", -1), this.#step("Next", 1), correct, file, el("button", { class: "button", type: "button", text: "Close", onclick: () => this.root.close() })].filter(Boolean));
    const parts = [box, el("h2", { text: `${found.stream}, ${dayTime(found.at)}` }), el("p", { text: counts.caption ?? "" }), said, ...answers, buttons];
    this.root.replaceChildren(...parts.filter(Boolean));
    clipButtons(found, (alert) => this.actions.play(alert)).then((clips) => this.#card === card && buttons.before(el("div", { class: "past-buttons" }, ...clips)));
    const stage = new Stage(box);
    stage.setAspect(found.width / found.height);
    stage.setBoxes(card.boxes);
    card.load().then(() => {
      if (this.#card !== card || !card.bitmap) return;
      stage.setPicture(card.bitmap);
      this.#offer(file, card);
    });
  }

  #step(words, by) {
    return el("button", { class: "button", type: "button", text: words, data: { by: String(by) }, onclick: () => this.#turn(by) });
  }

  async #turn(by) {
    if (this.#turning) return;
    this.#turning = true;
    const card = await this.actions.next(this.#card, by);
    this.#turning = false;
    if (!this.root.open) return;
    if (card) this.#show(card);
    const button = this.root.querySelector(`[data-by="${by}"]`);
    if (!card) button.disabled = true; // there is none
    else button.focus();
  }

  // The picture as it is kept, without boxes.
  #offer(file, { found, blob }) {
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = URL.createObjectURL(blob);
    Object.assign(file, { href: this.#url, download: `${found.stream} ${fileTime(found.at)}.jpg`, hidden: false });
  }

  #closed() {
    this.#card?.root.querySelector("button")?.focus();
    this.#card = null;
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = null;
  }
}
