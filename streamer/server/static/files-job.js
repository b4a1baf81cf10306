// One file that was handed in: how far it is, what there is to take away, a way to look through it and to remove it.

import { el, put } from "./dom.js";
import { give } from "./give.js";
import { authorised, fetchBlob, sendJson } from "./token.js";
import { formatWords, progressWords, size } from "./words-files.js";

const ARMED_MS = 4000;

export class JobCard {
  #title = el("strong", {});
  #facts = el("span", { class: "file-facts" });
  #words = el("span", { class: "file-words", role: "status" });
  #fault = el("p", { class: "file-fault", hidden: true });
  #bar = el("progress", { max: 1 });
  #look = el("button", { class: "button", type: "button", text: "Look through" });
  #remove = el("button", { class: "button quiet", type: "button", text: "Remove" });
  #made = el("div", { class: "file-made" });
  #details;
  #armed = 0;
  #shown = "";

  // look(job): somebody wants to look through it; changed(): the list is not what it was.
  constructor({ look, changed }) {
    this.#look.addEventListener("click", () => look(this.job));
    this.#remove.addEventListener("click", () => this.#press(changed));
    this.#details = el("details", { class: "file-details", hidden: true }, el("summary", { text: "Downloads" }), this.#made);
    this.root = el("li", { class: "card file-card" },
      el("div", { class: "file-text" }, this.#title, this.#facts, this.#words, this.#bar, this.#fault, this.#details), el("div", { class: "file-buttons" }, this.#look, this.#remove));
  }

  show(job) {
    this.job = job;
    this.root.dataset.state = job.state;
    put(this.#title, job.title);
    put(this.#facts, facts(job));
    put(this.#words, progressWords(job));
    this.#bar.hidden = job.state !== "running" && job.state !== "waiting";
    this.#bar.setAttribute("aria-label", `Progress of ${job.title}`);
    const part = partOf(job);
    if (part === null) this.#bar.removeAttribute("value");
    else this.#bar.value = part;
    const faults = [job.error, job.fault && `The file ended early: ${job.fault}`].filter(Boolean).join(" ");
    put(this.#fault, faults);
    this.#fault.hidden = !faults;
    this.#look.hidden = job.frames === 0;
    this.#look.setAttribute("aria-label", `Look through ${job.title}`);
    if (!this.#armed) this.#remove.setAttribute("aria-label", `Remove ${job.title}`);
    this.#showMade(job);
  }

  #showMade(job) {
    const key = JSON.stringify(job.files);
    if (key === this.#shown) return;
    this.#shown = key;
    this.#details.hidden = job.files.length === 0;
    this.#made.replaceChildren(...job.files.map((made) => download(job, made)));
  }

  // Twice: nothing brings it back.
  async #press(changed) {
    clearTimeout(this.#armed);
    if (!this.#armed) {
      put(this.#remove, "Press again to remove it");
      this.#remove.removeAttribute("aria-label");
      this.#armed = setTimeout(() => this.#disarm(), ARMED_MS);
      return;
    }
    this.#disarm();
    const { error } = await sendJson("DELETE", `/api/v1/jobs/${encodeURIComponent(this.job.id)}`);
    if (error) {
      put(this.#fault, `It cannot be removed: ${error}`);
      this.#fault.hidden = false;
    }
    changed();
  }

  #disarm() {
    this.#armed = 0;
    put(this.#remove, "Remove");
    this.#remove.setAttribute("aria-label", `Remove ${this.job.title}`);
  }
}

// 0 to 1 of the stage that it is in; null where nobody knows.
function partOf(job) {
  if (job.state !== "running") return 0;
  if (job.stage === "answers") return job.expected ? Math.min(1, job.frames / job.expected) : null;
  const end = job.end === null ? job.duration_seconds : Math.min(job.end, job.duration_seconds ?? job.end);
  const start = job.start ?? 0;
  return end > start && job.media_seconds !== null ? Math.min(1, Math.max(0, (job.media_seconds - start) / (end - start))) : null;
}

function facts(job) {
  const tasks = job.tasks.map((task) => (task.kind === "detect" ? `objects${task.labels.length ? `: ${task.labels.join(", ")}` : ""}` : task.kind === "ask" || task.kind === "check" ? task.prompt : task.kind));
  const window = job.start === null && job.end === null ? "" : ` from ${job.start ?? 0} s to ${job.end === null ? "its end" : `${job.end} s`}`;
  const which = job.kind === "video" ? `${job.every}${window} · ` : "";
  return `${job.width} × ${job.height} · ${size(job.bytes)} · ${which}${tasks.join(" · ")}`;
}

// A plain link where no token is needed; else it is fetched with the token, which stands in no address.
function download(job, made) {
  const path = `/api/v1/jobs/${encodeURIComponent(job.id)}/files/${encodeURIComponent(made.name)}`;
  const words = `${formatWords(made.format)} · ${made.name}`;
  const text = [el("span", { text: words }), el("small", { text: size(made.bytes) })];
  if (!Object.keys(authorised()).length) return el("a", { class: "file-download", href: path, download: made.name }, ...text);
  const button = el("button", { class: "file-download", type: "button" }, ...text);
  button.addEventListener("click", async () => {
    put(text[1], "is fetched…");
    const blob = await fetchBlob(path);
    put(text[1], blob ? size(made.bytes) : "cannot be had; press again");
    if (blob) give(blob, made.name);
  });
  return button;
}
