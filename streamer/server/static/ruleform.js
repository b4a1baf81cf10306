// One rule being written: a question, or objects with a zone that is drawn on a stream's picture.

import { el, put } from "./dom.js";
import { Channels, Duty } from "./ruleduty.js";
import { keptOf } from "./rulewords.js";
import { Trial } from "./trial.js";
import { Zone } from "./zone.js";

const field = (words, input, hint = "") => el("label", { class: "rule-field" }, el("span", { text: words }), input, hint ? el("small", { text: hint }) : null);
const number = (value, min, max) => el("input", { type: "number", value, min, max, required: true });
const choice = (values) => el("select", {}, ...values.map(([value, words]) => el("option", { value, text: words })));

// The server's names of what can be refused, and the form's.
const FIELDS = { name: "Name", question: "Question", labels: "Objects", at_least: "At least", at_most: "At least", zone: "Zone", dwell_seconds: "For seconds", event: "When", streams: "Streams", confirm: "Frames in a row", release: "Frames without", cooldown_seconds: "Seconds of rest", days: "On duty", from: "On duty, from", to: "On duty, to", schedule: "On duty", channels: "Channels" };

export class RuleForm {
  #name = el("input", { type: "text", required: true, maxLength: 60 });
  #kind = choice([["question", "A question is answered yes"], ["no", "A question is answered no"], ["when", "Objects are seen"]]);
  #question = el("input", { type: "text", maxLength: 500, placeholder: "Is someone on the ladder?" });
  #labels = el("input", { type: "text", placeholder: "person, car" });
  #atLeast = number(1, 1, 1000);
  #event = choice([["present", "they are there"], ["appears", "one appears"], ["leaves", "one leaves"]]);
  #dwell = el("input", { type: "number", min: 0, max: 86400, step: "any", placeholder: "0" });
  #streams = el("input", { type: "text", placeholder: "all streams" });
  #confirm = number(2, 1, 1000);
  #release = number(3, 1, 1000);
  #cooldown = el("input", { type: "number", value: 60, min: 0, max: 604800, step: "any", required: true });
  #severity = choice([["info", "Info"], ["warning", "Warning"], ["critical", "Critical"]]);
  #duty = new Duty();
  #channels = new Channels();
  #stays = el("p", { class: "rule-stays" });
  #words = el("p", { class: "rule-fault", role: "alert" });
  #zone;
  #trial;
  #kept = {};

  // actions: {save(rule), close()}; page: what all views share.
  constructor(actions, page) {
    this.#zone = new Zone(page.streams, () => this.say(""));
    this.#trial = new Trial(page.now);
    this.#asked = field("Question", this.#question, "Answered yes or no about each frame, with a reason.");
    this.#seen = el("div", { class: "rule-objects" },
      field("Objects", this.#labels, "Names with commas between; empty means any."), field("At least", this.#atLeast), field("When", this.#event),
      field("For seconds", this.#dwell, "How long one has to stay."), this.#zone.root);
    const buttons = el("div", { class: "rule-buttons" }, el("button", { class: "button", type: "submit", text: "Save" }),
      el("button", { class: "button", type: "button", text: "Try on the last day", onclick: () => this.#try() }),
      el("button", { class: "button", type: "button", text: "Cancel", onclick: () => actions.close() }));
    this.root = el("form", { class: "card rule-form", onsubmit: (event) => { event.preventDefault(); if (this.#sound()) actions.save(this.value()); } },
      field("Name", this.#name), field("Fires when", this.#kind), this.#asked, this.#seen,
      field("Streams", this.#streams, "Names or patterns (gate-*) with commas between."),
      el("div", { class: "rule-row" }, field("Frames in a row", this.#confirm, "before it fires"), field("Frames without", this.#release, "before it ends"),
        field("Seconds of rest", this.#cooldown, "after an end"), field("Severity", this.#severity)),
      this.#duty.root, this.#channels.root, this.#stays, this.#words, buttons, this.#trial.root);
    this.#kind.addEventListener("change", () => this.#showKind());
    this.#streams.addEventListener("change", () => this.#kind.value === "when" && this.#zone.follow(names(this.#streams.value)));
    this.root.addEventListener("input", () => this.say("")); // it may be right now
  }

  #asked;
  #seen;

  show(rule) {
    const when = rule.when ?? {};
    this.#kept = rule;
    this.#name.value = rule.name ?? "";
    this.#name.readOnly = Boolean(rule.name);
    this.#kind.value = rule.when ? "when" : rule.answer === false ? "no" : "question";
    this.#question.value = rule.question ?? "";
    this.#labels.value = (when.labels ?? []).join(", ");
    this.#atLeast.value = when.at_least ?? 1;
    this.#event.value = when.event ?? "present";
    this.#dwell.value = when.dwell_seconds ?? "";
    this.#streams.value = (rule.streams ?? []).join(", ");
    this.#confirm.value = rule.confirm ?? 2;
    this.#release.value = rule.release ?? 3;
    this.#cooldown.value = rule.cooldown_seconds ?? 60;
    this.#severity.value = rule.severity ?? "warning";
    this.#zone.show(when.zone ?? [], rule.streams ?? []);
    this.#duty.show(rule.schedule);
    this.#channels.show(rule.channels);
    const kept = keptOf(rule);
    put(this.#stays, kept.length ? `Stays as it is, for this form cannot set it: ${kept.join("; ")}.` : "");
    put(this.#words, "");
    this.#trial.clear();
    this.#showKind();
    this.#name.focus();
  }

  // What the form does not show (a line, several ranges of time) stays as it was.
  value() {
    const rule = { ...this.#kept, name: this.#name.value.trim(), streams: names(this.#streams.value), confirm: Number(this.#confirm.value),
      release: Number(this.#release.value), cooldown_seconds: Number(this.#cooldown.value), severity: this.#severity.value,
      schedule: this.#duty.value(), channels: this.#channels.value() };
    if (this.#kind.value !== "when") return { ...rule, question: this.#question.value.trim(), answer: this.#kind.value === "no" ? false : null, when: null };
    return { ...rule, question: null, answer: null, when: this.#condition(rule.when ?? {}) };
  }

  #condition(before) {
    if (before.line) return { ...before, labels: names(this.#labels.value) };
    const zone = this.#zone.points;
    const when = { ...before, labels: names(this.#labels.value), event: this.#event.value, zone: zone.length ? zone : null,
      dwell_seconds: Number(this.#dwell.value) > 0 ? Number(this.#dwell.value) : null };
    const counted = when.event === "present" && !when.line && when.at_most == null;
    return { ...when, at_least: counted ? Number(this.#atLeast.value) : before.at_least ?? null };
  }

  // words: the server's, "field: …", or plain ones.
  say(words) {
    const [, name, rest] = /^(?:rule\.)?(?:when\.)?(\w+)(?:[.[][^:]*)?: (.*)$/s.exec(words) ?? [];
    put(this.#words, name in FIELDS ? `${FIELDS[name]}: ${rest.replace(/^.*cannot be used; /s, "")}` : words);
  }

  // What the server would refuse in words of its own is said in those of the form.
  #sound() {
    const fault = this.#kind.value === "when" && !this.#kept.when?.line ? this.#faultOfObjects() : "";
    this.say(fault);
    return !fault;
  }

  #faultOfObjects() {
    const corners = this.#zone.points.length;
    if (corners > 0 && corners < 3) return `A zone needs 3 corners at least; there ${corners === 1 ? "is 1" : "are 2"}. Set more, or press “Whole picture”.`;
    if (this.#event.value !== "present" && Number(this.#dwell.value) > 0) return "What appears or leaves does so in a moment. Leave out the seconds, or choose “they are there”.";
    return "";
  }

  #try() {
    if (!this.root.reportValidity() || !this.#sound()) return;
    const rule = this.value();
    this.#trial.run({ rule }, rule.name);
  }

  #showKind() {
    const asks = this.#kind.value !== "when";
    this.#asked.hidden = !asks;
    this.#question.required = asks;
    this.#seen.hidden = asks;
    this.#seen.dataset.line = String(Boolean(this.#kept.when?.line)); // nothing but labels goes with a line
    if (!asks) this.#zone.load();
  }
}

const names = (text) => text.split(",").map((name) => name.trim()).filter(Boolean);
