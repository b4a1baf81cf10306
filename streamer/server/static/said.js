// What the model says of the newest frame, large under the picture. An error is an error, never a caption.

import { el } from "./dom.js";
import { legend } from "./legend.js";
import { otherAnswers } from "./words.js";

const namesOf = (stream) => (stream?.settings.tasks ?? []).map((task) => task.name);

// Nothing that it says is asked any longer.
const unsaid = ({ answers, notes, detections }) => !detections.length && !Object.keys(answers).length && !Object.keys(notes).length;

export class Said {
  #root;
  #shown = "";

  constructor(root) {
    this.#root = root;
  }

  show(result, stream) {
    const shown = result ? JSON.stringify([result.caption, result.answers, result.error, result.notes, result.reused, namesOf(stream)]) : `none ${!stream}`;
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#root.replaceChildren(...(result ? this.#words(result, stream) : this.#nothing(stream)));
  }

  #words(result, stream) {
    if (stream && !result.error && unsaid(result)) return this.#nothing(stream);
    const parts = [];
    if (result.error) parts.push(el("p", { class: "fault", text: `This frame could not be analysed. ${result.error}` }));
    if (result.caption) parts.push(el("p", { class: "said-caption", text: result.caption }));
    for (const [question, words] of otherAnswers(result, stream)) {
      parts.push(el("p", { class: "said-answer" }, el("b", { text: `${question} ` }), words));
    }
    if (result.detections.length) parts.push(legend(result.detections));
    else if (!parts.length && !Object.keys(result.notes).length) parts.push(el("p", { class: "said-none", text: "Nothing found in this frame." }));
    for (const [task, note] of Object.entries(result.notes)) {
      parts.push(el("p", { class: "odd", text: `Answer to ${task}: ${note}` }));
    }
    if (result.reused) parts.push(el("p", { class: "said-reused", text: "Nothing has changed: the last answer is kept." }));
    return parts;
  }

  #nothing(stream) {
    if (!stream) return [];
    const idle = stream.settings.tasks.length === 0;
    const words = idle ? "Nothing is asked of the model. Switch a task on to begin." : "The first answer is on its way…";
    return [el("p", { class: "said-none", text: words })];
  }
}
