// One task of the stream: a switch, and the words it asks with.

import { el, put } from "./dom.js";
import { Ack, Field } from "./field.js";

const MAX_WORDS = 2000;

// kind -> what the page says about it.
const KINDS = {
  caption: {
    title: "Caption",
    label: "Caption prompt",
    hint: "How to describe the picture. Enter saves.",
    words: (task) => task.prompt,
    fields: (text) => (text ? { prompt: text } : {}),
  },
  detect: {
    title: "Objects",
    label: "Objects to find",
    hint: "Names with commas between; empty finds everything.",
    words: (task) => task.labels.join(", "),
    fields: (text) => ({ labels: text.split(",").map((name) => name.trim()).filter(Boolean) }),
  },
  ask: {
    title: "Question",
    label: "Question about each frame",
    hint: "For example: How many cars are there?",
    words: (task) => task.prompt,
    fields: (text) => ({ prompt: text }),
    needsWords: true,
  },
};
export const EDITABLE = Object.keys(KINDS);

export class TaskField {
  #on;
  #kind;

  constructor(kind, name, connection, stream) {
    this.#kind = KINDS[kind];
    Object.assign(this, { kind, name, connection, stream });
    const { title, label, hint } = this.#kind;
    const tag = kind === "caption" ? "textarea" : "input";
    const input = el(tag, { id: `task-${kind}`, maxLength: MAX_WORDS, autocomplete: "off", spellcheck: false });
    if (tag === "input") input.type = "text";
    input.setAttribute("aria-label", label);
    input.setAttribute("aria-describedby", `hint-${kind}`);
    this.ack = new Ack();
    this.field = new Field(input, this.ack, (text) => this.#save(text));
    this.#on = el("input", { type: "checkbox", role: "switch", id: `on-${kind}`, onchange: () => this.#switch() });
    this.#on.setAttribute("aria-label", `${title} on`);
    const head = el("div", { class: "field-head" }, el("span", { class: "field-title", text: title }),
      el("span", { class: "switch" }, this.#on, el("span")));
    this.hint = el("p", { class: "hint", id: `hint-${kind}`, text: hint });
    this.root = el("div", { class: "field" }, head, input, el("div", { class: "hint-or-ack" }, this.hint, this.ack.root));
  }

  adopt(tasks) {
    const task = tasks.find((known) => known.name === this.name);
    this.running = Boolean(task);
    this.root.dataset.off = String(!task);
    if (!this.ack.pending) this.#on.checked = Boolean(task);
    if (task) this.field.adopt(this.#kind.words(task));
  }

  async #switch() {
    const text = this.field.input.value.trim();
    if (this.#on.checked && this.#kind.needsWords && !text) {
      this.#on.checked = false;
      this.ack.say("", "Type the question first, then press Enter.");
      this.field.input.focus();
      return;
    }
    const done = await this.ack.follow(this.#on.checked ? this.#put(text) : this.#drop());
    if (done) this.field.dirty = false;
    else this.#on.checked = this.running;
  }

  // Words typed for a task that is off switch it on; a question without words switches it off.
  #save(text) {
    if (this.running && text === this.field.known) return null;
    if (this.#kind.needsWords && !text) return this.running ? this.#drop() : null;
    return this.#put(text);
  }

  #put(text) {
    const task = { kind: this.kind, name: this.name, ...this.#kind.fields(text) };
    return this.connection.command("set_task", { stream: this.stream, task });
  }

  #drop() {
    return this.connection.command("drop_task", { stream: this.stream, name: this.name });
  }
}

// A task that the page does not edit: shown, and taken off.
export function otherTask(task, connection, stream) {
  const ack = new Ack();
  const drop = () => ack.follow(connection.command("drop_task", { stream, name: task.name }));
  const button = el("button", { class: "button quiet", type: "button", text: "Take off", onclick: drop });
  button.setAttribute("aria-label", `Take off the task ${task.name}`);
  const prompt = el("p", { class: "hint" });
  put(prompt, task.prompt);
  const title = task.name[0].toUpperCase() + task.name.slice(1);
  const head = el("div", { class: "field-head" }, el("span", { class: "field-title", text: title }), button);
  return el("div", { class: "field" }, head, prompt, ack.root);
}
