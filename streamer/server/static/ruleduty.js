// When a rule is on duty and whom it tells, as the form of rules has it.

import { el, put } from "./dom.js";
import { DAYS } from "./rulewords.js";
import { fetchJson } from "./token.js";

const tick = (value, words) => {
  const input = el("input", { type: "checkbox", value });
  return { input, root: el("label", { class: "rule-tick" }, input, el("span", { text: words })) };
};
const ticked = (ticks) => ticks.filter(({ input }) => input.checked).map(({ input }) => input.value);

// Days and times; no day is every day, and no time is the whole day.
export class Duty {
  #days = DAYS.map(([day, words]) => tick(day, words));
  #from = el("input", { type: "time" });
  #to = el("input", { type: "time" });
  #kept = null;

  constructor() {
    const time = (words, input) => el("label", { class: "rule-field" }, el("span", { text: words }), input);
    this.root = el("fieldset", { class: "rule-group" }, el("legend", { text: "On duty" }),
      el("div", { class: "rule-ticks" }, ...this.#days.map((day) => day.root)),
      el("div", { class: "rule-row" }, time("From", this.#from), time("To", this.#to)),
      el("small", { text: "No day chosen is every day, no time is the whole day. A time to that is before the time from is on the next day." }));
  }

  show(schedule) {
    this.#kept = schedule ?? null;
    this.root.hidden = Boolean(schedule?.ranges); // several: they stay as they are
    const { days = [], from = "00:00", to = "24:00" } = schedule ?? {};
    for (const { input } of this.#days) input.checked = days.includes(input.value);
    this.#from.value = from === "00:00" ? "" : from;
    this.#to.value = to === "24:00" ? "" : to;
  }

  value() {
    if (this.#kept?.ranges) return this.#kept;
    const days = ticked(this.#days);
    const from = this.#from.value || "00:00";
    const to = this.#to.value || "24:00";
    if (!days.length && from === "00:00" && to === "24:00") return null;
    return { days, from, to, ...(this.#kept?.zone ? { zone: this.#kept.zone } : {}) };
  }
}

// Those of the configuration, a box each; none ticked is all of them.
export class Channels {
  #list = el("div", { class: "rule-ticks" });
  #words = el("small", {});
  #ticks = [];
  #chosen = [];

  constructor() {
    this.root = el("fieldset", { class: "rule-group" }, el("legend", { text: "Channels that are told" }), this.#list, this.#words);
  }

  show(chosen) {
    this.#chosen = chosen ?? [];
    this.#draw([], "The channels are fetched…");
    this.#fetch();
  }

  value() {
    return ticked(this.#ticks);
  }

  async #fetch() {
    const { value, error } = await fetchJson("/api/v1/channels");
    const names = (value?.channels ?? []).map(({ name }) => name);
    this.#chosen = this.value();
    if (error) this.#draw([], `The channels cannot be had: ${error}. Those of the rule stay.`);
    else this.#draw(names, names.length ? "None chosen is all of them." : "There is no channel: alerts are shown here alone. They are set in the configuration, under [channels].");
  }

  // A name that the rule has and the configuration has not stays, so that saving loses nothing.
  #draw(names, words) {
    const all = [...new Set([...names, ...this.#chosen])];
    this.#ticks = all.map((name) => tick(name, name));
    for (const { input } of this.#ticks) input.checked = this.#chosen.includes(input.value);
    this.#list.replaceChildren(...this.#ticks.map(({ root }) => root));
    put(this.#words, words);
  }
}
