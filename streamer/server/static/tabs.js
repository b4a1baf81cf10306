// The views of the page, one at a time, each with an address of its own behind the #; what follows a ? is the view's.

import { byId } from "./dom.js";
import { Skip } from "./skip.js";

export class Tabs {
  #views;
  #shown = null;
  #skip = new Skip();

  // views: {name: {shows: an element's id, main: the id of its main part, called: that part in words, open(), close()}};
  // the first one is shown where the address names none.
  constructor(root, views) {
    this.root = root;
    this.#views = views;
    window.addEventListener("hashchange", () => this.show());
  }

  show() {
    const names = Object.keys(this.#views);
    const wanted = location.hash.slice(1).split("?")[0];
    const current = names.includes(wanted) ? wanted : names[0];
    for (const name of names) byId(this.#views[name].shows).hidden = name !== current;
    for (const link of this.root.querySelectorAll("a")) {
      if (link.hash.slice(1) === current) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (this.#shown !== current) this.#views[this.#shown]?.close?.();
    if (this.#shown !== null && this.#shown !== current) scrollTo(0, 0); // the browser went to what has the view's name
    this.#skip.aim(byId(this.#views[current].main), this.#views[current].called);
    document.body.dataset.view = current;
    this.#shown = current;
    this.#views[current].open?.();
  }
}
