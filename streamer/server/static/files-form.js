// What is wanted of files: what to ask, of which pictures, what to write; and the place to drop them.

import { el, put, tick } from "./dom.js";
import { formatWords } from "./words-files.js";

const EVERY = [["1s", "Every second"], ["2 fps", "Twice a second"], ["2s", "Every 2 seconds"], ["5s", "Every 5 seconds"], ["10s", "Every 10 seconds"], ["60s", "Every minute"], ["scenes", "At each new scene"], ["keyframes", "At key frames"], ["all", "Every picture"]];
const BUDGET = 280;
const BEFORE = ["jsonl", "mp4"];

export class JobForm {
  #caption = tick("Captions", true);
  #detect = tick("Objects with labels", true);
  #labels = el("input", { type: "text", maxLength: 1000, placeholder: "person, car; empty: everything", autocomplete: "off", "aria-label": "Objects to find" });
  #read = tick("Read text", false);
  #ask = tick("A question", false);
  #question = el("input", { type: "text", maxLength: 1000, placeholder: "How many people are there?", autocomplete: "off", "aria-label": "The question" });
  #every = el("select", {}, ...EVERY.map(([value, text]) => el("option", { value, text })));
  #budget = el("select", {});
  #from = el("input", { type: "number", min: 0, step: "any", placeholder: "its start", inputMode: "decimal" });
  #to = el("input", { type: "number", min: 0, step: "any", placeholder: "its end", inputMode: "decimal" });
  #formats = el("div", { class: "files-formats" });
  #file = el("input", { type: "file", multiple: true, accept: "video/*,image/jpeg,image/png,image/webp,.mkv,.ts,.avi,.wmv,.flv,.mxf", id: "files-choose" });
  #fault = el("p", { class: "rule-fault", role: "alert" });
  #take;

  // take(files, params): what was dropped or chosen, with URLSearchParams of what is wanted.
  constructor(take) {
    this.#take = take;
    const ask = el("fieldset", { class: "files-tasks" }, el("legend", { text: "Ask of each picture" }),
      this.#caption.root, el("div", { class: "files-task" }, this.#detect.root, this.#labels), this.#read.root, el("div", { class: "files-task" }, this.#ask.root, this.#question));
    this.#question.addEventListener("input", () => { if (this.#question.value.trim()) this.#ask.input.checked = true; });
    this.#labels.addEventListener("input", () => { if (this.#labels.value.trim()) this.#detect.input.checked = true; });
    const more = el("div", { class: "files-pair" }, field("Which pictures", this.#every), field("Budget", this.#budget), field("From second", this.#from), field("To second", this.#to));
    const write = el("fieldset", { class: "files-tasks" }, el("legend", { text: "Write" }), this.#formats);
    this.root = el("section", { class: "card files-form", "aria-label": "Hand in files" }, el("h2", { text: "Hand in files" }), ask, more, write, this.#fault, this.#dropArea());
  }

  // Formats and budgets that the server has; what somebody has ticked stays.
  offer(formats, budgets) {
    if (!this.#budget.options.length) this.#budget.replaceChildren(...budgets.map((value) => el("option", { value: String(value), text: `${value} tokens`, selected: value === BUDGET })));
    if (this.#formats.children.length) return;
    this.#formats.replaceChildren(...formats.map((name) => {
      const one = tick(formatWords(name), BEFORE.includes(name));
      one.input.value = name;
      one.input.disabled = name === "jsonl";
      return one.root;
    }));
  }

  // A label is a button for its input: a click opens the chooser, and the input itself takes the keyboard.
  #dropArea() {
    const area = el("label", { class: "files-drop", htmlFor: "files-choose" }, el("strong", { text: "Drop videos or pictures here" }), el("span", { text: "or press to choose them. They are sent at once, with what is chosen above." }), this.#file);
    this.#file.addEventListener("change", () => {
      this.#give([...this.#file.files]);
      this.#file.value = "";
    });
    for (const kind of ["dragenter", "dragover"]) area.addEventListener(kind, (event) => { event.preventDefault(); area.dataset.over = "true"; });
    area.addEventListener("dragleave", () => delete area.dataset.over);
    area.addEventListener("drop", (event) => {
      event.preventDefault();
      delete area.dataset.over;
      this.#give([...event.dataTransfer.files]);
    });
    return area;
  }

  #give(files) {
    const tasks = this.#tasks();
    if (!files.length) return;
    if (!tasks.length) return put(this.#fault, "Tick at least one thing to ask, then drop the files again.");
    if (this.#ask.input.checked && !this.#question.value.trim()) {
      put(this.#fault, "Write the question first, then drop the files again.");
      return this.#question.focus();
    }
    put(this.#fault, "");
    const params = new URLSearchParams([...tasks.map((task) => ["task", task]), ["every", this.#every.value]]);
    if (this.#budget.value) params.set("budget", this.#budget.value);
    if (this.#from.value !== "") params.set("from", this.#from.value);
    if (this.#to.value !== "") params.set("to", this.#to.value);
    for (const input of this.#formats.querySelectorAll("input:checked")) params.append("format", input.value);
    this.#take(files, params);
  }

  #tasks() {
    return [
      this.#caption.input.checked && "caption",
      this.#detect.input.checked && `detect:${this.#labels.value.trim() || "all"}`,
      this.#read.input.checked && "read",
      this.#ask.input.checked && `ask:${this.#question.value.trim()}`,
    ].filter(Boolean);
  }
}

const field = (words, input) => el("label", { class: "rule-field" }, el("span", { text: words }), input);
