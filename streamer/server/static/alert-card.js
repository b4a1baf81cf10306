// One alert: what, where, since when, its picture, and a way to handle it.

import { el, put } from "./dom.js";
import { Ack } from "./field.js";
import { fetchBlob } from "./token.js";
import { clockTime, seconds } from "./words.js";

export class AlertCard {
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
    this.#handle.addEventListener("click", () => this.#ack.follow(connection.command("acknowledge", { alert: this.root.dataset.alert }), "Acknowledged ✓"));
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
