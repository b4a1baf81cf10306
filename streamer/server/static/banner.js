// What stands between the page and its server, in words, with a way on.

import { byId, el, put } from "./dom.js";
import { keepToken } from "./token.js";

const LINK_WORDS = { connecting: "Connecting", open: "Connected", lost: "Connection lost", token: "Token needed" };

export class Banner {
  #root = byId("banner");
  #link = byId("link");
  #words = el("span");
  #retryAt = 0;
  #was = "";

  constructor(connection) {
    this.connection = connection;
    connection.addEventListener("state", ({ detail }) => this.#follow(detail));
  }

  // Called now and then: the seconds until the next try go down.
  tick() {
    if (this.#was !== "lost") return;
    const left = Math.max(0, Math.ceil((this.#retryAt - Date.now()) / 1000));
    put(this.#words, `The connection to the server is lost. Trying again${left ? ` in ${left} s` : " now"}.`);
  }

  #follow({ state, retryAt }) {
    this.#retryAt = retryAt;
    this.#link.dataset.state = state;
    put(this.#link.querySelector("[data-words]"), LINK_WORDS[state]);
    if (state === "open") this.#hide();
    else if (state === "token") this.#askToken();
    else if (state === "lost" && this.#was !== "lost") this.#sayLost();
    if (state !== "connecting") this.#was = state;
    this.tick();
  }

  #hide() {
    this.#root.hidden = true;
    this.#root.replaceChildren();
  }

  #sayLost() {
    const again = () => this.connection.tryNow();
    this.#root.replaceChildren(this.#words, el("button", { class: "button", type: "button", text: "Try now", onclick: again }));
    this.#root.hidden = false;
  }

  #askToken() {
    const input = el("input", { type: "password", required: true, autocomplete: "off", maxLength: 200 });
    input.setAttribute("aria-label", "Token");
    const send = (event) => {
      event.preventDefault();
      keepToken(input.value.trim());
      this.connection.useToken(input.value.trim());
    };
    const form = el("form", { onsubmit: send }, input, el("button", { class: "button", type: "submit", text: "Open" }));
    const words = this.connection.token
      ? "The server does not know this token. It printed the right one when it started; or ask whoever runs it."
      : "This server needs a token. It printed one when it started; or ask whoever runs it.";
    this.#root.replaceChildren(el("span", { text: words }), form);
    this.#root.hidden = false;
    input.focus();
  }
}
