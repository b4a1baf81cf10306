// What the page knows: the server's word, nothing invented. A snapshot replaces all of it.

import { sameTasks, stillAsked } from "./asked.js";

const RESULTS_KEPT = 200;
const ALERTS_KEPT = 200;

export class Store extends EventTarget {
  // Events: "hello", "streams" (some came or went, or all is new), "stream", "result" (detail: name), "boxes" (detail:
  // the message), "trouble" (detail: words or null), "selected", "alerts" (detail: the alert that is new, or null).
  hello = null;
  streams = new Map();
  selected = null;
  #results = new Map();
  // Stream -> its results for the picture of now, and since when its tasks are what they are.
  #seen = new Map();
  #changed = new Map();
  #alerts = new Map();

  // clock(): the server's time, Unix seconds.
  constructor(clock) {
    super();
    this.clock = clock;
  }

  get current() {
    return this.streams.get(this.selected) ?? null;
  }

  // Newest last.
  results(name) {
    return this.#results.get(name) ?? [];
  }

  // As `results`, the last one without what nobody asks any longer.
  seen(name) {
    return this.#seen.get(name) ?? [];
  }

  // Of those seen.
  newest(name) {
    return this.seen(name).at(-1) ?? null;
  }

  // Those that go on or that nobody has acknowledged, newest first.
  get alerts() {
    return [...this.#alerts.values()].sort((a, b) => b.started - a.started);
  }

  select(name) {
    this.selected = name;
    this.#tell("selected", name);
  }

  take(message) {
    switch (message.type) {
      case "hello":
        this.hello = message;
        this.#tell("hello");
        break;
      case "snapshot":
        this.#takeSnapshot(message);
        break;
      case "stream":
        this.#takeStream(message);
        break;
      case "removed":
        this.#drop(message.stream);
        break;
      case "alert":
        this.#takeAlert(message);
        break;
      case "trouble":
        this.#tell("trouble", message.words);
        break;
      case "boxes":
        this.#tell("boxes", message);
        break;
      case "result":
        if (this.streams.has(message.stream)) {
          this.#keep(message);
          this.#tell("result", message.stream);
        }
        break;
    }
  }

  #takeAlert(alert) {
    const known = this.#alerts.get(alert.alert);
    if (known && known.sequence >= alert.sequence) return;
    if (alert.ended !== null && alert.acknowledged !== null) this.#alerts.delete(alert.alert);
    else if (known || alert.acknowledged === null) this.#alerts.set(alert.alert, alert);
    while (this.#alerts.size > ALERTS_KEPT) this.#alerts.delete(this.#alerts.keys().next().value);
    this.#tell("alerts", alert.phase === "new" ? alert : null);
  }

  #takeSnapshot({ streams, results, alerts }) {
    this.streams = new Map(streams.map((stream) => [stream.stream, stream]));
    this.#results = new Map();
    this.#seen = new Map();
    this.#changed = new Map();
    results.forEach((result) => this.#keep(result));
    if (!this.streams.has(this.selected)) this.selected = this.streams.keys().next().value ?? null;
    this.#alerts = new Map((alerts ?? []).map((alert) => [alert.alert, alert]));
    this.#tell("streams");
    this.#tell("alerts", null);
  }

  #takeStream(stream) {
    const known = this.streams.get(stream.stream);
    if (known && known.number === stream.number && known.sequence > stream.sequence) return;
    this.streams.set(stream.stream, stream);
    if (known && !sameTasks(known.settings.tasks, stream.settings.tasks)) {
      this.#changed.set(stream.stream, this.clock());
      this.#see(stream.stream);
    }
    if (this.selected === null) this.selected = stream.stream;
    this.#tell(known ? "stream" : "streams", stream.stream);
  }

  #drop(name) {
    this.streams.delete(name);
    for (const kept of [this.#results, this.#seen, this.#changed]) kept.delete(name);
    if (this.selected === name) this.selected = this.streams.keys().next().value ?? null;
    this.#tell("streams");
  }

  #keep(result) {
    const kept = this.#results.get(result.stream) ?? [];
    kept.push(result);
    if (kept.length > RESULTS_KEPT) kept.shift();
    this.#results.set(result.stream, kept);
    this.#see(result.stream);
  }

  #see(name) {
    const kept = this.results(name);
    const newest = kept.at(-1);
    const tasks = this.streams.get(name)?.settings.tasks;
    if (!newest || !tasks) return;
    const boxes = newest.captured > (this.#changed.get(name) ?? 0);
    this.#seen.set(name, [...kept.slice(0, -1), stillAsked(newest, tasks, boxes)]);
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
