// Rules: what is looked for, written, tried over the past, switched on and off.

import { AlertLog } from "./alertlog.js";
import { el, put } from "./dom.js";
import { RuleForm } from "./ruleform.js";
import { factsOf, subjectOf } from "./rulewords.js";
import { confirmed } from "./settings-card.js";
import { fetchJson, sendJson } from "./token.js";

const DAY = 86400;

export class Rules {
  #list = el("ol", { class: "rule-list" });
  #words = el("p", { class: "past-words", role: "status" });
  #new = el("button", { class: "button", type: "button", text: "New rule" });
  #form;
  #log;
  #names = new Set();
  #edited = null;

  constructor(root, page) {
    const { now, streams, admin } = page;
    Object.assign(this, { root, now, admin });
    this.#log = new AlertLog(page);
    this.#form = new RuleForm({ save: (rule) => this.#save(rule), test: (rule) => this.#test({ rule }), close: () => this.#close() }, streams);
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
      el("button", { class: "button", type: "button", text: "Try", onclick: () => this.#test({ name: rule.name }) }),
      el("button", { class: "button", type: "button", text: "Edit", onclick: () => this.#edit(rule) }),
      el("button", { class: "button danger", type: "button", text: "Remove", onclick: () => this.#remove(rule.name) }),
    ];
    const text = el("div", {}, el("strong", { text: rule.name }), el("p", { text: subjectOf(rule) }), el("p", { class: "rule-facts", text: rule.enabled ? facts : `switched off · ${facts}` }));
    return el("li", { class: "card rule-card", data: { enabled: String(rule.enabled) } }, text, el("div", { class: "rule-buttons" }, ...actions));
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
    if (!error) await this.open();
    return !error;
  }

  async #remove(name) {
    const words = "It watches no more, and its alerts that go on end. Alerts of the past stay. To have it again later, switch it off instead.";
    if (!(await confirmed({ title: `Remove the rule ${name}?`, words, action: "Remove" }))) return;
    const { error } = await sendJson("DELETE", `/api/v1/rules/${encodeURIComponent(name)}`);
    await this.open();
    if (error) put(this.#words, error);
  }

  // Over the last day of the history: when it would have fired.
  async #test(what) {
    put(this.#words, "Trying it on the last day…");
    const { value, error } = await sendJson("POST", "/api/v1/rules/test", { ...what, since: this.now() - DAY });
    put(this.#words, error ? `It cannot be tried: ${error}` : outcome(value));
  }
}

function outcome({ streams }) {
  if (!streams.length) return "There is nothing of its streams in the history yet.";
  return streams.map((one) => {
    const times = one.fired.length === 1 ? "once" : `${one.fired.length} times`;
    const unknown = one.unknown ? `, ${one.unknown} of which say nothing of it` : "";
    return `${one.stream}: it would have fired ${times} in ${one.met + one.missed + one.unknown + one.off_duty} frames${unknown}.`;
  }).join(" ");
}
