// One way to ask: its fields, and what came of it beside the first one's answer.

import { against } from "./compare-against.js";
import { Marks } from "./compare-marks.js";
import { KINDS, needsPrompt, usesLabels, usesPrompt } from "./compare-ways.js";
import { el, put } from "./dom.js";
import { legend } from "./legend.js";
import { Stage } from "./stage.js";
import { whole } from "./words.js";

const TITLES = { caption: "Caption", detect: "Objects", read: "Text", ask: "Answer", check: "Yes or no" };
let made = 0;
const COUNTED = [["in", "Tokens in"], ["out", "Tokens out"], ["passes", "Model passes"], ["time", "Time"]];

export class Column {
  #kind = el("select", {}, ...KINDS.map(([value, text]) => el("option", { value, text })));
  #prompt = el("input", { type: "text", maxLength: 2000, autocomplete: "off" });
  #labels = el("input", { type: "text", maxLength: 500, autocomplete: "off", placeholder: "everything" });
  #budget = el("select", {});
  #model = el("select", {});
  #away = el("button", { class: "button quiet", type: "button", text: "Take away" });
  #title = el("h2", {});
  #fault = el("p", { class: "ack", role: "status" });
  #box = el("div", { class: "stage" });
  #waits = el("p", { class: "compare-waits" });
  #verdict = el("p", { class: "compare-verdict" });
  #said = el("div", { class: "compare-said" });
  #caveat = el("p", { class: "compare-caveat", hidden: true });
  #figures = new Map();
  #rows;

  // changed(): its fields say something else; taken(): it is not wanted any more.
  constructor({ changed, taken }) {
    const number = ++made;
    const field = (title, input) => {
      input.id = `compare-${title.toLowerCase()}-${number}`;
      return el("div", { class: "field" }, el("label", { for: input.id, text: title }), input);
    };
    this.#rows = { model: field("Model", this.#model), prompt: field("Prompt", this.#prompt), labels: field("Objects", this.#labels) };
    const form = el("fieldset", { class: "compare-form" }, this.#rows.model,
      el("div", { class: "field-pair" }, field("Ask", this.#kind), field("Budget", this.#budget)), this.#rows.prompt, this.#rows.labels, this.#fault);
    const figures = el("dl", { class: "facts" }, ...COUNTED.map(([name, title]) => {
      const value = el("dd", { text: "–", data: { figure: name } });
      this.#figures.set(name, value);
      return el("div", {}, el("dt", { text: title }), value);
    }));
    this.root = el("section", { class: "card compare-column" }, el("div", { class: "card-head" }, this.#title, this.#away), form, this.#box, this.#waits, this.#verdict, this.#said, this.#caveat, figures);
    this.form = form;
    form.addEventListener("change", () => { this.#fit(); changed(); });
    this.#away.addEventListener("click", taken);
    this.stage = new Stage(this.#box);
    this.marks = new Marks(this.#box);
  }

  get way() {
    return { kind: this.#kind.value, budget: Number(this.#budget.value), prompt: this.#prompt.value, labels: this.#labels.value, model: this.#model.value };
  }

  // letter: its name; models: the job's own first; removable: whether there would be enough without it.
  fill(way, letter, { budgets, models }, removable) {
    this.letter = letter;
    const values = models.length ? models.map((name, place) => (place ? name : "")) : [way.model]; // none: not known yet
    this.#model.replaceChildren(...values.map((value, place) => el("option", { value, text: models[place] ?? value })));
    this.#model.value = values.includes(way.model) ? way.model : "";
    this.#rows.model.hidden = models.length < 2;
    this.form.dataset.models = String(models.length > 1);
    this.#budget.replaceChildren(...budgets.map((value) => el("option", { value: String(value), text: `${value} tokens` })));
    this.#kind.value = way.kind;
    this.#budget.value = String(budgets.includes(way.budget) ? way.budget : budgets[0]);
    this.#prompt.value = way.prompt;
    this.#labels.value = way.labels;
    this.name(letter, removable);
    this.#fit();
  }

  name(letter, removable) {
    this.letter = letter;
    put(this.#title, letter === "A" ? "A, the measure" : letter);
    this.root.setAttribute("aria-label", `Way ${letter}`);
    this.form.setAttribute("aria-label", `Question of ${letter}`);
    this.#away.hidden = !removable;
    this.#away.setAttribute("aria-label", `Take away ${letter}`);
  }

  // What is missing in its fields, in words; empty where nothing is.
  complain(words) {
    this.#fault.dataset.kind = "bad";
    put(this.#fault, words);
  }

  clear(words) {
    for (const value of this.#figures.values()) put(value, "–");
    put(this.#verdict, "");
    delete this.#verdict.dataset.same;
    this.#said.replaceChildren(el("p", { class: "said-none", text: words }));
    this.#caveat.hidden = true;
    this.stage.setBoxes({ detections: [], alpha: 1, key: "none", at: null });
    this.marks.show(null, 16 / 9);
  }

  // Its place is the live stream's, which is then sent, or nobody's.
  watch(stream) {
    if (stream) this.#box.dataset.stream = stream;
    else delete this.#box.dataset.stream;
  }

  preview(bitmap, aspect) {
    this.stage.setAspect(aspect);
    this.stage.setPicture(bitmap);
  }

  // seconds: how long its next answer is awaited; 0 says nothing.
  wait(seconds) {
    put(this.#waits, seconds ? `The next answer is awaited for ${seconds} s` : "");
  }

  // first: the first way's result; null where this is it. Gives how they stand to each other, or null.
  show(result, first, { bitmap, aspect, key, at, caveat }) {
    const found = first ? against(first, result) : null;
    this.stage.setAspect(aspect);
    this.stage.setPicture(bitmap);
    this.stage.setBoxes({ detections: result.detections, alpha: 1, key: `${key} ${this.letter}`, at });
    this.marks.show(found?.boxes, aspect);
    this.#showVerdict(found, first);
    this.#showSaid(result, found ?? against(result, result));
    this.#caveat.hidden = !result.caveat || result.caveat === caveat;
    put(this.#caveat, result.caveat ?? "");
    const { usage, timings } = result;
    put(this.#figures.get("in"), whole(usage.image_tokens + usage.prompt_tokens));
    put(this.#figures.get("out"), whole(usage.output_tokens));
    put(this.#figures.get("passes"), whole(usage.forwards));
    put(this.#figures.get("time"), milliseconds(timings.total_ms));
    return found;
  }

  #fit() {
    const kind = this.#kind.value;
    this.#rows.prompt.hidden = !usesPrompt(kind);
    this.#rows.labels.hidden = !usesLabels(kind);
    put(this.#rows.prompt.firstElementChild, needsPrompt(kind) ? "Question" : "Prompt");
    this.#prompt.placeholder = needsPrompt(kind) ? "How many cars are there?" : "as usual";
    this.complain("");
  }

  #showVerdict(found, first) {
    this.#verdict.dataset.same = found ? String(found.same) : "";
    if (!first) return put(this.#verdict, "");
    put(this.#verdict, found ? verdictWords(found) : "Cannot be held against A");
  }

  #showSaid(result, found) {
    const parts = [];
    if (result.error) parts.push(el("p", { class: "fault", text: `Not answered. ${result.error}` }));
    for (const [name, words] of found?.answers ?? []) parts.push(el("p", { class: "compare-answer" }, el("b", { text: `${titleOf(name)} ` }), ...words.flatMap(marked)));
    if (result.detections.length) parts.push(legend(result.detections));
    if (found?.boxes.more.length) parts.push(el("p", { class: "compare-boxes", text: `+ only here: ${names(found.boxes.more)}` }));
    if (found?.boxes.less.length) parts.push(el("p", { class: "compare-boxes", text: `− only in A: ${names(found.boxes.less)}` }));
    for (const [task, note] of Object.entries(result.notes)) parts.push(el("p", { class: "odd", text: `Answer to ${task}: ${note}` }));
    if (!parts.length) parts.push(el("p", { class: "said-none", text: "Nothing found in this frame." }));
    this.#said.replaceChildren(...parts);
  }
}

export const milliseconds = (value) => (value < 10 ? `${value.toFixed(1)} ms` : `${whole(Math.round(value))} ms`);

// A run of words as nodes; what differs is in an element of its own that says so by more than its colour.
export function marked({ kind, words }) {
  if (kind === "same") return [words, " "];
  return [el(kind === "more" ? "ins" : "del", { text: words }), " "];
}

function titleOf(name) {
  const [kind, number] = name.split("-");
  return (TITLES[kind] ?? name) + (number && TITLES[kind] ? ` ${number}` : "");
}

function names(boxes) {
  const counts = new Map();
  for (const { label } of boxes) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].map(([label, count]) => (count > 1 ? `${count} × ${label}` : label)).join(", ");
}

function verdictWords({ answers, boxes, same, alike }) {
  if (same) return "✓ The same as A";
  const parts = [];
  if (alike < 1) parts.push(`${Math.round(100 * alike)} % of the words as in A`);
  else if (answers.length) parts.push("the same words as A");
  if (boxes.more.length) parts.push(`${boxes.more.length} ${boxes.more.length === 1 ? "box" : "boxes"} more`);
  if (boxes.less.length) parts.push(`${boxes.less.length} ${boxes.less.length === 1 ? "box" : "boxes"} missing`);
  return `≠ ${parts.join(", ")}`;
}
