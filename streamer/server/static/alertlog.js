// Alerts of all time, newest first: found by rule and stream, page by page, and followed while one looks.

import { AlertCard } from "./alertcard.js";
import { el, put } from "./dom.js";
import { PastClip } from "./past-clip.js";
import { fetchJson } from "./token.js";

const PAGE = 20;

export class AlertLog {
  #rule = el("select", {});
  #stream = el("select", {});
  #only = el("input", { type: "checkbox" });
  #words = el("p", { class: "past-words", role: "status" });
  #list = el("ol", { class: "log-list" });
  #more = el("button", { class: "button", type: "button", text: "More", hidden: true });
  #again = el("button", { class: "button", type: "button", text: "Try again", hidden: true });
  #dialog = el("dialog", { class: "past-dialog", "aria-label": "Picture of an alert" });
  #clip = new PastClip();
  #cards = new Map();
  #rules = [];
  #next = null;
  #open = false;
  #turn = 0;

  constructor(page) {
    this.page = page;
    const named = (words, input) => el("label", { class: "log-filter" }, el("span", { text: words }), input);
    const filters = el("div", { class: "log-filters", role: "group", "aria-label": "Which alerts" },
      named("Rule", this.#rule), named("Stream", this.#stream), el("label", { class: "rule-tick" }, this.#only, el("span", { text: "Only unacknowledged" })));
    this.root = el("section", { class: "log", "aria-label": "Alerts of the past" }, el("div", { class: "card-head rule-head" }, el("h2", { text: "Alerts of the past" })),
      filters, this.#words, this.#list, this.#more, this.#again, this.#dialog, this.#clip.root);
    for (const input of [this.#rule, this.#stream, this.#only]) input.addEventListener("change", () => this.#load(null));
    this.#more.addEventListener("click", () => this.#load(this.#next));
    this.#again.addEventListener("click", () => this.#load(null));
    this.#dialog.addEventListener("click", (event) => event.target === this.#dialog && this.#dialog.close());
    page.connection.addEventListener("message", ({ detail }) => detail.type === "alert" && this.#hear(detail));
    page.connection.addEventListener("state", ({ detail }) => detail.state === "open" && this.#open && this.#load(null));
  }

  open() {
    this.#offer();
    if (this.#open) return; // asked again when a stream comes or goes
    this.#open = true;
    this.#load(null);
  }

  close() {
    this.#open = false;
  }

  // Names of the rules that there are, to choose from.
  offer(rules) {
    this.#rules = rules;
    this.#offer();
  }

  async #load(cursor) {
    const turn = ++this.#turn;
    const query = new URLSearchParams({ limit: String(PAGE) });
    if (this.#rule.value) query.set("rule", this.#rule.value);
    if (this.#stream.value) query.set("stream", this.#stream.value);
    if (this.#only.checked) query.set("unacknowledged", "true");
    if (cursor) query.set("cursor", cursor);
    if (!this.#cards.size) put(this.#words, "The alerts are fetched…");
    const { value, error, status } = await fetchJson(`/api/v1/alerts?${query}`);
    if (turn !== this.#turn) return;
    this.#again.hidden = !error;
    if (error) return this.#fail(error, status, cursor);
    if (!cursor) this.#clear();
    for (const alert of value.alerts) this.#show(alert, (card) => this.#list.append(card.root));
    this.#next = value.next;
    this.#more.hidden = !value.next;
    this.#say();
  }

  // What was found by other filters is not left under these.
  #fail(error, status, cursor) {
    if (!cursor) this.#clear();
    this.#more.hidden = true;
    const forbidden = status === 401 || status === 403;
    put(this.#words, forbidden ? `Your token does not show these alerts: ${error}` : `The alerts cannot be had: ${error}.`);
  }

  #clear() {
    for (const card of this.#cards.values()) card.close();
    this.#cards.clear();
  }

  #say() {
    const count = this.#cards.size;
    const chosen = this.#rule.value || this.#stream.value || this.#only.checked;
    const none = chosen ? "No alert is like that." : "No alert yet. An alert is made when a rule fires.";
    put(this.#words, count ? `${this.#next ? `The newest ${count}` : count} ${count === 1 ? "alert" : "alerts"}` : none);
    this.#offer();
  }

  // One that is known is changed where it stands; a new one comes on top.
  #hear(message) {
    if (!this.#open) return;
    const alert = { ...message, id: message.alert, started_at: message.started, ended_at: message.ended, updated_at: message.ended ?? this.page.now(), acknowledged_at: message.acknowledged };
    if (!this.#cards.has(alert.id) && !(alert.phase === "new" && this.#wanted(alert))) return;
    this.#show(alert, (card) => this.#list.prepend(card.root));
    this.#say();
  }

  #wanted({ rule, stream, acknowledged_at: acknowledged }) {
    return [this.#rule.value || rule, this.#stream.value || stream].join("\n") === [rule, stream].join("\n") && !(this.#only.checked && acknowledged);
  }

  #show(alert, place) {
    let card = this.#cards.get(alert.id);
    if (!card) {
      card = new AlertCard({ enlarge: (one) => this.#enlarge(one), play: (one) => this.#clip.open(one), acknowledge: (id) => this.page.connection.command("acknowledge", { alert: id }) });
      this.#cards.set(alert.id, card);
      place(card);
    }
    card.show(alert);
  }

  #enlarge({ alert, url, line }) {
    const close = el("button", { class: "button", type: "button", text: "Close", onclick: () => this.#dialog.close() });
    this.#dialog.replaceChildren(el("img", { class: "log-large", src: url, alt: `The picture of: ${alert.title}` }), el("h2", { text: alert.title }), el("p", { text: line }), close);
    this.#dialog.showModal();
  }

  // Those that there are, and those that alerts are of; what is chosen stays chosen.
  #offer() {
    const seen = [...this.#cards.values()].map(({ alert }) => alert);
    fill(this.#rule, "All rules", [...this.#rules, ...seen.map(({ rule }) => rule)]);
    fill(this.#stream, "All streams", [...this.page.streams(), ...seen.map(({ stream }) => stream)]);
  }
}

function fill(select, all, values) {
  const chosen = select.value;
  const names = [...new Set([...values, chosen].filter(Boolean))];
  const known = [...select.options].map((option) => option.value).filter(Boolean);
  if (select.options.length && names.join("\n") === known.join("\n")) return; // an open list is not pulled away
  select.replaceChildren(el("option", { value: "", text: all }), ...names.map((name) => el("option", { value: name, text: name })));
  select.value = chosen;
}
