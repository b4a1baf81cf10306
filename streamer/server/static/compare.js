// The same live frames, asked in several ways: answers side by side, what differs marked, figures of the last frames.

import { Column } from "./compare-column.js";
import { Totals } from "./compare-totals.js";
import { anotherOf, MOST, PRESETS, modelWays, remember, remembered, variantOf } from "./compare-ways.js";
import { el, put } from "./dom.js";
import { aspectOf, isFile } from "./stream.js";
import { fetchJson, sendJson } from "./token.js";
import { dayTime, mediaTime } from "./words.js";

const LEAST_MS = 500;
const AGAIN_MS = 2000;
const WIDTH = 960;

export class Compare {
  #stream = el("select", { id: "compare-stream" });
  #live = el("button", { class: "button primary", type: "button", "aria-pressed": "false" });
  #step = el("button", { class: "button", type: "button", text: "One frame" });
  #more = el("button", { class: "button", type: "button", text: "One more way" });
  #words = el("p", { class: "past-words", role: "status" });
  #where = el("p", { class: "compare-where" });
  #twoModels = el("button", { class: "chip", type: "button", text: "Two models", hidden: true });
  #grid = el("div", { class: "compare-grid" });
  #totals = new Totals();
  #body;
  #columns = [];
  #models = [];
  #bitmap = null;
  #open = false;
  #started = false; // nothing is asked of the model before somebody wants it
  #going = false;
  #single = false;
  #busy = false;
  #changes = 0;
  #timer = 0;

  // page: what all views share, see main.js.
  constructor(root, page) {
    Object.assign(this, { root, page });
    const presets = el("div", { class: "past-chips", role: "group", "aria-label": "Ready-made comparisons" },
      ...PRESETS.map(([text, ways]) => el("button", { class: "chip", type: "button", text, onclick: () => this.#set(ways) })), this.#twoModels);
    const bar = el("div", { class: "compare-bar" }, el("label", { class: "compare-stream", for: "compare-stream" }, "Stream", this.#stream),
      el("div", { class: "past-buttons" }, this.#live, this.#step, this.#more), this.#where);
    const signs = el("p", { class: "compare-legend" }, "Marks: ", el("ins", { text: "underlined" }), " is only here, ", el("del", { text: "struck out" }),
      " is only in A; a dashed box with + is only here, a dotted one with − is only in A.");
    this.#body = el("div", { class: "compare-body" }, presets, bar, signs, this.#grid, this.#totals.root);
    root.replaceChildren(this.#words, this.#body);
    this.#stream.addEventListener("change", () => this.#changed());
    this.#twoModels.addEventListener("click", () => this.#set(modelWays(this.#models)));
    this.#live.addEventListener("click", () => this.#go(!this.#going));
    this.#step.addEventListener("click", () => this.#one());
    this.#more.addEventListener("click", () => this.#set([...this.#ways(), anotherOf(this.#ways(), this.#budgets)]));
    page.player.addEventListener("picture", ({ detail }) => this.#open && detail === this.#stream.value && this.#preview());
    document.addEventListener("visibilitychange", () => this.#next());
    page.connection.addEventListener("state", () => this.#linked());
    this.#showGoing();
  }

  // It is looked at. Also called again whenever streams come and go.
  open() {
    this.#open = true;
    const names = this.page.streams();
    this.#body.hidden = names.length === 0;
    if (!names.length) return put(this.#words, "No stream is being watched, so there is nothing to compare. Start streamer with a file or a camera, or add a stream under Settings.");
    const chosen = names.includes(this.#stream.value) ? this.#stream.value : names.includes(this.page.store.selected) ? this.page.store.selected : names[0];
    this.#stream.replaceChildren(...names.map((name) => el("option", { value: name, text: name })));
    const other = this.#columns.length > 0 && chosen !== this.#shown;
    this.#stream.value = chosen;
    if (!this.#columns.length) this.#begin();
    else if (other) this.#changed();
    else this.#next();
  }

  // It is looked at no more.
  close() {
    this.#open = false;
    clearTimeout(this.#timer);
    this.#showWaiting();
  }

  #shown = "";
  #begun = 0;

  // Which models there are has to be known before anything is asked of them.
  async #begin() {
    if (this.#busy) return;
    this.#busy = true;
    put(this.#words, "Asking the server which models there are…");
    await this.#learnModels();
    put(this.#words, "");
    this.#busy = false;
    if (this.#columns.length) this.#next(); // somebody has chosen meanwhile
    else this.#set(remembered());
  }

  async #learnModels() {
    const { value } = await fetchJson("/api/v1/server");
    if (!value) return false;
    const other = value.models.join("\n") !== this.#models.join("\n");
    this.#models = value.models;
    this.#twoModels.hidden = this.#models.length < 2;
    put(this.#twoModels, this.#models.length === 2 ? "Two models" : `${Math.min(MOST, this.#models.length)} models`);
    return other;
  }

  get #budgets() {
    return this.page.store.hello?.budgets ?? [70, 140, 280, 560, 1120];
  }

  #ways() {
    return this.#columns.map((column) => column.way);
  }

  // Columns for these ways; those that are there stay.
  #set(ways) {
    const budgets = this.#budgets;
    while (this.#columns.length > ways.length) this.#columns.pop().root.remove();
    while (this.#columns.length < ways.length) {
      const column = new Column({ changed: () => this.#changed(), taken: () => this.#take(column) });
      this.#columns.push(column);
      this.#grid.append(column.root);
    }
    const choice = { budgets, models: this.#models };
    this.#columns.forEach((column, place) => column.fill(ways[place], letterOf(place), choice, ways.length > 2));
    this.#changed();
  }

  #take(column) {
    const ways = this.#ways().filter((way, place) => this.#columns[place] !== column);
    this.#set(ways);
    this.#more.focus();
  }

  // Something else is asked from now on: what was found before does not count.
  #changed() {
    this.#changes += 1;
    this.#shown = this.#stream.value;
    remember(this.#ways());
    this.#grid.dataset.ways = String(this.#columns.length);
    this.#more.hidden = this.#columns.length >= MOST;
    this.#totals.clear();
    const wanting = this.#columns.filter((column) => !variantOf(column.way));
    for (const column of this.#columns) {
      column.complain(wanting.includes(column) ? "Type the question first." : "");
      column.clear(wanting.length ? "Waits for the question." : this.#started ? "The first answer is on its way…" : "Nothing is asked yet. Press Start, or One frame.");
      column.watch(this.#started ? null : this.#stream.value);
    }
    put(this.#where, "");
    this.#single ||= this.#started && !this.#going;
    this.#preview();
    this.#next();
  }

  #go(going) {
    this.#going = going;
    this.#single = false;
    this.#start();
  }

  #one() {
    this.#going = false;
    this.#single = true;
    this.#start();
  }

  #start() {
    const first = !this.#started;
    this.#started = true;
    this.#showGoing();
    if (first) this.#changed();
    else this.#next();
  }

  #showGoing() {
    this.#live.setAttribute("aria-pressed", String(this.#going));
    put(this.#live, !this.#started ? "Start" : this.#going ? "Pause" : "Go on live");
  }

  // The stream as it is, until the first frame has been asked about.
  #preview() {
    const stream = this.page.store.streams.get(this.#stream.value);
    if (!this.#started && stream) for (const column of this.#columns) column.preview(this.page.player.bitmap(stream.stream), aspectOf(stream));
  }

  // How long the answer that is on its way is awaited, by the second.
  #showWaiting() {
    const waited = this.#busy && this.#open && this.#begun ? Math.floor((performance.now() - this.#begun) / 1000) : 0;
    for (const column of this.#columns) column.wait(waited);
  }

  // Another program may have been started meanwhile, with other models.
  async #linked() {
    if (!this.#open) return;
    if (this.page.connection.state === "open") {
      if (this.#columns.length && (await this.#learnModels())) this.#set(this.#ways());
      else this.#next();
    } else put(this.#words, "The connection is lost. The comparison goes on when it is back.");
  }

  // Asks for the next frame, where one is wanted and none is on its way.
  #next(wait = 0) {
    clearTimeout(this.#timer);
    if (!this.#open || this.#busy || !this.#columns.length || document.hidden || this.page.connection.state !== "open") return;
    if (!this.#going && !this.#single) return;
    this.#timer = setTimeout(() => this.#ask(), wait);
  }

  async #ask() {
    const variants = this.#columns.map((column) => variantOf(column.way));
    if (variants.includes(null)) return;
    const begun = performance.now();
    this.#begun = begun;
    const clock = setInterval(() => this.#showWaiting(), 1000);
    const asked = this.#changes;
    this.#busy = true;
    const { value, error } = await sendJson("POST", `/api/v1/streams/${encodeURIComponent(this.#stream.value)}/comparisons`, { variants, width: WIDTH });
    const bitmap = value ? await decoded(value.picture) : null;
    clearInterval(clock);
    this.#busy = false;
    this.#showWaiting();
    if (asked !== this.#changes || !this.#open) bitmap?.close();
    else if (error) put(this.#words, `No comparison: ${error}. ${this.#going ? "It is tried again." : ""}`);
    else {
      this.#single = false;
      this.#show(value, bitmap);
    }
    if (error && !this.#going && asked === this.#changes) this.#single = false;
    this.#next(error ? AGAIN_MS : Math.max(0, LEAST_MS - (performance.now() - begun)));
  }

  #show(value, bitmap) {
    put(this.#words, "");
    const [first] = value.variants;
    const stream = this.page.store.streams.get(this.#stream.value);
    const inFile = stream && isFile(stream) ? `${mediaTime(value.media_seconds)} · ` : "";
    const place = value.index === null ? "" : ` · picture ${value.index}`;
    put(this.#where, `${inFile}${dayTime(value.captured)}${place}`);
    const frame = { bitmap, aspect: first.width / first.height, key: String(value.captured), at: value.media_seconds, caveat: this.page.store.hello?.caveat };
    const ways = this.#columns.map((column, number) => {
      const result = value.variants[number];
      return { letter: column.letter, budget: result.budget, model: result.model, result, found: column.show(result, number ? first : null, frame) };
    });
    this.#bitmap?.close();
    this.#bitmap = bitmap;
    this.#totals.add(ways);
  }
}

const letterOf = (place) => "ABCD"[place];

async function decoded(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
}
