// Rules: what is looked for, written, tried over the past, switched on and off.

import { AlertLog } from "./alertlog.js";
import { el, put } from "./dom.js";
import { RuleForm } from "./ruleform.js";
import { factsOf, subjectOf } from "./rulewords.js";
import { confirmed } from "./settings-card.js";
import { fetchJson, sendJson } from "./token.js";
import { Trial } from "./trial.js";

export class Rules {
  #list = el("ol", { class: "rule-list" });
  #words = el("p", { class: "past-words", role: "status" });
  #new = el("button", { class: "button", type: "button", text: "New rule" });
  #form;
  #log;
  #names = new Set();
  #trials = new Map();
  #edited = null;

  constructor(root, page) {
    const { now, admin } = page;
    Object.assign(this, { root, now, admin });
    this.#log = new AlertLog(page);
    this.#form = new RuleForm({ save: (rule) => this.#save(rule), close: () => this.#close() }, page);
    this.#form.root.hidden = true;
    this.#new.addEventListener("click", () => this.#edit({}));
    root.replaceChildren(el("div", { class: "card-head rule-head" }, el("h2", { text: "Rules" }), this.#new), this.#form.root, this.#words, this.#list, this.#log.root);
  }

  async open() {
    this.#new.hidden = !this.admin();
    this.#log.open();
    const { value, error } = await fetchJson("/api/v1/rules");
    if (error) return put(this.#words, `The rules cannot be had: ${error}`);
    this.#names = new Set(value.rules.map((rule) => rule.name));
    this.#list.replaceChildren(...value.rules.map((rule) => this.#card(rule)));
    this.#log.offer([...this.#names]);
    put(this.#words, value.rules.length ? "" : "No rule yet. A rule asks a question about each frame, or looks for objects, and makes an alert.");
  }

  close() {
    this.#log.close();
  }

  #card(rule) {
    const facts = factsOf(rule, this.admin()).join(" · ");
    const actions = !this.admin() ? [] : [
      el("button", { class: "button", type: "button", text: rule.enabled ? "Switch off" : "Switch on", onclick: () => this.#put({ ...rule, enabled: !rule.enabled }) }),
      el("button", { class: "button", type: "button", text: "Try", onclick: () => this.#trialOf(rule.name).run({ name: rule.name }, rule.name) }),
      el("button", { class: "button", type: "button", text: "Edit", onclick: () => this.#edit(rule) }),
      el("button", { class: "button danger", type: "button", text: "Remove", onclick: () => this.#remove(rule.name) }),
    ];
    const text = el("div", {}, el("strong", { text: rule.name }), el("p", { text: subjectOf(rule) }), el("p", { class: "rule-facts", text: rule.enabled ? facts : `switched off · ${facts}` }));
    return el("li", { class: "card rule-card", data: { enabled: String(rule.enabled) } }, text, el("div", { class: "rule-buttons" }, ...actions), this.#trialOf(rule.name).root);
  }

  // What came of trying it stays while the cards are made anew.
  #trialOf(name) {
    if (!this.#trials.has(name)) this.#trials.set(name, new Trial(this.now));
    return this.#trials.get(name);
  }

  #edit(rule) {
    this.#form.root.hidden = false;
    this.#edited = rule.name ?? null;
    this.#form.show(rule);
  }

  #close() {
    this.#form.root.hidden = true;
    this.#new.focus();
  }

  async #save(rule) {
    const taken = rule.name !== this.#edited && this.#names.has(rule.name);
    if (taken) return this.#form.say("There is a rule of that name already. Edit that one, or choose another name.");
    if (await this.#put(rule)) this.#close();
  }

  async #put(rule) {
    const { error } = await sendJson("PUT", `/api/v1/rules/${encodeURIComponent(rule.name)}`, rule);
    this.#form.say(error ?? "");
    if (error && this.#form.root.hidden) put(this.#words, error);
    if (error) return false;
    this.#trialOf(rule.name).clear();
    await this.open();
    return true;
  }

  async #remove(name) {
    const words = "It watches no more, and its alerts that go on end. Alerts of the past stay. To have it again later, switch it off instead.";
    if (!(await confirmed({ title: `Remove the rule ${name}?`, words, action: "Remove" }))) return;
    const { error } = await sendJson("DELETE", `/api/v1/rules/${encodeURIComponent(name)}`);
    if (!error) this.#trialOf(name).clear();
    await this.open();
    if (error) put(this.#words, error);
  }
}
