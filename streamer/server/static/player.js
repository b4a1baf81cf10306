// Shows the pictures of all streams: at once, or in step with their boxes, a moment later.

import { boxesAt } from "./between.js";
import { Carried } from "./carried.js";
import { Delay } from "./delay.js";
import { isOld, strength } from "./fresh.js";
import { Video } from "./video.js";

const MOST_WAITING = 90;
const KEY = "streamer-in-step";
export const NO_BOXES = { detections: [], alpha: 1, key: "", at: null, carried: false, older: 0, old: false };

class Reel {
  waiting = [];
  shown = null;
  decoding = false;
  delay = new Delay();
  video = new Video();

  forget() {
    this.waiting.length = 0;
    this.video.forget();
    this.shown?.bitmap.close();
    this.shown = null;
  }
}

export class Player extends EventTarget {
  // Event: "picture" (detail: name), when another picture is to be shown.
  #reels = new Map();
  #carried = new Carried();

  // clock(): Unix seconds of the server.
  constructor(store, clock) {
    super();
    this.store = store;
    this.clock = clock;
    this.inStep = stored() !== "no";
    store.addEventListener("boxes", ({ detail }) => this.#carried.take(detail));
  }

  setInStep(inStep) {
    this.inStep = inStep;
    try { localStorage.setItem(KEY, inStep ? "yes" : "no"); } catch { /* kept for this page alone */ }
  }

  // Forgets the pictures of streams that are gone.
  keep() {
    this.#carried.keep(this.store.streams);
    for (const [name, reel] of this.#reels) {
      if (this.store.streams.has(name)) continue;
      reel.forget();
      this.#reels.delete(name);
    }
  }

  take(picture) {
    const stream = [...this.store.streams.values()].find((known) => known.number === picture.number);
    if (!stream) return;
    const { waiting, video } = this.#reel(stream.stream);
    if (picture.kind !== "jpeg") return video.take(picture);
    waiting.push(picture);
    if (waiting.length > MOST_WAITING) waiting.shift();
  }

  // The newest result of the stream has just come.
  learn(name) {
    const results = this.store.results(name);
    this.#reel(name).delay.learn(results.at(-1), results.at(-2) ?? null, this.clock());
  }

  bitmap(name) {
    return this.#reels.get(name)?.shown?.bitmap ?? null;
  }

  // {bitmap, captured, mediaSeconds} of what is shown; the bitmap is good until the next picture. Null before the first.
  shown(name) {
    return this.#reels.get(name)?.shown ?? null;
  }

  // Whether what is shown is the camera's own video.
  asSent(name) {
    return this.#reels.get(name)?.shown?.asSent ?? false;
  }

  // Whether this browser could not decode the camera's video.
  videoFailed(name) {
    return this.#reels.get(name)?.video.failed ?? false;
  }

  // Seconds by which pictures are held back; 0 where the newest is shown.
  behind(name) {
    return this.#reels.get(name)?.delay.seconds ?? 0;
  }

  // Seconds that pictures would have to be held back for boxes in step, where that is too long; else 0.
  tooSlow(name) {
    return this.#reels.get(name)?.delay.tooLong(this.clock()) ?? 0;
  }

  // What to draw over the picture that is shown. older: seconds by which the boxes are older than that picture, 0 where
  // they are held in step with it or carried to it; old: whether that is so much that things have moved away from them.
  // None before the first picture.
  boxes(name) {
    const shown = this.shown(name);
    if (!shown) return NO_BOXES;
    const results = this.store.seen(name);
    const newest = results.at(-1) ?? null;
    const held = this.behind(name) > 0;
    const asked = newest?.detections.length || !this.store.results(name).at(-1)?.detections.length;
    const carried = held || !asked ? null : this.#carried.at(name, shown.captured);
    const { before, detections, older } = held
      ? boxesAt(results, shown.captured)
      : { before: newest, detections: carried?.detections ?? newest?.detections ?? [], older: carried || !newest ? 0 : Math.abs(shown.captured - newest.captured) };
    const old = isOld(older);
    const exact = held || carried;
    const key = `${name}/${before?.captured}/${exact ? shown.captured : ""}/${old}/${detections.length}`;
    const at = exact ? shown.mediaSeconds : (before?.media_seconds ?? null);
    return { detections, alpha: strength(older), key, carried: Boolean(carried), older, old, at };
  }

  // Runs as long as the page does, in step with the screen.
  play() {
    const now = this.clock();
    for (const [name, reel] of this.#reels) this.#advance(name, reel, now);
    requestAnimationFrame(() => this.play());
  }

  #advance(name, reel, now) {
    const moment = now - reel.delay.move(now, this.inStep);
    const frame = reel.video.due(reel.delay.seconds === 0 ? Infinity : moment);
    if (frame) {
      reel.waiting.length = 0;
      return this.#put(name, reel, { ...frame, asSent: true });
    }
    if (reel.decoding) return;
    let due = null;
    while (reel.waiting.length && reel.waiting[0].captured <= moment + 0.004) due = reel.waiting.shift();
    if (reel.delay.seconds === 0 && reel.waiting.length) due = reel.waiting.splice(0).at(-1);
    if (due) this.#show(name, reel, due);
  }

  async #show(name, reel, picture) {
    reel.decoding = true;
    try {
      const bitmap = await createImageBitmap(picture.jpeg);
      if (reel.shown && reel.shown.captured > picture.captured + 0.001 && reel.video.running) bitmap.close();
      else this.#put(name, reel, { ...picture, bitmap, jpeg: null });
    } catch {
      console.warn(`a picture of ${name} could not be decoded`);
    } finally {
      reel.decoding = false;
    }
  }

  #put(name, reel, shown) {
    reel.shown?.bitmap.close();
    reel.shown = shown;
    this.dispatchEvent(new CustomEvent("picture", { detail: name }));
  }

  #reel(name) {
    if (!this.#reels.has(name)) this.#reels.set(name, new Reel());
    return this.#reels.get(name);
  }
}

function stored() {
  try { return localStorage.getItem(KEY); } catch { return null; }
}
