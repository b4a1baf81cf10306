// A stream that is added: its source is tried first, and shows its first picture or why there is none.

import { el, put } from "./dom.js";
import { card, labelled, ticked } from "./settings-card.js";
import { PRESETS, tasksOf } from "./settings-presets.js";
import { Stage } from "./stage.js";
import { sendJson } from "./token.js";
import { rate } from "./words.js";

const GUESS = /([^/\\?#]+?)(?:\.\w{2,4})?\/?(?:[?#].*)?$/;
const NOT_ALLOWED = /may not be added/;
const TAKEN = /that no other stream has/;

export class AddStream {
  #address = el("input", { type: "text", required: true, maxLength: 2000, autocomplete: "off", spellcheck: false, placeholder: "rtsp://user:password@10.0.0.5/live" });
  #name = el("input", { type: "text", required: true, maxLength: 100, autocomplete: "off" });
  #preset = el("select", {}, ...PRESETS.map(([value, text]) => el("option", { value, text })));
  #group = el("input", { type: "text", maxLength: 100, autocomplete: "off", placeholder: "none" });
  #loop = el("input", { type: "checkbox" });
  #udp = el("input", { type: "checkbox" });
  #test = el("button", { class: "button", type: "button", text: "Test the connection" });
  #add = el("button", { class: "button primary", type: "submit", text: "Add", disabled: true });
  #words = el("p", { class: "set-words", role: "status" });
  #box = el("div", { class: "stage set-look", hidden: true });
  #groups = el("datalist", { id: "set-groups" });
  #stage;
  #first = el("small", { id: "set-add-first", text: "Test the connection first; then it can be added." });
  #tested = "";
  #guessed = "";
  #busy = false;

  // page: what all views share.
  constructor(page) {
    this.page = page;
    this.#stage = new Stage(this.#box);
    this.#group.setAttribute("list", "set-groups");
    const form = el("form", { class: "set-form", onsubmit: (event) => { event.preventDefault(); this.#send(); } },
      labelled("Address", this.#address, "A camera's or stream's address, or a file on the server."),
      el("div", { class: "set-row" }, labelled("Name", this.#name), labelled("Group", this.#group)), this.#groups,
      labelled("What to do with it", this.#preset, "All of it can be changed later."),
      el("div", { class: "set-row" }, ticked("Loop", this.#loop, "A file starts again at its end."), ticked("UDP", this.#udp, "RTSP over UDP instead of TCP.")),
      el("div", { class: "set-buttons" }, this.#test, this.#add, this.#first), this.#words, this.#box);
    this.#add.setAttribute("aria-describedby", "set-add-first");
    this.form = form;
    this.root = card("Add a stream", form);
    this.#test.addEventListener("click", () => this.#look());
    for (const input of [this.#address, this.#udp]) input.addEventListener("input", () => this.#changed());
  }

  // Groups that there are, to choose from.
  show() {
    const groups = [...new Set([...this.page.store.streams.values()].map((stream) => stream.group).filter(Boolean))];
    this.#groups.replaceChildren(...groups.map((value) => el("option", { value })));
  }

  get #probe() {
    return { address: this.#address.value.trim(), udp: this.#udp.checked };
  }

  // What was tested is another address than this one.
  #changed() {
    if (this.#name.value === this.#guessed) this.#name.value = ""; // it was that address's
    this.#guessed = "";
    this.#allow();
    put(this.#add, "Add");
    this.#box.hidden = true;
    put(this.#words, "");
  }

  async #look() {
    if (this.#busy || !this.#address.reportValidity()) return;
    const probe = this.#probe;
    this.#work(true, "Opening it and waiting for its first picture…");
    this.#box.hidden = true;
    const { value, error } = await sendJson("POST", "/api/v1/probes", probe);
    this.#work(false, "");
    if (JSON.stringify(probe) !== JSON.stringify(this.#probe)) return this.#changed();
    const allowed = !NOT_ALLOWED.test(error ?? "");
    this.#tested = allowed ? JSON.stringify(probe) : "";
    this.#allow();
    put(this.#add, error && allowed ? "Add it all the same" : "Add");
    put(this.#words, error ? `No picture: ${error.replace(/^address: /, "")}.` : facts(value));
    if (!this.#name.value) this.#name.value = this.#guessed = this.#guess(probe.address);
    if (value) await this.#picture(value);
  }

  async #picture({ picture, width, height }) {
    const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
    this.#box.hidden = false;
    this.#stage.setAspect(width / height);
    this.#stage.setPicture(await createImageBitmap(new Blob([bytes], { type: "image/jpeg" })));
  }

  async #send() {
    if (this.#busy || this.#add.disabled) return;
    const { address, udp } = this.#probe;
    const name = this.#name.value.trim();
    if (this.page.store.streams.has(name)) return this.#taken(name);
    const sent = JSON.stringify(this.#probe);
    this.#work(true, `Adding ${name}…`);
    const body = { name, address, udp, loop: this.#loop.checked, group: this.#group.value.trim(), tasks: tasksOf(this.#preset.value) };
    const { error } = await sendJson("POST", "/api/v1/streams", body);
    this.#work(false, error ? `It is not added: ${error}.` : "");
    if (TAKEN.test(error ?? "")) return this.#taken(name);
    if (error) return;
    const next = JSON.stringify(this.#probe) !== sent; // somebody has begun with another one
    if (next) this.#name.value = "";
    else this.form.reset();
    this.#guessed = this.#tested = "";
    this.#changed();
    put(this.#words, `${name} is added.`);
    if (!next) this.#address.focus();
  }

  #taken(name) {
    put(this.#words, `There is a stream called ${name} already. Choose another name.`);
    this.#name.focus();
  }

  #work(busy, words) {
    this.#busy = busy;
    this.#test.disabled = busy;
    this.#allow();
    put(this.#words, words);
  }

  // Whether it may be added, and where not yet, why.
  #allow() {
    const tested = JSON.stringify(this.#probe) === this.#tested;
    this.#add.disabled = this.#busy || !tested;
    this.#first.hidden = tested;
  }

  // A name out of the address that no stream has yet.
  #guess(address) {
    const plain = address.replace(/^\w+:\/\/(?:[^@/]*@)?/, "");
    const word = (GUESS.exec(plain)?.[1] ?? "stream").slice(0, 90);
    let name = word;
    for (let number = 2; this.page.store.streams.has(name); number += 1) name = `${word} ${number}`;
    return name;
  }
}

// In the place of the form where the server lets nobody add.
export function noAdding() {
  return card("Add a stream", el("p", { class: "set-words", text: "This server allows no sources to be added here. Whoever runs it can say which may be, by allow = [\"rtsp://\", …] in streams.toml." }));
}

function facts({ width, height, codec, fps }) {
  return ["This is its first picture", `${width}×${height}`, codec, fps ? `${rate(fps)} pictures a second` : ""].filter(Boolean).join(" · ");
}
