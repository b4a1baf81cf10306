// What may be set: streams, tokens, theme, and how long the past is kept; and what somebody's token is good for.

import { el, put } from "./dom.js";
import { AddStream, noAdding } from "./settings-add.js";
import { card } from "./settings-card.js";
import { Retention } from "./settings-keep.js";
import { Streams } from "./settings-streams.js";
import { themeCard } from "./settings-theme.js";
import { TokenList } from "./settings-tokens.js";
import { fetchJson } from "./token.js";

export class Settings {
  #rights = el("p", { class: "set-words", role: "status" });
  #who = card("You", this.#rights);
  #main = el("div", { class: "set-column" });
  #side = el("div", { class: "set-column" });
  #theme = themeCard();
  #streams;
  #parts = [];
  #built = "";

  // page: what all views share, see main.js.
  constructor(root, page) {
    Object.assign(this, { root, page });
    this.#streams = new Streams(page);
    this.#side.append(this.#theme);
    this.#main.append(el("p", { class: "set-words", text: "Waiting for the server…" }));
    root.replaceChildren(el("div", { class: "card-head set-head" }, el("h2", { text: "Settings" })), el("div", { class: "set-columns" }, this.#main, this.#side));
  }

  // It is looked at. Also called again whenever streams come and go.
  open() {
    this.#build();
    this.#showRights();
    this.#streams.show();
    for (const part of this.#parts) part.show();
  }

  // It is looked at no more.
  close() {
    for (const part of this.#parts) part.close?.();
  }

  // Anew only where somebody may do something else than before.
  #build() {
    const admin = this.page.admin();
    const adds = Boolean(this.page.store.hello?.can_add);
    const key = `${admin} ${adds}`;
    if (key === this.#built) return;
    this.#built = key;
    const add = adds ? new AddStream(this.page) : null;
    const [tokens, keep] = admin ? [new TokenList(this.page), new Retention()] : [null, null];
    this.#parts = [add, tokens, keep].filter(Boolean);
    this.#main.replaceChildren(...[add?.root ?? (admin ? noAdding() : null), this.#streams.root].filter(Boolean));
    this.#side.replaceChildren(...[this.#who, tokens?.root, keep?.root, this.#theme].filter(Boolean));
  }

  async #showRights() {
    const { value, error } = await fetchJson("/api/v1/server");
    if (error) return put(this.#rights, `What you may do cannot be had: ${error}.`);
    const sees = value.streams.length ? `the streams ${value.streams.join(", ")}` : "all streams";
    if (value.role === "admin") return put(this.#rights, `You are here as ${value.name} and may change everything.`);
    put(this.#rights, `You are here as ${value.name}, a viewer: you see ${sees}, search their history and acknowledge their alerts. You may not add, change, pause or remove streams, write rules, make tokens, or say how long things are kept. For that, ask whoever runs this server for a token of an admin.`);
  }
}
