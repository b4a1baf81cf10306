// Alerts that go on or that nobody has handled, newest first: what, where, since when, and a way to handle each.

import { Ack } from "./field.js";
import { el, put } from "./dom.js";
import { fetchBlob } from "./token.js";
import { clockTime, seconds } from "./words.js";

const SHOWN = 20;

export class Alerts {
  #root;
  #list = el("ol", { class: "alert-list" });
  #count = el("span", { class: "alert-count" });
  #cards = new Map();

  constructor(root, connection, select) {
    this.#root = root;
    this.connection = connection;
    this.select = select;
    const head = el("div", { class: "alerts-head" }, el("h2", { text: "Alerts" }), this.#count);
    root.replaceChildren(head, this.#list);
  }

  // alerts: those to be shown, newest first.
  show(alerts, now) {
    this.#root.hidden = alerts.length === 0;
    const shown = alerts.slice(0, SHOWN);
    for (const id of [...this.#cards.keys()]) if (!shown.some((alert) => alert.alert === id)) this.#drop(id);
    const cards = shown.map((alert) => this.#card(alert));
    cards.forEach((card, place) => {
      if (this.#list.children[place] !== card.root) this.#list.insertBefore(card.root, this.#list.children[place] ?? null);
    });
    const left = alerts.length - shown.length;
    put(this.#count, left > 0 ? `${alerts.length}, the newest ${shown.length} are shown` : String(alerts.length));
    for (const [place, alert] of shown.entries()) cards[place].show(alert, now);
  }

  #card(alert) {
    let card = this.#cards.get(alert.alert);
    if (!card) {
      card = new Card(this.connection, this.select);
      this.#cards.set(alert.alert, card);
    }
    return card;
  }

  #drop(id) {
    this.#cards.get(id).close();
    this.#cards.delete(id);
  }
}

class Card {
  #title = el("strong", { class: "alert-title" });
  #words = el("span", { class: "alert-words" });
  #where = el("button", { class: "link-button", type: "button" });
  #when = el("span");
  #picture = el("img", { class: "alert-picture", alt: "", hidden: true });
  #ack = new Ack();
  #handle = el("button", { class: "button", type: "button", text: "Acknowledge" });
  #snapshot = null;
  #url = null;

  constructor(connection, select) {
    this.connection = connection;
    const text = el("div", { class: "alert-text" }, this.#title, this.#words, el("p", { class: "alert-line" }, this.#where, this.#when));
    this.root = el("li", { class: "alert" }, this.#picture, text, el("div", { class: "alert-actions" }, this.#ack.root, this.#handle));
    this.#where.addEventListener("click", () => select(this.#where.dataset.name));
    this.#handle.addEventListener("click", () => this.#ack.follow(connection.command("acknowledge", { alert: this.root.dataset.alert })));
  }

  show(alert, now) {
    Object.assign(this.root.dataset, { alert: alert.alert, severity: alert.severity, open: String(alert.ended === null) });
    put(this.#title, alert.title);
    put(this.#words, alert.description ?? alert.reason ?? "");
    put(this.#where, alert.stream);
    this.#where.dataset.name = alert.stream;
    const length = (alert.ended ?? now) - alert.started;
    const lasted = alert.ended === null ? `for ${seconds(Math.max(0, length))} so far` : `lasted ${seconds(Math.max(0, length))}`;
    const by = alert.acknowledged_by ? `, acknowledged by ${alert.acknowledged_by}` : "";
    put(this.#when, `${alert.rule} · ${clockTime(alert.started)}, ${lasted}${by}`);
    this.#handle.hidden = alert.acknowledged !== null;
    this.#showPicture(alert.snapshot);
  }

  close() {
    this.root.remove();
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#snapshot = null;
  }

  async #showPicture(name) {
    if (!name || name === this.#snapshot) return;
    this.#snapshot = name;
    const blob = await fetchBlob(`/api/v1/snapshots/${encodeURIComponent(name)}`);
    if (!blob || this.#snapshot !== name) return;
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = URL.createObjectURL(blob);
    this.#picture.src = this.#url;
    this.#picture.hidden = false;
  }
}
