// Tokens: who may look, and who may change; made, shown once, withdrawn.

import { el, put } from "./dom.js";
import { card, confirmed, labelled, Waiting } from "./settings-card.js";
import { fetchJson, sendJson } from "./token.js";

const ROLES = [["viewer", "Viewer"], ["admin", "Admin"]];

export class TokenList {
  #list = el("ol", { class: "set-list" });
  #waiting = new Waiting(() => this.load());
  #name = el("input", { type: "text", required: true, maxLength: 60, autocomplete: "off", placeholder: "whose it is" });
  #role = el("select", {}, ...ROLES.map(([value, text]) => el("option", { value, text })));
  #streams = el("input", { type: "text", maxLength: 2000, autocomplete: "off", spellcheck: false, placeholder: "all streams" });
  #chips = el("div", { class: "set-chips" });
  #rights = el("div", { class: "set-rights" });
  #words = el("p", { class: "set-words", role: "status" });
  #made = el("div", { class: "set-made", hidden: true });

  constructor(page) {
    this.page = page;
    this.#rights.append(labelled("May see", this.#streams, "Names or patterns (gate-*) with commas between; empty means all."), this.#chips);
    const form = el("form", { class: "set-form", onsubmit: (event) => { event.preventDefault(); this.#make(form); } },
      el("div", { class: "set-row" }, labelled("Name", this.#name), labelled("Role", this.#role, "A viewer looks and acknowledges; an admin changes everything.")), this.#rights,
      el("div", { class: "set-buttons" }, el("button", { class: "button primary", type: "submit", text: "Make a token" })), this.#words);
    this.root = card("Tokens", this.#waiting.root, this.#list, this.#made, form);
    this.#role.addEventListener("change", () => { this.#rights.hidden = this.#role.value === "admin"; });
    this.#streams.addEventListener("input", () => this.#showChips());
  }

  show() {
    this.#showChips();
    return this.load();
  }

  async load() {
    if (!this.#list.childElementCount) this.#waiting.say("Looking for tokens…");
    const { value, error } = await fetchJson("/api/v1/tokens");
    if (error) return this.#waiting.say(`The tokens cannot be had: ${error}.`, true);
    this.#waiting.say(value.tokens.length ? "" : "Nobody has a token yet, besides the one that the server was started with, if it was.");
    this.#list.replaceChildren(...value.tokens.map((token) => this.#item(token)));
  }

  #item({ name, role, streams, created_at: created }) {
    const withdraw = el("button", { class: "button danger", type: "button", text: "Withdraw", onclick: () => this.#withdraw(name) });
    withdraw.setAttribute("aria-label", `Withdraw the token of ${name}`);
    const sees = role === "admin" ? "may change everything" : `sees ${streams.join(", ") || "all streams"}`;
    const words = el("div", {}, el("strong", { text: name }), el("p", { class: "set-facts", text: `${role} · ${sees} · made ${new Date(created * 1000).toLocaleDateString()}` }));
    return el("li", { class: "set-item set-token" }, words, withdraw);
  }

  async #withdraw(name) {
    const words = "Whoever uses it is shut out within a second. It cannot be had back; a new one can be made.";
    if (!await confirmed({ title: `Withdraw the token of ${name}?`, words, action: "Withdraw" })) return;
    const { error } = await sendJson("DELETE", `/api/v1/tokens/${encodeURIComponent(name)}`);
    put(this.#words, error ? `It is not withdrawn: ${error}.` : `The token of ${name} is good for nothing now.`);
    await this.load();
  }

  async #make(form) {
    const role = this.#role.value;
    const streams = role === "admin" ? [] : split(this.#streams.value);
    const { value, error } = await sendJson("POST", "/api/v1/tokens", { name: this.#name.value.trim(), role, streams });
    put(this.#words, error ? `It is not made: ${error}.` : "");
    if (error) return;
    this.#showMade(value);
    form.reset();
    this.#rights.hidden = false;
    this.#showChips();
    await this.load();
  }

  // Once: nobody can read it again.
  #showMade({ name, token }) {
    const field = el("input", { type: "text", readOnly: true, value: token, class: "set-secret", spellcheck: false });
    field.setAttribute("aria-label", `Token of ${name}`);
    field.addEventListener("focus", () => field.select());
    const said = el("p", { class: "set-words", role: "status" });
    const copy = el("button", { class: "button primary", type: "button", text: "Copy", onclick: async () => put(said, await copied(field)) });
    const done = el("button", { class: "button", type: "button", text: "I have kept it", onclick: () => this.#hideMade() });
    this.#made.replaceChildren(el("p", { text: `The token of ${name}. It is shown now and never again:` }), field, el("div", { class: "set-buttons" }, copy, done), said);
    this.#made.hidden = false;
    copy.focus();
  }

  #hideMade() {
    this.#made.hidden = true;
    this.#made.replaceChildren();
    this.#name.focus();
  }

  // Nothing secret stays on a page that is not looked at.
  close() {
    this.#made.hidden = true;
    this.#made.replaceChildren();
  }

  #showChips() {
    const chosen = split(this.#streams.value);
    this.#chips.replaceChildren(...this.page.streams().map((name) => {
      const pressed = chosen.includes(name);
      const press = () => {
        this.#streams.value = (pressed ? chosen.filter((one) => one !== name) : [...chosen, name]).join(", ");
        this.#showChips();
        this.#chips.querySelectorAll("button")[this.page.streams().indexOf(name)]?.focus();
      };
      return el("button", { class: "chip", type: "button", text: name, "aria-pressed": String(pressed), onclick: press });
    }));
  }
}

async function copied(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    return "Copied.";
  } catch {
    field.focus();
    field.select();
    return "The browser does not let this page copy; it is marked now: press Ctrl+C.";
  }
}

const split = (text) => text.split(",").map((name) => name.trim()).filter(Boolean);
