// Which streams' pictures this page needs now, and how large: those that somebody can see, and none while it is hidden.

import { canDecode } from "./video.js";

const CHECK_MS = 500;
const MOST_VIDEOS = 4;
const LARGE = 0.45;

export class Wishes {
  #asked = "";

  // connection: to ask by. Places for pictures are elements with data-stream="NAME".
  constructor(connection, store, player) {
    Object.assign(this, { connection, store, player });
    setInterval(() => this.ask(), CHECK_MS);
    document.addEventListener("visibilitychange", () => this.ask());
  }

  // After a new connection nothing has been asked.
  forget() {
    this.#asked = "";
  }

  // Asks where something else is wanted than before.
  ask() {
    if (this.connection.state !== "open") return;
    const widths = document.hidden ? {} : visible();
    const wanted = { streams: Object.keys(widths), widths, video: this.#videos(widths) };
    const asked = JSON.stringify(wanted);
    if (asked === this.#asked) return;
    this.#asked = asked;
    this.connection.command("pictures", wanted);
  }

  // The largest few whose own video this browser can show, where their place is not much smaller than the video.
  #videos(widths) {
    if (!canDecode()) return [];
    const fits = (name) => {
      const source = this.store.streams.get(name)?.source;
      return source?.codec === "h264" && widths[name] >= LARGE * source.width && !this.player.videoFailed(name);
    };
    return Object.keys(widths).filter(fits).sort((a, b) => widths[b] - widths[a]).slice(0, MOST_VIDEOS);
  }
}

// Stream -> pixels across of its largest place in the window.
function visible() {
  const widths = {};
  const seen = document.fullscreenElement ?? document;
  const places = [...seen.querySelectorAll("[data-stream]"), ...(seen.dataset?.stream ? [seen] : [])];
  for (const place of places) {
    const box = place.getBoundingClientRect();
    const inside = box.width > 0 && box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth;
    if (!inside) continue;
    const width = Math.min(8192, Math.round(box.width * (devicePixelRatio || 1)));
    widths[place.dataset.stream] = Math.max(width, widths[place.dataset.stream] ?? 0);
  }
  return widths;
}
