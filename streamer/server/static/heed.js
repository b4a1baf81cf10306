// Sound and notifications of the browser for new alerts, each by the reader's choice, which this browser remembers.

import { byId, put } from "./dom.js";

const SOUND = "streamer-sound";
const NOTICE = "streamer-notices";
const PITCH = { info: 520, warning: 700, critical: 940 };

export class Heed {
  #sound = byId("sound");
  #notice = byId("notices");
  #audio = null;

  constructor() {
    this.#sound.addEventListener("click", () => this.#choose(SOUND, !this.#wants(SOUND)));
    this.#notice.addEventListener("click", () => this.#askNotices());
    this.#show();
  }

  // alert: a new one. Nothing is said of those that were there when the page came.
  tell(alert) {
    if (this.#wants(SOUND)) this.#play(PITCH[alert.severity] ?? PITCH.warning, alert.severity === "critical" ? 3 : 1);
    if (this.#wants(NOTICE) && this.#allowed()) {
      const notice = new Notification(`${alert.stream}: ${alert.title}`, { body: alert.description ?? alert.reason ?? "", tag: alert.alert, icon: "/static/icon.svg" });
      notice.addEventListener("click", () => window.focus());
    }
  }

  async #askNotices() {
    if (this.#wants(NOTICE)) return this.#choose(NOTICE, false);
    if (!("Notification" in window)) return this.#say("This browser has no notifications");
    const answer = await Notification.requestPermission();
    if (answer === "granted") this.#choose(NOTICE, true);
    else this.#say("The browser does not allow this page to notify you. Its settings can allow it.");
  }

  #say(words) {
    this.#notice.title = words;
    this.#notice.setAttribute("aria-label", words);
    put(byId("heard"), words);
  }

  #choose(key, wanted) {
    try {
      localStorage.setItem(key, wanted ? "on" : "off");
    } catch {
      // A browser that keeps nothing: it holds for this page only.
    }
    this.chosen = { ...this.chosen, [key]: wanted };
    if (key === SOUND && wanted) this.#play(PITCH.info, 1); // heard now, and the browser lets us from here on
    this.#show();
  }

  #wants(key) {
    if (this.chosen && key in this.chosen) return this.chosen[key];
    try {
      return localStorage.getItem(key) === "on";
    } catch {
      return false;
    }
  }

  #allowed() {
    return "Notification" in window && Notification.permission === "granted";
  }

  #show() {
    this.#sound.setAttribute("aria-pressed", String(this.#wants(SOUND)));
    this.#notice.setAttribute("aria-pressed", String(this.#wants(NOTICE) && this.#allowed()));
  }

  #play(pitch, times) {
    this.#audio ??= new AudioContext();
    this.#audio.resume();
    for (let turn = 0; turn < times; turn += 1) {
      const at = this.#audio.currentTime + turn * 0.25;
      const tone = new OscillatorNode(this.#audio, { frequency: pitch });
      const volume = new GainNode(this.#audio, { gain: 0 });
      volume.gain.setValueAtTime(0, at);
      volume.gain.linearRampToValueAtTime(0.2, at + 0.02);
      volume.gain.linearRampToValueAtTime(0, at + 0.2);
      tone.connect(volume).connect(this.#audio.destination);
      tone.start(at);
      tone.stop(at + 0.22);
    }
  }
}
