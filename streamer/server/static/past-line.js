// What was found over the searched time, a strip a stream: how much, with boxes or without, and where alerts were. One
// press goes there.

import { el, put } from "./dom.js";
import { fetchJson } from "./token.js";
import { dayTime } from "./words.js";

const BINS = 48;
const ALERTS = 500;
const STEPS = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };

export class PastLine {
  #rows = el("div", { class: "line-rows" });
  #from = el("span", {});
  #to = el("span", {});
  #words = el("p", { class: "hint", id: "line-words", text: "Each strip is a stream over time: higher where more was seen, filled where there are boxes, with a mark where an alert was. Press a place to go there; arrow keys move along." });
  #jump;
  #turn = 0;

  // jump(until): show what was seen up to then, Unix seconds.
  constructor(jump) {
    this.#jump = jump;
    this.root = el("section", { class: "line", "aria-label": "Over time", hidden: true }, this.#rows, el("p", { class: "line-ends" }, this.#from, this.#to), this.#words);
    this.#rows.addEventListener("keydown", (event) => this.#key(event));
  }

  clear() {
    this.#turn += 1;
    this.root.hidden = true;
  }

  // params: [[name, value]…] as the search has them.
  async load(params) {
    const turn = ++this.#turn;
    const query = new URLSearchParams([...params, ["bins", String(BINS)]]);
    const { value } = await fetchJson(`/api/v1/history/timeline?${query}`);
    if (turn !== this.#turn) return;
    this.root.hidden = !value?.streams.length;
    if (this.root.hidden) return;
    const { since, until, streams } = value;
    const shown = new URLSearchParams([...streams.map(({ stream }) => ["stream", stream]).slice(0, 64), ["since", String(since)], ["until", String(until)], ["limit", String(ALERTS)]]);
    const alerts = (await fetchJson(`/api/v1/alerts?${shown}`)).value?.alerts ?? [];
    if (turn !== this.#turn) return;
    const rule = params.find(([name]) => name === "rule")?.[1];
    this.#draw(value, alerts.filter((alert) => !rule || alert.rule === rule));
  }

  #draw({ since, until, streams }, alerts) {
    const width = (until - since) / BINS;
    const most = Math.max(1, ...streams.flatMap(({ seen }) => seen));
    put(this.#from, dayTime(since));
    put(this.#to, dayTime(until));
    this.#rows.replaceChildren(...streams.map(({ stream, seen, found }) => {
      const own = alerts.filter((alert) => alert.stream === stream);
      const counts = seen.map((_, place) => own.filter((alert) => placeOf(alert.started_at, since, width) === place).length);
      const bins = seen.map((count, place) => this.#bin(stream, since + place * width, width, { count, boxes: found[place], alerts: counts[place], most }));
      (bins.findLast((bin) => !bin.disabled) ?? bins[0]).tabIndex = 0;
      return el("div", { class: "line-row" }, el("span", { class: "line-name", text: stream }), el("div", { class: "line-strip", role: "group", "aria-label": stream, "aria-describedby": "line-words" }, ...bins));
    }));
  }

  #bin(stream, at, width, { count, boxes, alerts, most }) {
    const words = [`${dayTime(at)}:`, count === 1 ? "1 result," : `${count} results,`, `${boxes} with boxes`, alerts ? (alerts === 1 ? "and 1 alert" : `and ${alerts} alerts`) : ""].filter(Boolean).join(" ");
    const bar = el("i", { hidden: count === 0 });
    bar.style.height = `${Math.round(20 + 80 * Math.sqrt(count / most))}%`;
    const bin = el("button", { class: "line-bin", type: "button", title: words, tabIndex: -1, disabled: count + alerts === 0, data: { boxes: String(boxes > 0), alerts: String(alerts > 0) } }, bar);
    bin.setAttribute("aria-label", `${stream}, ${words}`);
    bin.addEventListener("click", () => {
      this.#rows.querySelector("[aria-current]")?.removeAttribute("aria-current");
      bin.setAttribute("aria-current", "true");
      this.#jump(stream, at + width);
    });
    return bin;
  }

  // Along a strip to the next place where something is.
  #key(event) {
    if (!(event.key in STEPS) || !event.target.matches(".line-bin")) return;
    event.preventDefault();
    const bins = [...event.target.parentElement.children].filter((bin) => !bin.disabled);
    const next = bins[Math.max(0, Math.min(bins.length - 1, bins.indexOf(event.target) + STEPS[event.key]))];
    for (const bin of bins) bin.tabIndex = bin === next ? 0 : -1;
    next?.focus();
  }
}

const placeOf = (at, since, width) => Math.max(0, Math.min(BINS - 1, Math.floor((at - since) / width)));
