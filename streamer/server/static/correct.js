// A kept picture whose answer is put right by hand: its boxes, their labels, its caption. The model's answer stays
// beside it.

import { CorrectCanvas } from "./correct-canvas.js";
import { between, Edit } from "./correct-edit.js";
import { CorrectList } from "./correct-list.js";
import { el, put } from "./dom.js";
import { Ack } from "./field.js";
import { Stage } from "./stage.js";
import { fetchBlob, sendJson } from "./token.js";
import { dayTime } from "./words.js";

const KEYS = "Tab goes from box to box, arrows move the one in hand, Shift with arrows changes its size, N makes a new one, Delete removes it, Enter goes to its label. Ctrl+Z takes a change back, Ctrl+Shift+Z makes it again.";
// As it is edited: a box without an area gets a little one.
const plain = ({ label, x1, y1, x2, y2, track_id: track, attributes }) => {
  const box = x2 > x1 && y2 > y1 ? { x1, y1, x2, y2 } : between(label, { x: x1, y: y1 }, { x: x2, y: y2 });
  return { ...box, label, track_id: track ?? null, attributes: attributes ?? null };
};

export class Correct {
  #title = el("h2", {});
  #box = el("div", { class: "stage" });
  #by = el("p", { class: "correct-by" });
  #model = el("p", { class: "correct-model" });
  #caption = el("textarea", { id: "correct-caption", rows: 3, maxLength: 2000 });
  #undo = el("button", { class: "button", type: "button", text: "Undo" });
  #redo = el("button", { class: "button", type: "button", text: "Redo" });
  #fresh = el("button", { class: "button", type: "button", text: "New box" });
  #back = el("button", { class: "button", type: "button", text: "Back to the model's answer" });
  #save = el("button", { class: "button correct-save", type: "button", text: "Save" });
  #export = el("button", { class: "button", type: "button", text: "Export corrections" });
  #close = el("button", { class: "button", type: "button", text: "Close" });
  #said = el("p", { class: "correct-said", role: "status" });
  #ack = new Ack();
  #stage = null;
  #canvas = null;
  #list;
  #edit = null;
  #found = null;
  #changed = () => {};
  #warned = false;
  #last = "";

  // exported(stream, hint): somebody wants what was corrected of a stream.
  constructor(exported) {
    this.#export.addEventListener("click", () => exported(this.#found.stream, this.#edit.dirty ? "What is not saved yet is not in it." : ""));
    this.#list = new CorrectList({ keys: () => this.#canvas.canvas.focus() });
    const hint = el("p", { class: "hint", id: "correct-keys", text: KEYS });
    const side = el("div", { class: "correct-side" },
      el("div", { class: "correct-tools", role: "group", "aria-label": "Changes" }, this.#fresh, this.#undo, this.#redo), this.#list.root,
      el("div", { class: "field" }, el("label", { htmlFor: "correct-caption", text: "Caption" }), this.#caption, this.#model), this.#back, hint);
    const foot = el("div", { class: "correct-foot" }, this.#ack.root, this.#export, this.#close, this.#save);
    this.root = el("dialog", { class: "past-dialog correct", "aria-label": "Correct" },
      el("div", { class: "correct-head" }, this.#title, this.#by), el("div", { class: "correct-body" }, el("div", { class: "correct-picture" }, this.#box, el("p", { class: "correct-legend", text: "Solid: as corrected. Dashed: the model's answer." }), this.#said), side), foot);
    this.#listen();
  }

  // found: a result of the history; bitmap: its picture where it is there already; changed(result): after a save.
  async open(found, bitmap, changed) {
    this.#changed = changed;
    this.root.showModal();
    this.#stage ??= new Stage(this.#box);
    this.#canvas ??= new CorrectCanvas(this.#box, { label: () => this.#label(), onlabel: () => this.#list.focus(), describedBy: "correct-keys" });
    this.#stage.setAspect(found.width / found.height);
    this.#stage.setPicture(bitmap);
    this.#ack.say("", "");
    this.#show(found);
    this.#canvas.canvas.focus();
    if (bitmap || !found.picture) return;
    const blob = await fetchBlob(`/api/v1/snapshots/${encodeURIComponent(found.picture)}`);
    if (blob && this.#found === found) this.#stage.setPicture(await createImageBitmap(blob));
    else if (!blob) this.#ack.say("bad", "The picture cannot be had; the boxes can be corrected all the same.");
  }

  #listen() {
    this.#undo.addEventListener("click", () => this.#edit.undo());
    this.#redo.addEventListener("click", () => this.#edit.redo());
    this.#fresh.addEventListener("click", () => { this.#canvas.add(); this.#canvas.canvas.focus(); });
    this.#caption.addEventListener("input", () => this.#edit.say(this.#caption.value));
    this.#save.addEventListener("click", () => this.#keep());
    this.#back.addEventListener("click", () => this.#takeBack());
    this.#close.addEventListener("click", () => this.#leave() && this.root.close());
    this.root.addEventListener("cancel", (event) => { if (!this.#leave()) event.preventDefault(); });
    this.root.addEventListener("keydown", (event) => this.#key(event));
  }

  // What counts now, to be changed.
  #show(found) {
    this.#found = found;
    this.#warned = false;
    const { correction } = found;
    const counts = correction ?? found;
    this.#edit = new Edit(counts.detections.map(plain), counts.caption ?? found.caption ?? "");
    this.#edit.addEventListener("change", () => this.#follow());
    this.#canvas.show(this.#edit, found.detections, found.width / found.height);
    this.#list.show(this.#edit, found.detections.map((one) => one.label));
    put(this.#title, `Correct: ${found.stream}, ${dayTime(found.at)}`);
    put(this.#by, correction ? `Corrected by ${correction.by}, ${dayTime(correction.at)}` : "Nobody has corrected it yet.");
    put(this.#model, `The model said: ${found.caption ?? "nothing"}`);
    this.#follow();
  }

  #follow() {
    const edit = this.#edit;
    this.#undo.disabled = !edit.canUndo;
    this.#redo.disabled = !edit.canRedo;
    this.#back.disabled = !this.#found.correction && !edit.dirty;
    this.#list.follow();
    if (this.#caption.value !== edit.caption) this.#caption.value = edit.caption;
    if (edit.box) this.#last = edit.box.label;
    put(this.#said, edit.box ? `${edit.box.label}, box ${edit.selected + 1} of ${edit.boxes.length}: ${where(edit.box)}` : `${edit.boxes.length === 1 ? "1 box" : `${edit.boxes.length} boxes`}, none in hand`);
  }

  // What a new box is called: as the one before it.
  #label() {
    return this.#last || this.#found.detections[0]?.label || "object";
  }

  #key(event) {
    const typing = event.target.matches("input, textarea");
    if (!(event.ctrlKey || event.metaKey)) return;
    if (event.key === "s") this.#keep();
    else if (event.key.toLowerCase() === "z" && !typing) event.shiftKey ? this.#edit.redo() : this.#edit.undo();
    else if (event.key === "y" && !typing) this.#edit.redo();
    else return;
    event.preventDefault();
  }

  async #keep() {
    const { boxes, caption } = this.#edit;
    if (boxes.some((box) => !box.label.trim())) return this.#ack.say("bad", "A box has no label yet.");
    const words = caption.trim() === (this.#found.caption ?? "").trim() ? null : caption.trim();
    await this.#send("PUT", { caption: words, detections: boxes.map((box) => ({ ...box, label: box.label.trim() })) });
  }

  // Saved already: the server forgets what counts. Only drawn here: the boxes go back.
  async #takeBack() {
    if (this.#found.correction) await this.#send("DELETE");
    else this.#edit.replace(this.#found.detections.map(plain), this.#found.caption ?? "");
  }

  async #send(method, body) {
    const edit = this.#edit;
    const sent = sendJson(method, `/api/v1/history/${this.#found.id}/correction`, body);
    let found = null;
    const ok = await this.#ack.follow(sent.then(({ value, error }) => { found = value; return { ok: !error, error }; }));
    if (!ok || edit !== this.#edit) return;
    const selected = method === "PUT" ? edit.selected : -1;
    found.snippet ||= this.#found.snippet;
    this.#show(found);
    this.#edit.select(selected);
    this.#changed(found);
  }

  // Whether the dialog may be left: what is not saved is only lost by asking twice.
  #leave() {
    if (!this.#edit.dirty || this.#warned) return true;
    this.#warned = true;
    this.#ack.say("bad", "There are changes that are not saved. Close again to leave them.");
    return false;
  }
}

const percent = (value) => `${Math.round(value * 100)} %`;
const where = (box) => `left ${percent(box.x1)}, top ${percent(box.y1)}, ${percent(box.x2 - box.x1)} wide, ${percent(box.y2 - box.y1)} high`;
