// What the last frames come to: medians a way, and how often it said the same as the first.

import { milliseconds } from "./compare-column.js";
import { el, put } from "./dom.js";
import { whole } from "./words.js";

const KEPT = 50;
const HEADS = ["Way", "Median time", "Median tokens out", "Median passes", "Same as A", "Words as in A", "Boxes as in A"];

export class Totals {
  #frames = [];
  #caption = el("caption", {});
  #body = el("tbody", {});
  #note = el("p", { class: "compare-note", text: "Ways with the same model and budget share the look at the picture: it is in the time of the first of them.", hidden: true });

  constructor() {
    const head = el("tr", {}, ...HEADS.map((text) => el("th", { scope: "col", text })));
    this.root = el("div", { class: "compare-totals", tabIndex: 0, role: "region", "aria-label": "Totals", hidden: true },
      el("table", {}, this.#caption, el("thead", {}, head), this.#body), this.#note);
  }

  clear() {
    this.#frames.length = 0;
    this.root.hidden = true;
  }

  // ways: [{letter, budget, model, result, found}] of one frame; found: how it stands to the first, or null.
  add(ways) {
    this.#frames.push(ways);
    if (this.#frames.length > KEPT) this.#frames.shift();
    this.root.hidden = false;
    this.#note.hidden = new Set(ways.map(({ budget, model }) => `${budget} ${model}`)).size === ways.length;
    const several = new Set(ways.map(({ model }) => model)).size > 1;
    const count = this.#frames.length;
    put(this.#caption, count === 1 ? "One frame so far" : `The last ${count} frames`);
    this.#body.replaceChildren(...ways.map((way, place) => this.#row(way, this.#frames.map((frame) => frame[place]), several)));
  }

  #row({ letter, budget, model }, column, several) {
    const answered = column.filter(({ result }) => !result.error);
    const held = column.map(({ found }) => found).filter(Boolean);
    const middle = (pick, words) => (answered.length ? words(median(answered.map(pick))) : "–");
    const part = (value) => (held.length && letter !== "A" ? `${Math.round(100 * value())} %` : "–");
    const cells = [
      middle(({ result }) => result.timings.total_ms, milliseconds),
      middle(({ result }) => result.usage.output_tokens, whole),
      middle(({ result }) => result.usage.forwards, whole),
      letter === "A" || !held.length ? "–" : `${held.filter(({ same }) => same).length} of ${column.length}`,
      part(() => mean(held.map(({ alike }) => alike))),
      part(() => pairedPart(held)),
    ];
    return el("tr", {}, el("th", { scope: "row", text: `${letter}, ${budget} tokens${several ? `, ${model}` : ""}` }), ...cells.map((text) => el("td", { text })));
  }
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

function pairedPart(held) {
  const sum = (pick) => held.reduce((all, { boxes }) => all + pick(boxes), 0);
  const paired = 2 * sum((boxes) => boxes.pairs.length);
  const all = paired + sum((boxes) => boxes.more.length + boxes.less.length);
  return all ? paired / all : 1;
}
