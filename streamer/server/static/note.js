// What a stage says when there is no fresh picture, why, and the way on.

import { el } from "./dom.js";
import { seconds } from "./words.js";

// {title, why, action, old}: what to say of a stream, or null while pictures come. action: "restart" words or "".
function noteOf(stream, picture, linked, now) {
  if (!linked) return { title: "No connection to the server", why: "", action: "" };
  const since = seconds(Math.max(0, now - stream.since));
  switch (stream.state) {
    case "connecting":
      return { title: "Connecting to the source…", why: stream.reason, action: "" };
    case "stalled":
      return { title: `No picture for ${since}`, why: stream.reason, action: "" };
    case "waiting":
      return { title: `The source has been away for ${since}; it is tried again by itself`, why: stream.reason, action: "" };
    case "ended":
      return { title: "The video has ended", why: "", action: "Play again" };
    case "failed":
      return { title: "The source cannot be read", why: stream.reason, action: "Try again" };
  }
  return picture ? null : { title: "Waiting for the first picture…", why: "", action: "" };
}

export class Note {
  #title = el("p");
  #why = el("p", { class: "why" });
  #button = null;
  #root;

  // onrestart: what the button does; without it there is no button (as on a tile, which is one itself).
  constructor(stage, onrestart = null) {
    this.stage = stage;
    this.#root = el("div", { class: "stage-note", hidden: true }, this.#title, this.#why);
    if (onrestart) {
      this.#button = el("button", { class: "button", type: "button", onclick: onrestart });
      this.#root.append(this.#button);
    }
    stage.append(this.#root);
  }

  say(words) {
    this.#root.hidden = words === null;
    this.stage.dataset.old = String(words !== null);
    if (words === null) return;
    if (this.#title.textContent !== words.title) this.#title.textContent = words.title;
    if (this.#why.textContent !== words.why) this.#why.textContent = words.why;
    this.#why.hidden = !words.why || !this.#button;
    if (this.#button) {
      if (this.#button.textContent !== words.action) this.#button.textContent = words.action;
      this.#button.hidden = !words.action;
    }
  }

  follow(stream, picture, linked, now) {
    this.say(noteOf(stream, picture, linked, now));
  }
}
