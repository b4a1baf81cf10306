// Files: dropped here, annotated by the server's model, looked through and taken away.

import { el, put } from "./dom.js";
import { JobForm } from "./files-form.js";
import { JobCard } from "./files-job.js";
import { JobLook } from "./files-look.js";
import { UploadLine } from "./files-upload.js";
import { fetchJson } from "./token.js";

const BUSY_MS = 1000;
const IDLE_MS = 5000;
const AT_ONCE = 1; // the link is shared anyway, and the server takes few at once

export class Files {
  #words = el("p", { class: "past-words", role: "status" });
  #form;
  #uploads = el("ol", { class: "file-list", "aria-label": "Files on their way" });
  #list = el("ol", { class: "file-list", "aria-label": "Jobs" });
  #none = el("p", { class: "files-none", text: "Nothing yet. What you hand in is listed here, with its progress and its results.", hidden: true });
  #body;
  #look;
  #cards = new Map();
  #waiting = [];
  #sending = new Set();
  #most = Infinity;
  #timer = 0;
  #turn = 0;
  #open = false;

  // page: what all views share, see main.js.
  constructor(root, page) {
    Object.assign(this, { root, page });
    this.#form = new JobForm((files, params) => this.#take(files, params));
    this.#look = new JobLook();
    this.#body = el("div", { class: "files-body" }, this.#form.root,
      el("section", { class: "files-jobs", "aria-label": "Files and results" }, el("h2", { text: "Files and results" }), this.#uploads, this.#none, this.#list));
    root.replaceChildren(this.#words, this.#body, this.#look.root);
    document.addEventListener("visibilitychange", () => this.#open && !document.hidden && this.#poll());
    page.connection.addEventListener("state", ({ detail }) => detail.state === "open" && this.#open && this.#poll());
  }

  // It is looked at. Also called again whenever streams come and go.
  open() {
    this.#open = true;
    const allowed = this.page.admin();
    this.#body.hidden = !allowed;
    if (!allowed) return put(this.#words, "Files are handed in by an admin. Your token may only look at streams; ask whoever runs this server for another one.");
    if (!this.#cards.size) put(this.#words, "Looking for files…");
    this.#poll();
  }

  // It is looked at no more. What is being sent goes on.
  close() {
    this.#open = false;
    clearTimeout(this.#timer);
  }

  #take(files, params) {
    for (const file of files) {
      const line = new UploadLine(file, params, { most: this.#most, ended: (job) => this.#sent(line, job) });
      this.#uploads.append(line.root);
      this.#waiting.push(line);
    }
    this.#sendNext();
  }

  #sendNext() {
    while (this.#sending.size < AT_ONCE && this.#waiting.length) {
      const line = this.#waiting.shift();
      if (line.over) continue;
      this.#sending.add(line);
      line.send();
    }
  }

  // job: what the server made of it; null where it was not taken.
  #sent(line, job) {
    this.#sending.delete(line);
    if (job) {
      line.root.remove();
      this.#show([job, ...[...this.#cards.values()].map((card) => card.job)]);
    }
    this.#sendNext();
    this.#poll();
  }

  async #poll() {
    clearTimeout(this.#timer);
    if (!this.#open || !this.page.admin()) return;
    const turn = ++this.#turn;
    const { value, error } = await fetchJson("/api/v1/jobs");
    if (turn !== this.#turn) return;
    put(this.#words, error ? `The list of files cannot be had: ${error}. It is tried again.` : "");
    if (value) {
      this.#most = value.upload_bytes;
      this.#form.offer(value.formats, this.page.store.hello?.budgets ?? []);
      this.#show(value.jobs);
    }
    if (!this.#open || document.hidden) return;
    const busy = error || value.jobs.some((job) => job.state === "waiting" || job.state === "running");
    this.#timer = setTimeout(() => this.#poll(), busy ? BUSY_MS : IDLE_MS);
  }

  // Newest first; cards that are there stay, so that nobody loses the button under his finger.
  #show(jobs) {
    for (const [id, card] of this.#cards) {
      if (jobs.some((job) => job.id === id)) continue;
      card.root.remove();
      this.#cards.delete(id);
    }
    jobs.forEach((job, place) => {
      let card = this.#cards.get(job.id);
      if (!card) {
        card = new JobCard({ look: (one) => this.#look.open(one), changed: () => this.#poll() });
        this.#cards.set(job.id, card);
      }
      card.show(job);
      if (this.#list.children[place] !== card.root) this.#list.insertBefore(card.root, this.#list.children[place] ?? null);
    });
    this.#look.follow(jobs);
    this.#none.hidden = jobs.length > 0;
  }
}
