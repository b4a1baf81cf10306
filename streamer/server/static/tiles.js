// All streams side by side, each with moving picture and boxes; one is selected.

import { Age } from "./age.js";
import { el, put } from "./dom.js";
import { Note } from "./note.js";
import { Stage } from "./stage.js";
import { aspectOf, dotOf } from "./stream.js";
import { stateWords } from "./words.js";

class Tile {
  constructor(name, onselect) {
    this.name = name;
    const canvasBox = el("div", { class: "stage", data: { stream: name } });
    this.words = el("span", { text: "" });
    this.state = el("span", { class: "state" }, el("span", { class: "dot", "aria-hidden": "true" }), this.words);
    this.caption = el("span", { class: "tile-caption" });
    const title = el("span", { class: "tile-name", text: name });
    const below = el("span", { class: "tile-words" }, title, this.state, this.caption);
    this.root = el("button", { class: "tile", type: "button", onclick: () => onselect(name) }, canvasBox, below);
    this.stage = new Stage(canvasBox, { small: true });
    this.age = new Age(canvasBox, { small: true });
    this.note = new Note(canvasBox);
  }

  show(store, player, linked, now) {
    const stream = store.streams.get(this.name);
    const result = store.newest(this.name);
    this.state.dataset.state = dotOf(stream, linked);
    put(this.words, stateWords(stream, linked));
    put(this.caption, result?.error ? "The newest frame could not be analysed" : (result?.caption ?? ""));
    this.root.setAttribute("aria-pressed", String(store.selected === this.name));
    this.stage.setAspect(aspectOf(stream));
    const boxes = player.boxes(this.name);
    this.stage.setBoxes(boxes);
    this.age.show(boxes);
    this.note.follow(stream, player.bitmap(this.name), linked, now);
  }
}

export class Tiles {
  #tiles = new Map();

  constructor(root, onselect) {
    this.root = root;
    this.onselect = onselect;
  }

  // Streams came or went. A single stream needs no tiles.
  arrange(names) {
    this.root.hidden = names.length < 2;
    const wanted = new Set(this.root.hidden ? [] : names);
    for (const [name, tile] of this.#tiles) {
      if (wanted.has(name)) continue;
      tile.root.remove();
      this.#tiles.delete(name);
    }
    for (const name of wanted) {
      if (!this.#tiles.has(name)) this.#tiles.set(name, new Tile(name, this.onselect));
      this.root.append(this.#tiles.get(name).root);
    }
  }

  show(store, player, linked, now) {
    for (const tile of this.#tiles.values()) tile.show(store, player, linked, now);
  }

  setPicture(name, bitmap, boxes) {
    const stage = this.#tiles.get(name)?.stage;
    stage?.setPicture(bitmap);
    stage?.setBoxes(boxes);
  }
}
