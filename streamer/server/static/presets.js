// Ready-made settings of a stream: one press fills its tasks and its budget, another takes that back.

import { el } from "./dom.js";
import { Ack } from "./field.js";

// [name, words, tasks, budget]
export const PRESETS = [
  ["describe", "Describe", [{ kind: "caption", name: "caption" }], 280],
  ["count", "Count people and cars", [{ kind: "detect", name: "detect", labels: ["person", "car"] }, { kind: "ask", name: "ask", prompt: "How many people and how many cars are there?" }], 560],
  ["read", "Read text", [{ kind: "read", name: "read" }], 1120],
  ["changed", "What has changed", [{ kind: "compare", name: "compare", frames: 2 }], 280],
];
// Tasks that a preset takes the place of; those of other names stay.
const REPLACED = ["caption", "detect", "ask", "read", "compare"];

export class Presets {
  #ack = new Ack();
  #back = el("button", { class: "button quiet", type: "button", text: "Undo" });
  #buttons = new Map();
  #settings = null;
  #before = null;
  // What became of them, and the way back; stands where its coming moves nothing.
  said;

  constructor(connection, stream) {
    Object.assign(this, { connection, stream });
    for (const [name, text, tasks, budget] of PRESETS) {
      this.#buttons.set(name, el("button", { class: "chip", type: "button", text, "aria-pressed": "false", onclick: () => this.#use(tasks, budget) }));
    }
    this.#back.addEventListener("click", () => this.#undo());
    this.root = el("div", { class: "control-group presets" },
      el("div", { class: "past-chips", role: "group", "aria-label": "Ready-made settings" }, ...this.#buttons.values()));
    this.said = el("div", { class: "presets-said" }, this.#ack.root, this.#back);
    this.#offer(false);
  }

  adopt(settings) {
    this.#settings = settings;
    for (const [name, , tasks, budget] of PRESETS) {
      this.#buttons.get(name).setAttribute("aria-pressed", String(matches(settings, tasks, budget)));
    }
  }

  async #use(tasks, budget) {
    const before = { tasks: this.#settings.tasks, budget: this.#settings.budget };
    const others = before.tasks.filter((task) => !REPLACED.includes(task.name));
    if (!(await this.#send({ tasks: [...tasks, ...others], budget }))) return;
    this.#before ??= before;
    this.#offer(true);
  }

  // Its place is kept: nothing moves when it comes.
  #offer(possible) {
    this.#back.style.visibility = possible ? "" : "hidden";
  }

  // Back to what was set before the first of the presets.
  async #undo() {
    if (!(await this.#send(this.#before))) return;
    this.#before = null;
    this.#offer(false);
    this.#buttons.values().next().value.focus();
  }

  #send(fields) {
    return this.#ack.follow(this.connection.command("set", { stream: this.stream, ...fields }));
  }
}

// Whether the settings are those of the preset, whatever other tasks there are.
function matches(settings, tasks, budget) {
  const mine = settings.tasks.filter((task) => REPLACED.includes(task.name));
  if (settings.budget !== budget || mine.length !== tasks.length) return false;
  return tasks.every((task) => mine.some((known) => known.name === task.name && known.kind === task.kind
    && (task.prompt === undefined || known.prompt === task.prompt) && (task.labels === undefined || String(known.labels) === String(task.labels))));
}
