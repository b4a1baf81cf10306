// The settings of the selected stream, changed live.

import { el } from "./dom.js";
import { Ack, Field } from "./field.js";
import { Presets } from "./presets.js";
import { addForm, removeButton } from "./sources.js";
import { EDITABLE, otherTask, TaskField } from "./tasks.js";

export class Controls {
  #name = null;
  #number = null;
  #tasks = [];
  #fields = [];
  #presets = null;
  #others = el("div", { class: "control-group", hidden: true });
  #othersKey = "";

  constructor(root, connection) {
    this.root = root;
    this.connection = connection;
  }

  // Builds anew for another stream, else only follows its settings.
  show(stream, hello) {
    this.root.hidden = !stream && !hello?.can_add;
    if (!stream || stream.number !== this.#number || stream.stream !== this.#name) this.#build(stream, hello);
    if (!stream) return;
    this.#presets.adopt(stream.settings);
    for (const task of this.#tasks) task.adopt(stream.settings.tasks);
    for (const [field, name] of this.#fields) field.adopt(String(stream.settings[name]));
    this.#showOthers(stream);
  }

  #build(stream, hello) {
    const sameEmpty = !stream && this.#number === null && this.root.childElementCount > 0;
    if (sameEmpty) return;
    this.#name = stream?.stream ?? null;
    this.#number = stream?.number ?? null;
    this.#tasks = [];
    this.#fields = [];
    this.#othersKey = "";
    const parts = stream ? this.#settings(stream.stream, hello) : [];
    if (hello?.can_add) parts.push(...this.#sources(stream));
    this.root.replaceChildren(...parts);
  }

  #settings(name, hello) {
    this.#tasks = EDITABLE.map((kind) => new TaskField(kind, kind, this.connection, name));
    const ask = el("fieldset", { class: "control-group" }, ...this.#tasks.map((task) => task.root));
    ask.setAttribute("aria-label", "What is asked of each frame");
    const ack = new Ack();
    const budget = el("select", { id: "budget" }, ...["auto", ...hello.budgets].map((value) =>
      el("option", { value: String(value), text: value === "auto" ? "Auto" : `${value} tokens` })));
    const fps = el("input", { id: "fps", type: "number", min: "0.01", max: "60", step: "any", inputMode: "decimal" });
    const hint = el("p", { class: "hint", text: "A larger budget sees finer detail and takes longer. Applies at once." });
    const gate = el("input", { id: "gate", type: "number", min: "0", max: "1", step: "any", inputMode: "decimal" });
    gate.setAttribute("aria-describedby", "gate-hint");
    const gateHint = el("p", { class: "hint", id: "gate-hint", text: "Part of full brightness, 0 to 1, by which some spot must differ. Unchanged frames keep the last answer; 0 analyses every frame." });
    const pair = el("div", { class: "field-pair" },
      this.#setting("Budget", budget, "budget", ack, name), this.#setting("Frames / s", fps, "fps", ack, name));
    const effort = el("fieldset", { class: "control-group" }, el("div", { class: "field" }, pair, hint,
      this.#setting("Least change", gate, "gate", ack, name), el("div", { class: "hint-or-ack" }, gateHint, ack.root)));
    effort.setAttribute("aria-label", "How much is analysed");
    this.#presets = new Presets(this.connection, name);
    const head = el("div", { class: "card-head" }, el("h2", { text: "Ask the model" }), this.#presets.said);
    // The others last: they come and go with presets, and move nothing that is above them.
    return [head, this.#presets.root, ask, effort, this.#others];
  }

  #setting(title, input, setting, ack, name) {
    const send = (text) => {
      const value = text === "auto" ? text : Number(text.replace(",", "."));
      if (text === "" || Number.isNaN(value)) return Promise.resolve({ ok: false, error: `${title}: a number is needed` });
      return this.connection.command("set", { stream: name, [setting]: value });
    };
    this.#fields.push([new Field(input, ack, send), setting]);
    return el("div", { class: "field" }, el("label", { htmlFor: input.id, text: title }), input);
  }

  #showOthers(stream) {
    const others = stream.settings.tasks.filter((task) => !EDITABLE.includes(task.name));
    const key = JSON.stringify(others);
    if (key === this.#othersKey) return;
    this.#othersKey = key;
    this.#others.hidden = others.length === 0;
    this.#others.replaceChildren(...others.map((task) => otherTask(task, this.connection, stream.stream)));
  }

  #sources(stream) {
    const parts = [addForm(this.connection)];
    if (stream) parts.unshift(removeButton(this.connection, stream.stream));
    return [el("div", { class: "control-group" }, ...parts)];
  }
}
