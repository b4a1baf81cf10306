// One stream on the wall: its moving picture with boxes, its state, and what is being tried where no picture comes.

import { Age } from "./age.js";
import { el, put } from "./dom.js";
import { Stage } from "./stage.js";
import { aspectOf, dotOf } from "./stream.js";
import { clockTime, seconds, stateWords } from "./words.js";

export class WallTile {
  #words = el("span");
  #state = el("span", { class: "state" }, el("span", { class: "dot", "aria-hidden": "true" }), this.#words);
  #title = el("span", { class: "wall-note-title" });
  #why = el("span");
  #note = el("span", { class: "wall-note", hidden: true }, this.#title, this.#why);
  #restart = el("button", { class: "button wall-restart", type: "button", hidden: true });
  #size;
  #place = null;
  #stage;
  #age;

  // actions: {open, resize, enlarge, earlier, later, restart}, each given the name.
  constructor(name, actions) {
    this.name = name;
    this.aspect = 16 / 9;
    const box = el("span", { class: "stage" });
    box.dataset.stream = name;
    this.#stage = new Stage(box, { small: true });
    this.#age = new Age(box, { small: true });
    const head = el("span", { class: "wall-head" }, el("span", { class: "wall-name", text: name }), this.#state);
    this.button = el("button", { class: "wall-open", type: "button", onclick: () => actions.open(name) }, box, head, this.#note);
    this.button.setAttribute("aria-keyshortcuts", "Shift+ArrowLeft Shift+ArrowRight L F");
    this.button.setAttribute("aria-describedby", "wall-keys");
    const screen = tool("Full", `Full screen of ${name}`, () => actions.enlarge(name));
    const moves = el("span", { class: "wall-moves" }, tool("◀", `Move ${name} earlier`, () => actions.earlier(name)), tool("▶", `Move ${name} later`, () => actions.later(name)));
    this.#size = tool("Large", `Large picture of ${name}`, () => actions.resize(name));
    this.#restart.addEventListener("click", () => actions.restart(name));
    this.root = el("div", { class: "wall-tile" }, this.button, el("div", { class: "wall-tools" }, moves, this.#size, screen), this.#restart);
    this.root.dataset.name = name;
  }

  // Words and boxes as they are now; writes only what is another than before.
  // caveat: what has to be said with every answer, "" for nothing; seen where the tile fills the screen.
  show(stream, player, linked, now, mayChange, caveat) {
    set(this.root, "caveat", caveat);
    set(this.#state, "state", dotOf(stream, linked));
    put(this.#words, stateWords(stream, linked));
    this.aspect = aspectOf(stream);
    this.#stage.setAspect(this.aspect);
    const boxes = player.boxes(this.name);
    this.#stage.setBoxes(boxes);
    this.#age.show(boxes);
    this.#say(noteOf(stream, player.bitmap(this.name), linked, now), mayChange);
  }

  // The newest picture.
  draw(player) {
    this.#stage.setPicture(player.bitmap(this.name));
    this.#stage.setBoxes(player.boxes(this.name));
  }

  // place: {x, y, width, height} in pixels.
  put(place, large) {
    this.#size.setAttribute("aria-pressed", String(large));
    const before = this.#place;
    if (before && ["x", "y", "width", "height"].every((side) => before[side] === place[side])) return;
    this.#place = place;
    Object.assign(this.root.style, { left: `${place.x}px`, top: `${place.y}px`, width: `${place.width}px`, height: `${place.height}px` });
  }

  #say(note, mayChange) {
    set(this.root, "old", String(note !== null));
    if (this.#note.hidden !== (note === null)) this.#note.hidden = note === null;
    put(this.#title, note?.title ?? "");
    put(this.#why, note?.why ?? "");
    const action = mayChange ? (note?.action ?? "") : "";
    put(this.#restart, action);
    if (this.#restart.hidden !== !action) this.#restart.hidden = !action;
  }
}

// {title, why, action} of a stream without fresh pictures: since when, why, and what is being tried; null while pictures
// come.
export function noteOf(stream, picture, linked, now) {
  if (!linked) return { title: "No connection to the server", why: "", action: "" };
  const away = `${seconds(Math.max(0, now - stream.since))}, since ${clockTime(stream.since)}`;
  switch (stream.state) {
    case "connecting":
      return { title: picture ? `No picture for ${away}` : "Connecting to the source…", why: join(stream.reason, picture ? "Connecting now" : ""), action: "" };
    case "stalled":
      return { title: `No picture for ${away}`, why: stream.reason, action: "" };
    case "waiting":
      return { title: `No picture for ${away}`, why: join(stream.reason, retryWords(stream.retry, now)), action: "" };
    case "ended":
      return { title: `The video has ended, ${seconds(Math.max(0, now - stream.since))} ago`, why: "", action: "Play again" };
    case "failed":
      return { title: `Cannot be read since ${clockTime(stream.since)}`, why: join(stream.reason, "It is not tried again by itself"), action: "Try again" };
  }
  return picture ? null : { title: "Waiting for the first picture…", why: "", action: "" };
}

function retryWords(retry, now) {
  if (!retry) return "It is tried again by itself";
  return retry - now < 1 ? "Trying again now" : `Next try in ${seconds(retry - now)}`;
}

const join = (...words) => words.filter(Boolean).join(". ");

function set(node, name, value) {
  if (node.dataset[name] !== value) node.dataset[name] = value;
}

function tool(text, label, onclick) {
  const button = el("button", { class: "wall-tool", type: "button", text, onclick });
  button.setAttribute("aria-label", label);
  button.title = label;
  return button;
}
