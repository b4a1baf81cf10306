// Alerts that go on or that nobody has handled: a line with their number and the newest one, and all of them on demand.

import { AlertCard } from "./alert-card.js";
import { el, put } from "./dom.js";
import { Ack } from "./field.js";
import { clockTime } from "./words.js";

const SHOWN = 20;
const WORST_FIRST = ["critical", "warning", "info"];

export class Alerts {
  #root;
  #count = el("span", { class: "alert-count" });
  #open = el("button", { class: "alerts-open", type: "button", "aria-expanded": "false" }, el("span", { class: "alerts-sign", "aria-hidden": "true" }), this.#count);
  #title = el("strong", { class: "alert-title" });
  #where = el("button", { class: "link-button", type: "button" });
  #when = el("span", { class: "alerts-when" });
  #list = el("ol", { class: "alert-list" });
  #more = el("p", { class: "alerts-more" });
  #ack = new Ack();
  #all = el("button", { class: "button", type: "button", text: "Acknowledge all" });
  #body = el("div", { class: "alerts-body", hidden: true }, el("div", { class: "alerts-tools" }, this.#more, this.#ack.root, this.#all), this.#list);
  #cards = new Map();
  #alerts = [];

  constructor(root, connection, select) {
    this.#root = root;
    this.connection = connection;
    this.select = select;
    this.#body.id = `${root.id || root.className}-all`;
    this.#open.setAttribute("aria-controls", this.#body.id);
    this.#open.addEventListener("click", () => this.#expand(this.#body.hidden));
    this.#where.addEventListener("click", () => select(this.#where.textContent));
    this.#all.addEventListener("click", () => this.#ack.follow(this.#acknowledgeAll(), "Acknowledged ✓"));
    this.#list.addEventListener("scroll", () => this.#sayMore(), { passive: true });
    const newest = el("p", { class: "alerts-newest" }, this.#title, this.#where, this.#when);
    root.replaceChildren(el("div", { class: "alerts-line" }, el("h2", {}, this.#open), newest), this.#body);
  }

  // alerts: those to be shown, newest first.
  show(alerts, now) {
    this.#root.hidden = alerts.length === 0;
    const open = alerts.filter((alert) => alert.acknowledged === null);
    this.#alerts = [...open, ...alerts.filter((alert) => alert.acknowledged !== null)];
    if (!alerts.length) return this.fold();
    this.#showLine(open, this.#alerts[0]);
    if (!this.#body.hidden) this.#showCards(now);
  }

  // The line alone.
  fold() {
    this.#expand(false);
  }

  #expand(wanted) {
    if (this.#body.hidden === !wanted) return;
    this.#body.hidden = !wanted;
    this.#open.setAttribute("aria-expanded", String(wanted));
    if (!wanted) return [...this.#cards.keys()].forEach((id) => this.#drop(id));
    this.#list.scrollTop = 0;
    this.#showCards(Date.now() / 1000);
  }

  #showLine(open, newest) {
    const number = this.#alerts.length;
    put(this.#count, `${number} ${number === 1 ? "alert" : "alerts"}${open.length ? "" : ", acknowledged"}`);
    put(this.#title, newest.title);
    put(this.#where, newest.stream);
    put(this.#when, clockTime(newest.started));
    const severity = WORST_FIRST.find((name) => open.some((alert) => alert.severity === name)) ?? "";
    if (this.#root.dataset.severity !== severity) this.#root.dataset.severity = severity;
    this.#all.hidden = open.length === 0;
  }

  #showCards(now) {
    const shown = this.#alerts.slice(0, SHOWN);
    for (const id of [...this.#cards.keys()]) if (!shown.some((alert) => alert.alert === id)) this.#drop(id);
    const cards = shown.map((alert) => this.#card(alert));
    cards.forEach((card, place) => {
      if (this.#list.children[place] !== card.root) this.#list.insertBefore(card.root, this.#list.children[place] ?? null);
    });
    for (const [place, alert] of shown.entries()) cards[place].show(alert, now);
    this.#sayMore();
  }

  // How many are below the edge of what is seen, and how many are not there at all.
  #sayMore() {
    const edge = this.#list.scrollTop + this.#list.clientHeight;
    const below = [...this.#list.children].filter((card) => card.offsetTop + card.offsetHeight / 2 > edge).length;
    const left = this.#alerts.length - this.#list.childElementCount;
    put(this.#more, [below ? `${below} more below ↓` : "", left > 0 ? `the first ${SHOWN} are shown` : ""].filter(Boolean).join(", "));
    this.#list.dataset.more = String(below > 0);
  }

  // One after another; the first that is refused ends it.
  async #acknowledgeAll() {
    for (const { alert } of this.#alerts.filter((one) => one.acknowledged === null)) {
      const answer = await this.connection.command("acknowledge", { alert });
      if (!answer.ok) return answer;
    }
    return { ok: true };
  }

  #card(alert) {
    let card = this.#cards.get(alert.alert);
    if (!card) {
      card = new AlertCard(this.connection, this.select);
      this.#cards.set(alert.alert, card);
    }
    return card;
  }

  #drop(id) {
    this.#cards.get(id).close();
    this.#cards.delete(id);
  }
}
