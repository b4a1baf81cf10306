// How long the past is kept, and what it takes on the disk.

import { el, put } from "./dom.js";
import { card, confirmed, labelled, Waiting } from "./settings-card.js";
import { fetchJson, sendJson } from "./token.js";
import { dayTime } from "./words.js";

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];
const NAMES = ["keep_days", "keep_gib", "keep_alert_days"];

export class Retention {
  #waiting = new Waiting(() => this.load());
  #meter = el("meter", { min: 0, max: 1, class: "set-meter" });
  #used = el("p", {});
  #facts = el("p", { class: "set-facts" });
  #words = el("p", { class: "set-words", role: "status" });
  #inputs = {
    keep_days: number(0, 100000),
    keep_gib: number(0.001, 1000000),
    keep_alert_days: number(0, 100000),
  };
  #known = null;
  #body;

  constructor() {
    this.#meter.setAttribute("aria-label", "Room in use, of what may be kept");
    const form = el("form", { class: "set-form", onsubmit: (event) => { event.preventDefault(); this.#save(); } },
      labelled("Results and their pictures, days", this.#inputs.keep_days),
      labelled("Pictures, clips and database together, GiB", this.#inputs.keep_gib, "What is oldest goes first, results before alerts."),
      labelled("Alerts with their pictures and clips, days", this.#inputs.keep_alert_days),
      el("div", { class: "set-buttons" }, el("button", { class: "button primary", type: "submit", text: "Save" })), this.#words);
    this.#body = el("div", { hidden: true }, el("div", { class: "set-usage" }, this.#used, this.#meter, this.#facts), form);
    this.root = card("What is kept", this.#waiting.root, this.#body);
  }

  show() {
    return this.load();
  }

  async load() {
    if (!this.#known) this.#waiting.say("Looking what is kept…");
    const { value, error } = await fetchJson("/api/v1/retention");
    if (error) return this.#waiting.say(`What is kept cannot be had: ${error}.`, true);
    this.#waiting.say("");
    this.#adopt(value);
  }

  // What somebody is typing is left alone.
  #adopt(value) {
    for (const name of NAMES) {
      const input = this.#inputs[name];
      if (!this.#known || Number(input.value) === this.#known[name]) input.value = String(value[name]);
    }
    this.#known = value;
    this.#body.hidden = false;
    const most = value.keep_gib * 2 ** 30;
    this.#meter.value = Math.min(1, value.used_bytes / most);
    put(this.#used, `${bytes(value.used_bytes)} of ${bytes(most)} in use, ${bytes(value.free_bytes)} free on the disk`);
    const since = value.oldest ? `The oldest result is of ${dayTime(value.oldest)}` : "There is no result yet";
    const whose = value.changed ? "changed here from what streams.toml says" : "as streams.toml says, or by default";
    put(this.#facts, `${since}. The limits are ${whose}${value.lasting ? "" : "; this server keeps nothing beyond its run"}.`);
  }

  async #save() {
    const change = {};
    for (const name of NAMES) if (Number(this.#inputs[name].value) !== this.#known[name]) change[name] = Number(this.#inputs[name].value);
    if (!Object.keys(change).length) return put(this.#words, "Nothing is changed.");
    const less = Object.keys(change).some((name) => change[name] < this.#known[name]);
    const words = "What is older or more than that is removed within a minute or so, and cannot be had back.";
    if (less && !await confirmed({ title: "Keep less?", words, action: "Keep less" })) return put(this.#words, "");
    const { value, error } = await sendJson("PATCH", "/api/v1/retention", change);
    put(this.#words, error ? `It is not changed: ${error}.` : "Saved ✓");
    if (value) this.#adopt(value);
  }
}

function bytes(count) {
  let [size, unit] = [count, 0];
  while (size >= 1024 && unit < UNITS.length - 1) [size, unit] = [size / 1024, unit + 1];
  return `${size < 10 && unit > 0 ? size.toFixed(1) : Math.round(size)} ${UNITS[unit]}`;
}

function number(min, max) {
  return el("input", { type: "number", required: true, step: "any", min: String(min), max: String(max), inputMode: "decimal" });
}
