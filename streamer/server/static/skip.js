// The link before everything else: puts the focus on the main part of the view that is shown.

import { byId, put } from "./dom.js";

export class Skip {
  #link = byId("skip");
  #main = byId("view");

  constructor() {
    this.#link.addEventListener("click", (event) => this.#go(event));
  }

  // main: the part to go to; words: its name, as "the picture".
  aim(main, words) {
    this.#main = main;
    put(this.#link, `Skip to ${words}`);
  }

  // By script: its address behind the # would be taken for a view's.
  #go(event) {
    event.preventDefault();
    this.#main.tabIndex = -1;
    this.#main.focus();
  }
}
