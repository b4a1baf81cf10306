// One setting on the page: shows the server's value, sends what is typed, says in place what became of it.
// What somebody is typing is never overwritten.

import { el, put } from "./dom.js";

const SAVED_MS = 2500;
const SHORT = 120;

const short = (words) => (words.length > SHORT ? `${words.slice(0, SHORT)}…` : words);

// Its place is kept free while it says nothing (css/parts.css), so that words that come move nothing.
export class Ack {
  #timer = 0;
  pending = false;

  constructor() {
    this.root = el("p", { class: "ack", role: "status" });
  }

  say(kind, words) {
    clearTimeout(this.#timer);
    this.root.dataset.kind = kind;
    put(this.root, words);
    if (kind === "good") this.#timer = setTimeout(() => put(this.root, ""), SAVED_MS);
  }

  // Waits for the answer to a command and shows it, in these words where it was done; resolves to whether it was.
  async follow(answer, done = "Saved ✓") {
    this.pending = true;
    this.say("wait", "Saving…");
    const { ok, error } = await answer;
    this.pending = false;
    this.say(ok ? "good" : "bad", ok ? done : error);
    return ok;
  }
}

export class Field {
  // input: an input, select or textarea. send(value): sends it, giving the promise of an acknowledgement, or null where
  // there is nothing to send.
  constructor(input, ack, send) {
    this.input = input;
    this.ack = ack;
    this.send = send;
    this.known = "";
    this.sent = null;
    this.dirty = false;
    input.addEventListener("input", () => { this.dirty = true; });
    input.addEventListener("change", () => this.commit());
    input.addEventListener("keydown", (event) => this.#key(event));
    input.addEventListener("blur", () => this.#left());
  }

  // The server's value. Stays unseen while the field is being edited or saved, but for a word where it was another's
  // and is news.
  adopt(value) {
    const own = value === this.sent;
    if (own) this.sent = null;
    const news = value !== this.known && !own;
    this.known = value;
    if (this.ack.pending) return;
    if (!this.dirty) this.#set(value);
    else if (news && value !== this.input.value.trim()) this.ack.say("wait", `Changed elsewhere meanwhile, to ${value ? `“${short(value)}”` : "nothing"}. Enter saves yours, Escape takes that one.`);
  }

  async commit() {
    const value = this.input.value.trim();
    const answer = this.send(value);
    if (!answer) {
      this.dirty = false;
      return;
    }
    this.sent = value;
    const ok = await this.ack.follow(answer);
    if (!ok) this.sent = null;
    if (ok && this.input.value.trim() === value) this.dirty = false;
  }

  #key(event) {
    if (event.isComposing) return;
    if (event.key === "Escape") {
      this.dirty = false;
      this.#set(this.known);
      this.ack.say("", "");
    } else if (event.key === "Enter" && !event.shiftKey && this.input.tagName === "TEXTAREA") {
      event.preventDefault();
      if (this.dirty) this.commit();
    }
  }

  // A field that was left as the server knows it follows the server again.
  #left() {
    if (this.input.value.trim() === this.known) this.dirty = false;
  }

  #set(value) {
    if (this.input.value !== value) this.input.value = value;
  }
}
