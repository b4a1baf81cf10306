// Says how much newer there is than what a search has found, and shows it on a press: who reads is not pulled away.

import { el, put } from "./dom.js";
import { fetchJson } from "./token.js";

const EVERY_MS = 3000;
const MOST = 99;

export class PastNewer {
  #params = null;
  #known = new Set();
  #since = 0;
  #timer = 0;

  // show(): search again.
  constructor(store, show) {
    this.root = el("button", { class: "pill", type: "button", hidden: true, onclick: () => { scrollTo(0, 0); show(); } });
    store.addEventListener("result", () => this.#soon());
  }

  // params: the search as [[name, value]…], of which these results, newest first, were found; null: of none.
  follow(params, results = []) {
    this.#params = params && !params.some(([name]) => name === "until") ? params : null;
    this.#known = new Set(results.map(({ id }) => id));
    this.#since = results[0]?.at ?? 0;
    this.root.hidden = true;
    clearTimeout(this.#timer);
    this.#timer = 0;
  }

  // What comes is in the history a moment later.
  #soon() {
    if (!this.#params || this.#timer) return;
    this.#timer = setTimeout(() => this.#look(this.#params), EVERY_MS);
  }

  async #look(params) {
    const query = new URLSearchParams([...params.filter(([name]) => name !== "since" || !this.#since), ["limit", String(MOST + 1)]]);
    if (this.#since) query.set("since", String(this.#since));
    const { value } = document.hidden ? {} : await fetchJson(`/api/v1/history?${query}`);
    if (params !== this.#params) return;
    this.#timer = 0;
    if (!value) return;
    const count = value.results.filter(({ id }) => !this.#known.has(id)).length;
    put(this.root, `${count > MOST ? `More than ${MOST}` : count} newer: show`);
    this.root.hidden = count === 0;
  }
}
