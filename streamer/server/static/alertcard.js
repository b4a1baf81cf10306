// One alert of the past: its picture, what happened, where, when and how long, and who took note of it.

import { el, put } from "./dom.js";
import { Ack } from "./field.js";
import { fetchBlob } from "./token.js";
import { dayTime, seconds } from "./words.js";

export class AlertCard {
  alert = null;
  url = null;
  line = "";
  #picture = el("img", { alt: "", hidden: true });
  #none = el("span", { text: "No picture" });
  #large = el("button", { class: "log-picture", type: "button", disabled: true }, this.#picture, this.#none);
  #title = el("strong", {});
  #words = el("p", {});
  #told = el("p", {});
  #line = el("p", { class: "rule-facts" });
  #who = el("p", { class: "rule-facts" });
  #play = el("button", { class: "button", type: "button", text: "Play the clip" });
  #handle = el("button", { class: "button", type: "button", text: "Acknowledge" });
  #ack = new Ack();
  #snapshot = null;

  // actions: {enlarge(card), play(alert), acknowledge(id): the promise of an acknowledgement}
  constructor({ enlarge, play, acknowledge }) {
    const text = el("div", { class: "log-text" }, this.#title, this.#line, this.#words, this.#told, this.#who);
    this.root = el("li", { class: "card log-item" }, this.#large, text, el("div", { class: "rule-buttons" }, this.#play, this.#handle, this.#ack.root));
    this.#large.addEventListener("click", () => enlarge(this));
    this.#play.addEventListener("click", () => play(this.alert));
    this.#handle.addEventListener("click", () => this.#ack.follow(acknowledge(this.alert.id)));
  }

  // alert: as the HTTP interface has it.
  show(alert) {
    this.alert = alert;
    Object.assign(this.root.dataset, { alert: alert.id, severity: alert.severity });
    const lasted = alert.ended_at === null ? "goes on" : `for ${seconds(Math.max(0, alert.ended_at - alert.started_at))}`;
    this.line = [alert.severity, alert.rule, alert.stream, dayTime(alert.started_at), lasted].join(" · ");
    put(this.#title, alert.title);
    put(this.#line, this.line);
    put(this.#words, alert.reason ?? "");
    put(this.#told, alert.description ?? "");
    put(this.#who, alert.acknowledged_at === null ? "" : `Acknowledged by ${alert.acknowledged_by ?? "somebody"}, ${dayTime(alert.acknowledged_at)}`);
    const of = `${alert.rule} on ${alert.stream}, ${dayTime(alert.started_at)}`;
    this.#play.hidden = !alert.clip;
    this.#play.setAttribute("aria-label", `Play the clip: ${of}`);
    this.#handle.hidden = alert.acknowledged_at !== null;
    this.#handle.setAttribute("aria-label", `Acknowledge: ${of}`);
    this.#large.setAttribute("aria-label", alert.snapshot ? `Show the picture large: ${of}` : `No picture: ${of}`);
    this.#fetch(alert.snapshot);
  }

  close() {
    this.root.remove();
    this.#snapshot = null;
    if (this.url) URL.revokeObjectURL(this.url);
  }

  async #fetch(name) {
    if (!name || name === this.#snapshot) return;
    this.#snapshot = name;
    const blob = await fetchBlob(`/api/v1/snapshots/${encodeURIComponent(name)}`);
    if (!blob || this.#snapshot !== name) return;
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(blob);
    this.#picture.src = this.url;
    this.#picture.hidden = false;
    this.#none.hidden = true;
    this.#large.disabled = false;
  }
}
