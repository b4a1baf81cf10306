// What the settings' parts are made of: a card, a field with its words, a question before something is done for good.

import { el, put } from "./dom.js";

// A card with a heading; label: what it is called for those who do not see it.
export function card(title, ...children) {
  const section = el("section", { class: "card set-card" }, el("div", { class: "card-head" }, el("h2", { text: title })), ...children);
  section.setAttribute("aria-label", title);
  return section;
}

// An input with its name above and a hint below.
export function labelled(words, input, hint = "") {
  return el("div", { class: "set-field" }, el("label", {}, el("span", { text: words }), input), hinted(input, hint));
}

// A checkbox or radio button with its words behind it.
export function ticked(words, input, hint = "") {
  return el("div", { class: "set-tick" }, el("label", {}, input, el("span", { text: words })), hinted(input, hint));
}

let hints = 0;

function hinted(input, hint) {
  if (!hint) return null;
  hints += 1;
  input.setAttribute("aria-describedby", `set-hint-${hints}`);
  return el("small", { id: `set-hint-${hints}`, text: hint });
}

// What is said while something is fetched, and the way on where it cannot be.
export class Waiting {
  #words = el("p", { class: "set-words", role: "status" });
  #again = el("button", { class: "button", type: "button", text: "Try again", hidden: true });

  constructor(again) {
    this.root = el("div", { class: "set-waiting" }, this.#words, this.#again);
    this.#again.addEventListener("click", again);
  }

  say(words, failed = false) {
    put(this.#words, words);
    this.#again.hidden = !failed;
    this.root.hidden = !words;
  }
}

// Asks before something is done that cannot be undone; resolves to whether it is wanted.
export function confirmed({ title, words, action }) {
  return new Promise((resolve) => {
    const dialog = el("dialog", { class: "set-dialog" });
    const close = (wanted) => () => { dialog.returnValue = wanted; dialog.close(); };
    const keep = el("button", { class: "button", type: "button", text: "Cancel", autofocus: true, onclick: close("") });
    const go = el("button", { class: "button danger", type: "button", text: action, onclick: close("yes") });
    dialog.append(el("h2", { text: title, id: "set-dialog-title" }), el("p", { text: words }), el("div", { class: "set-buttons" }, keep, go));
    dialog.setAttribute("aria-labelledby", "set-dialog-title");
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
