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

  // linked: whether the server is heard.
  show(result, stream, linked) {
    const none = noneWords(stream, linked);
    const shown = JSON.stringify(result ? [result.caption, result.answers, result.error, result.notes, result.reused, namesOf(stream), none] : none);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#root.replaceChildren(...(result ? this.#words(result, stream, none) : nothing(none)));
  }

  #words(result, stream, none) {
    if (stream && !result.error && unsaid(result)) return nothing(none);
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
}

// Why nothing is said, by what the stream does; "" where there is no stream.
function noneWords(stream, linked) {
  if (!stream) return "";
  if (!linked) return "No connection: no answers come.";
  switch (stream.state) {
    case "failed": return "No answer: the source cannot be read.";
    case "waiting": return "No answer: the source is away. It is tried again by itself.";
    case "stalled": return "No answer: no pictures come from the source.";
    case "ended": return "No answer: the video has ended.";
  }
  if (stream.settings.tasks.length === 0) return "Nothing is asked of the model. Switch a task on to begin.";
  if (stream.settings.paused) return "Analysis is paused: no answers come.";
  return stream.state === "connecting" ? "No answer yet: the source is being opened." : "The first answer is on its way…";
}

const nothing = (words) => (words ? [el("p", { class: "said-none", text: words })] : []);
