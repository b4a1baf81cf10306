// The boxes as a list: one press takes one in hand, its label is text to be changed.

import { colourOf } from "./colours.js";
import { el, put } from "./dom.js";

export class CorrectList {
  #rows = [];
  #list = el("ol", { class: "correct-list" });
  #none = el("p", { class: "hint", text: "No boxes. Draw one on the picture, or press New box." });
  #labels = el("datalist", { id: "correct-labels" });
  #edit = null;
  #known = [];
  #keys;

  // keys(): back to the picture, where keys move boxes.
  constructor({ keys }) {
    this.#keys = keys;
    this.root = el("div", { class: "field" }, el("span", { class: "field-title", text: "Boxes" }), this.#none, this.#list, this.#labels);
  }

  show(edit, labels) {
    this.#edit = edit;
    this.#known = labels;
    this.#rows = [];
    this.#list.replaceChildren();
    this.follow();
  }

  // The label of the box in hand.
  focus() {
    const input = this.#rows[this.#edit.selected]?.input;
    input?.focus();
    input?.select();
  }

  follow() {
    const { boxes, selected } = this.#edit;
    while (this.#rows.length > boxes.length) this.#rows.pop().root.remove();
    while (this.#rows.length < boxes.length) this.#add();
    boxes.forEach((box, place) => {
      const row = this.#rows[place];
      if (row.input.value !== box.label) row.input.value = box.label;
      row.swatch.style.backgroundColor = colourOf(box.label);
      row.button.setAttribute("aria-pressed", String(place === selected));
      row.button.setAttribute("aria-label", `Take box ${place + 1}, ${box.label}, in hand`);
      row.root.dataset.chosen = String(place === selected);
    });
    this.#none.hidden = boxes.length > 0;
    const labels = [...new Set([...this.#known, ...boxes.map((box) => box.label)])].filter(Boolean);
    if (this.#labels.children.length !== labels.length) this.#labels.replaceChildren(...labels.map((value) => el("option", { value })));
    this.#rows[selected]?.root.scrollIntoView({ block: "nearest" });
  }

  #add() {
    const place = this.#rows.length;
    const swatch = el("i", { class: "swatch" });
    const words = el("span", {});
    put(words, String(place + 1));
    const button = el("button", { class: "chip", type: "button" }, swatch, words);
    const input = el("input", { type: "text", maxLength: 100, autocomplete: "off", spellcheck: false, "aria-label": `Label of box ${place + 1}` });
    input.setAttribute("list", "correct-labels");
    button.addEventListener("click", () => this.#edit.select(place));
    input.addEventListener("focus", () => this.#edit.selected === place || this.#edit.select(place));
    input.addEventListener("input", () => this.#edit.change({ ...this.#edit.boxes[place], label: input.value }, "label"));
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      this.#keys();
    });
    const root = el("li", { class: "correct-row" }, button, input);
    this.#list.append(root);
    this.#rows.push({ root, button, input, swatch });
  }
}
