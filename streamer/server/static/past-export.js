// What is kept of a stream, taken away as a dataset: which time, whose answers, which formats; one ZIP file.

import { el, put, tick } from "./dom.js";
import { give } from "./give.js";
import { fetchFile } from "./token.js";
import { formatWords, size } from "./words-files.js";
import { whole } from "./words.js";

const FORMATS = ["coco", "yolo", "csv", "cvat", "label-studio", "voc", "vtt", "srt", "parquet", "jsonl"]; // common ones first
const BEFORE = ["coco", "jsonl"];
const WHOSE = [["corrected", "Corrected, else the model's"], ["only_corrected", "Only corrected pictures"], ["", "The model's own"]];
const TIMES = ["since", "until"];
const named = (params, name) => params.filter(([one]) => one === name).map(([, value]) => value);
const shownTime = (at) => new Date(Number(at) * 1000).toLocaleString();
const fileName = (headers) => decodeURIComponent(/filename\*=utf-8''([^;]+)/.exec(headers.get("content-disposition") ?? "")?.[1] ?? "excerpt.zip");

export class PastExport {
  #stream = el("select", { id: "export-stream" });
  #whose = el("select", { id: "export-whose" }, ...WHOSE.map(([value, text]) => el("option", { value, text })));
  #time = el("p", {});
  #hint = el("p", { class: "hint" });
  #formats = FORMATS.map((name) => ({ name, ...tick(formatWords(name), BEFORE.includes(name)) }));
  #words = el("p", { class: "export-words", role: "status" });
  #go = el("button", { class: "button primary", type: "submit", text: "Export" });
  #stop = el("button", { class: "button", type: "button", text: "Stop", hidden: true });
  #params = [];
  #asked = null;

  constructor() {
    const close = el("button", { class: "button", type: "button", text: "Close", onclick: () => this.root.close() });
    this.#formats.at(-1).input.disabled = true; // always there
    const formats = el("fieldset", { class: "files-tasks" }, el("legend", { text: "Formats" }), el("div", { class: "export-formats" }, ...this.#formats.map((one) => one.root)));
    const form = el("form", { class: "export-form", onsubmit: (event) => { event.preventDefault(); this.#export(); } },
      field("Stream", this.#stream), el("div", { class: "field" }, el("span", { class: "field-title", text: "Time" }), this.#time, this.#hint), field("Answers", this.#whose), formats,
      this.#words, el("div", { class: "past-buttons" }, this.#go, this.#stop, close));
    this.root = el("dialog", { class: "past-dialog export", "aria-labelledby": "export-title" }, el("h2", { id: "export-title", text: "Export a dataset" }), form);
    this.#stop.addEventListener("click", () => this.#callOff("Stopped."));
    this.root.addEventListener("close", () => this.#callOff(""));
  }

  // params: [[name, value]…] of what is searched; streams: names to choose from; whose: see WHOSE; hint: what is left out.
  open({ params, streams, whose = "corrected", hint = "" }) {
    this.#params = params.filter(([name]) => TIMES.includes(name));
    const searched = named(params, "stream");
    const names = [...new Set([...searched, ...streams])];
    const chosen = searched.length === 1 ? searched[0] : names.length === 1 ? names[0] : "";
    this.#stream.replaceChildren(el("option", { value: "", text: names.length ? "Choose a stream" : "There is no stream" }), ...names.map((name) => el("option", { value: name, text: name })));
    this.#stream.value = chosen;
    this.#whose.value = whose;
    const [since, until] = TIMES.map((name) => named(this.#params, name).at(-1));
    put(this.#time, since || until ? `${since ? `From ${shownTime(since)}` : "From the beginning"} ${until ? `to ${shownTime(until)}` : "to now"}` : "All that is kept");
    put(this.#hint, hint);
    put(this.#words, "");
    this.root.showModal();
  }

  async #export() {
    if (this.#asked) return;
    if (!this.#stream.value) {
      this.#say("bad", "No stream is chosen: a dataset is of one stream.");
      return this.#stream.focus();
    }
    const asked = new AbortController();
    this.#asked = asked;
    this.#say("wait", "It is made now; closing this stops it…");
    this.#busy(true);
    const answer = await fetchFile(`/api/v1/history/excerpt?${this.#query()}`, asked.signal);
    if (this.#asked !== asked) return; // stopped meanwhile
    this.#asked = null;
    this.#busy(false);
    if (answer.error) return this.#say("bad", refusal(answer));
    const name = fileName(answer.headers);
    give(answer.blob, name);
    this.#say("good", made(answer, name));
  }

  #query() {
    const formats = this.#formats.filter((one) => one.input.checked).map((one) => one.name);
    const whose = this.#whose.value ? [[this.#whose.value, "true"]] : [];
    return new URLSearchParams([["stream", this.#stream.value], ...this.#params, ["formats", formats.join(",")], ...whose]);
  }

  #callOff(words) {
    if (!this.#asked) return;
    this.#asked.abort();
    this.#asked = null;
    this.#busy(false);
    this.#say("", words);
  }

  #busy(busy) {
    this.#go.disabled = busy;
    this.#stop.hidden = !busy;
    if (busy) this.#stop.focus();
    else if (this.root.open) this.#go.focus();
  }

  #say(kind, words) {
    this.#words.dataset.kind = kind;
    put(this.#words, words);
  }
}

function refusal({ error, field: of, status }) {
  if (of === "stream") return error.includes("corrected") ? "Nobody has corrected a picture of that stream in that time." : "No picture of that stream is kept from that time. A longer time has more.";
  if (of === "since") return `That is too much at once; ${error}. Write since: and until: into the search.`;
  if (status === 404) return "Nothing of that stream is kept.";
  if (status === 429) return "The server makes other datasets now. Try again in a moment.";
  return `It did not work: ${error}`;
}

function made({ blob, headers }, name) {
  const count = Number(headers.get("x-pictures"));
  const left = Number(headers.get("x-left-out"));
  const out = left ? `; ${whole(left)} ${left === 1 ? "result has" : "results have"} no picture or no answer, and ${left === 1 ? "is" : "are"} left out` : "";
  return `Saved as ${name}: ${count === 1 ? "1 picture" : `${whole(count)} pictures`}, ${size(blob.size)}${out}.`;
}

const field = (words, input) => el("div", { class: "field" }, el("label", { htmlFor: input.id, text: words }), input);
