// A question about the very frame that is shown, asked once, with the answers so far beneath.

import { el, put } from "./dom.js";
import { legend } from "./legend.js";
import { fileOf, keepShown } from "./shot.js";
import { Stage } from "./stage.js";
import { aspectOf } from "./stream.js";
import { authorised } from "./token.js";
import { answerWords, clockTime, mediaTime, whole } from "./words.js";

const KEPT = 12;
const THUMB_PIXELS = 480;
const ASK_MS = 70_000;
const WAYS = [["ask", "Ask"], ["detect", "Find"], ["check", "Yes or no"], ["read", "Read"], ["caption", "Describe"]];
const NEEDS_WORDS = ["ask", "check"];

export class Ask {
  #way = el("select", { id: "ask-way", "aria-label": "What to do with this frame" }, ...WAYS.map(([value, text]) => el("option", { value, text })));
  #words = el("input", { type: "text", id: "ask-words", maxLength: 1900, autocomplete: "off", "aria-label": "Question about this frame", placeholder: "A question about this frame" });
  #budget = el("select", { id: "ask-budget", "aria-label": "Budget for this frame" });
  #button = el("button", { class: "button", type: "submit", text: "Ask" });
  #note = el("p", { class: "ack", role: "status" });
  #list = el("ol", { class: "ask-list", "aria-label": "Answers about single frames, newest first" });

  // stream(): the one that is shown, or null. player, budgets() as on the page.
  constructor(root, { stream, player, budgets }) {
    Object.assign(this, { root, stream, player, budgets });
    const form = el("form", { class: "ask-form" }, this.#way, this.#words, this.#budget, this.#button);
    root.append(form, this.#note, this.#list);
    form.addEventListener("submit", (event) => { event.preventDefault(); this.#ask(); });
    this.#way.addEventListener("change", () => this.#fit());
    this.#fit();
  }

  // Whether the server answers single questions at all.
  show(possible) {
    this.root.hidden = !possible;
    if (!possible || this.#budget.children.length) return;
    this.#budget.replaceChildren(...this.budgets().map((value) => el("option", { value: String(value), text: `${value} tokens` })));
    this.#budget.value = "280";
  }

  #fit() {
    const way = this.#way.value;
    this.#words.placeholder = { ask: "A question about this frame", check: "Is anybody there?", detect: "person, car; empty finds everything" }[way] ?? "as usual";
  }

  #say(kind, words) {
    this.#note.dataset.kind = kind;
    put(this.#note, words);
  }

  async #ask() {
    if (this.#button.disabled) return;
    const stream = this.stream();
    const shown = stream && this.player.shown(stream.stream);
    const words = this.#words.value.trim();
    if (!shown) return this.#say("bad", "There is no picture to ask about yet.");
    if (NEEDS_WORDS.includes(this.#way.value) && !words) {
      this.#words.focus();
      return this.#say("bad", "Type the question first.");
    }
    this.#button.disabled = true;
    this.#say("wait", "Asked about this frame…");
    const query = new URLSearchParams({ task: words ? `${this.#way.value}:${words}` : this.#way.value, budget: this.#budget.value });
    const whole = keepShown(shown, aspectOf(stream));
    const kept = keepShown(whole, aspectOf(stream), THUMB_PIXELS);
    const { value, error } = await analyse(await fileOf(whole, "image/jpeg"), query);
    this.#button.disabled = false;
    if (error) return this.#say("bad", `Not answered: ${error}`);
    this.#say("", "");
    this.#add({ stream, kept, value, asked: words || this.#way.selectedOptions[0].text });
  }

  #add({ stream, kept, value, asked }) {
    const box = el("div", { class: "stage" });
    const { usage, timings } = value;
    const figures = `${value.budget} tokens · ${whole(usage.image_tokens + usage.prompt_tokens)} in, ${whole(usage.output_tokens)} out · ${whole(usage.forwards)} passes · ${Math.round(timings.model_ms)} ms`;
    const answers = Object.entries(value.answers).filter(([name]) => name !== "detect").map(([, answer]) => el("p", { class: "ask-answer", text: answerWords(answer) }));
    const faults = [...(value.error ? [el("p", { class: "fault", text: value.error })] : []), ...Object.values(value.notes).map((note) => el("p", { class: "odd", text: note }))];
    const found = "detect" in value.answers ? (value.detections.length ? legend(value.detections) : el("p", { class: "said-none", text: "Nothing found in this frame." })) : null;
    const text = el("div", { class: "ask-text" },
      el("p", { class: "ask-asked" }, el("b", { text: asked }), ` ${stream.stream} · ${mediaTime(kept.mediaSeconds)} · ${clockTime(kept.captured)}`),
      ...answers, ...[found].filter(Boolean), ...faults, el("p", { class: "ask-figures", text: figures }));
    const root = el("li", { class: "ask-item" }, box, text);
    this.#list.prepend(root);
    const stage = new Stage(box, { small: true });
    stage.setAspect(kept.width / kept.height);
    stage.setPicture(kept.bitmap);
    stage.setBoxes({ detections: value.detections, alpha: 1, key: String(kept.captured), at: kept.mediaSeconds });
    while (this.#list.children.length > KEPT) this.#list.lastElementChild.remove();
  }
}

// {value}, or {error}: why not, in words.
async function analyse(picture, query) {
  try {
    const headers = { "content-type": "image/jpeg", ...authorised() };
    const answer = await fetch(`/api/v1/analyze?${query}`, { method: "POST", headers, body: picture, signal: AbortSignal.timeout(ASK_MS) });
    const value = await answer.json();
    return answer.ok ? { value } : { error: value.detail ?? value.title ?? `the server says ${answer.status}` };
  } catch {
    return { error: "the server does not answer" };
  }
}
