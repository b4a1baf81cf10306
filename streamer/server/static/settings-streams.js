// The streams as they run: changed, paused, opened again, removed.

import { el, put } from "./dom.js";
import { Ack } from "./field.js";
import { card, confirmed, labelled } from "./settings-card.js";
import { PRESETS, tasksOf } from "./settings-presets.js";
import { sendJson } from "./token.js";
import { stateWords } from "./words.js";

export class Streams {
  #list = el("ol", { class: "set-list" });
  #none = el("p", { class: "set-words", hidden: true, text: "No stream is being watched yet." });
  #rows = new Map();

  constructor(page) {
    this.page = page;
    this.root = card("Streams", this.#none, this.#list);
    page.store.addEventListener("stream", ({ detail }) => this.#rows.get(detail)?.show(page.store.streams.get(detail)));
  }

  show() {
    const { store } = this.page;
    const mayChange = this.page.admin();
    for (const [name, row] of this.#rows) {
      if (store.streams.has(name) && row.mayChange === mayChange) continue;
      row.root.remove();
      this.#rows.delete(name);
    }
    for (const [name, stream] of store.streams) {
      if (!this.#rows.has(name)) {
        this.#rows.set(name, new Row(name, mayChange, this.page));
        this.#list.append(this.#rows.get(name).root);
      }
      this.#rows.get(name).show(stream);
    }
    this.#none.hidden = store.streams.size > 0;
  }
}

class Row {
  #state = el("span", { class: "state" }, el("span", { class: "dot", "aria-hidden": "true" }), el("span"));
  #facts = el("p", { class: "set-facts" });
  #why = el("p", { class: "set-facts", hidden: true });
  #pause = el("button", { class: "button", type: "button" });
  #change = el("button", { class: "button", type: "button", text: "Change" });
  #ack = new Ack();
  #form = null;
  #stream = null;

  constructor(name, mayChange, page) {
    Object.assign(this, { name, mayChange, page });
    const head = el("div", { class: "set-line" }, el("strong", { text: name }), this.#state);
    this.root = el("li", { class: "set-item" }, el("div", {}, head, this.#facts, this.#why));
    this.root.dataset.name = name;
    if (!mayChange) return;
    const restart = el("button", { class: "button", type: "button", text: "Open again", onclick: () => this.#tell("restart", {}) });
    const remove = el("button", { class: "button danger", type: "button", text: "Remove", onclick: () => this.#remove() });
    for (const [button, words] of [[this.#change, "Change"], [restart, "Open again:"], [remove, "Remove"]]) button.setAttribute("aria-label", `${words} ${name}`);
    this.#pause.addEventListener("click", () => this.#tell("set", { paused: !this.#stream.settings.paused }));
    this.#change.addEventListener("click", () => (this.#form ? this.#close() : this.#open()));
    this.root.append(el("div", { class: "set-buttons" }, this.#change, this.#pause, restart, remove), this.#ack.root);
  }

  show(stream) {
    this.#stream = stream;
    const { settings, state } = stream;
    const shown = settings.paused && state === "live" ? "paused" : state;
    if (this.#state.dataset.state !== shown) this.#state.dataset.state = shown;
    put(this.#state.lastElementChild, stateWords(stream));
    const source = stream.source ? `${stream.source.width}×${stream.source.height} ${stream.source.codec}` : "";
    const tasks = settings.tasks.map((task) => task.name).join(", ") || "pictures only";
    put(this.#facts, [stream.group && `group ${stream.group}`, stream.address, source, tasks, `up to ${settings.fps} analysed a second`].filter(Boolean).join(" · "));
    const why = state === "live" ? "" : stream.reason;
    put(this.#why, why);
    if (this.#why.hidden !== !why) this.#why.hidden = !why;
    put(this.#pause, settings.paused ? "Resume" : "Pause");
    this.#pause.setAttribute("aria-label", `${settings.paused ? "Resume" : "Pause"} the analysis of ${this.name}`);
  }

  #tell(type, fields) {
    return this.#ack.follow(this.page.connection.command(type, { stream: this.name, ...fields }));
  }

  async #remove() {
    const wanted = await confirmed({ title: `Remove ${this.name}?`, words: "It is watched no more, and its settings are lost. What it has seen stays in the history.", action: "Remove" });
    if (wanted) await this.#tell("remove", {});
  }

  #open() {
    this.#form = changeForm(this.#stream, this.page.store.hello.budgets, { save: (change) => this.#save(change), close: () => this.#close() });
    this.#change.setAttribute("aria-expanded", "true");
    this.root.append(this.#form);
    this.#form.querySelector("input, select").focus();
  }

  #close() {
    this.#form?.remove();
    this.#form = null;
    this.#change.setAttribute("aria-expanded", "false");
    this.#change.focus();
  }

  async #save(change) {
    const answer = sendJson("PATCH", `/api/v1/streams/${encodeURIComponent(this.name)}`, change);
    const done = await this.#ack.follow(answer.then(({ error }) => ({ ok: !error, error })));
    if (done) this.#close();
  }
}

// Group, tasks, budget and rate of a stream; only what is another than before is sent.
function changeForm(stream, budgets, { save, close }) {
  const { settings } = stream;
  const group = el("input", { type: "text", maxLength: 100, value: stream.group ?? "", autocomplete: "off" });
  group.setAttribute("list", "set-groups");
  const preset = el("select", {}, el("option", { value: "", text: "As it is" }), ...PRESETS.map(([value, text]) => el("option", { value, text })));
  const budget = el("select", {}, ...["auto", ...budgets].map((value) => el("option", { value: String(value), text: value === "auto" ? "Auto" : `${value} tokens` })));
  budget.value = String(settings.budget);
  const fps = el("input", { type: "number", min: "0.01", max: "60", step: "any", required: true, value: String(settings.fps) });
  const send = (event) => {
    event.preventDefault();
    const change = {};
    if (group.value.trim() !== (stream.group ?? "")) change.group = group.value.trim();
    if (preset.value) change.tasks = tasksOf(preset.value);
    if (budget.value !== String(settings.budget)) change.budget = budget.value === "auto" ? "auto" : Number(budget.value);
    if (Number(fps.value) !== settings.fps) change.fps = Number(fps.value);
    if (Object.keys(change).length) save(change);
    else close();
  };
  const cancel = el("button", { class: "button", type: "button", text: "Cancel", onclick: close });
  return el("form", { class: "set-form set-change", onsubmit: send },
    el("div", { class: "set-row" }, labelled("Group", group), labelled("What to do with it", preset)),
    el("div", { class: "set-row" }, labelled("Budget", budget), labelled("Frames a second, at most", fps)),
    el("p", { class: "hint", text: "Prompts and labels are changed in the Live view. For another address add a new stream and remove this one." }),
    el("div", { class: "set-buttons" }, el("button", { class: "button primary", type: "submit", text: "Save" }), cancel));
}
