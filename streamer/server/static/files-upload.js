// One file on its way to the server: how far it is, called off, or why it was not taken.

import { el, put } from "./dom.js";
import { authorised } from "./token.js";
import { size } from "./words-files.js";

const AGAIN_MS = 4000;

export class UploadLine {
  #request = null;
  #bar = el("progress", { max: 1, value: 0 });
  #words = el("span", { class: "file-facts", role: "status", text: "Waits to be sent" });
  #stop = el("button", { class: "button quiet", type: "button", text: "Cancel" });
  #ended;
  over = false;

  // params: URLSearchParams of what is wanted; most: bytes that the server takes; ended(job or null).
  constructor(file, params, { most, ended }) {
    Object.assign(this, { file, params, most });
    this.#ended = ended;
    this.#bar.setAttribute("aria-label", `Sent of ${file.name}`);
    this.#stop.setAttribute("aria-label", `Cancel ${file.name}`);
    this.#stop.addEventListener("click", () => this.#cancel());
    this.root = el("li", { class: "card file-card" }, el("div", { class: "file-text" }, el("strong", { text: file.name }), this.#words, this.#bar), this.#stop);
  }

  send() {
    if (this.file.size > this.most) return this.#fail(`It has ${size(this.file.size)}, and this server takes ${size(this.most)} at most.`);
    if (this.file.size === 0) return this.#fail("It is empty.");
    const query = new URLSearchParams(this.params);
    query.set("name", [...this.file.name].slice(0, 200).join("").slice(0, 200) || "file");
    const request = new XMLHttpRequest();
    this.#request = request;
    request.open("POST", `/api/v1/jobs?${query}`);
    for (const [name, value] of Object.entries(authorised())) request.setRequestHeader(name, value);
    request.setRequestHeader("content-type", "application/octet-stream");
    request.upload.addEventListener("progress", ({ loaded, total }) => this.#progress(loaded, total));
    request.addEventListener("load", () => this.#answered(request));
    request.addEventListener("error", () => this.#fail("The connection broke off, or the server does not take it now. Drop it again to try again."));
    request.addEventListener("abort", () => this.#done(null));
    request.send(this.file);
  }

  #progress(loaded, total) {
    this.#bar.value = total ? loaded / total : 0;
    put(this.#words, loaded < total ? `${size(loaded)} of ${size(total)} sent` : "Sent; the server looks at it…");
  }

  #answered(request) {
    let value = null;
    try { value = JSON.parse(request.responseText); } catch { /* the status says it */ }
    if (request.status === 201 && value) this.#done(value);
    else if (request.status === 429) this.#wait();
    else this.#fail(`It was not taken: ${value?.detail ?? `the server says ${request.status}`}.`);
  }

  // Others hand in files, too.
  #wait() {
    this.#request = null;
    put(this.#words, "The server takes other files first; this one is sent again soon.");
    setTimeout(() => this.over || this.send(), AGAIN_MS);
  }

  #cancel() {
    if (!this.#request || this.over) {
      const waited = !this.over;
      this.over = true;
      this.root.remove();
      if (waited) this.#ended(null);
      return;
    }
    this.root.remove();
    this.#request.abort();
  }

  // It stays to be read until somebody takes it away.
  #fail(words) {
    put(this.#words, words);
    this.#words.classList.add("file-fault");
    this.#bar.hidden = true;
    put(this.#stop, "Dismiss");
    this.#stop.setAttribute("aria-label", `Dismiss ${this.file.name}`);
    this.#done(null);
  }

  #done(job) {
    if (this.over) return;
    this.over = true;
    this.#ended(job);
  }
}
