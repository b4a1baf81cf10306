// The figures of the selected stream.

import { el, put } from "./dom.js";
import { lossWords, rate, seconds, whole } from "./words.js";

// [name, title, what it means, for whoever points at it]
const FACTS = [
  ["model", "Model", "Which model answered"],
  ["budget", "Budget, tokens", "Tokens that the picture took, of those it may take: more of them see finer detail and take longer"],
  ["analysed", "Analysed / s", "Frames that the model answers in a second, of those that are asked for"],
  ["pictures", "Pictures / s", "Pictures that come from the server in a second; “as sent” is the camera's own video"],
  ["age", "Age of the answer", "Since the picture of the newest answer was taken"],
  ["delay", "Capture to answer", "From the picture to its answer, for the newest answer"],
  ["screen", "Capture to screen", "Since the picture on the screen was taken"],
  ["tokens", "Tokens in, out", "Of the newest answer: tokens of the picture and the questions, and tokens that the model said"],
  ["forwards", "Model passes", "How often the model was run for the newest answer, and how long that took together"],
  ["drafted", "Foretold tokens", "Tokens of the newest answer that were guessed beforehand and that the model agreed with: each saves time, none changes the answer"],
  ["done", "Analysed so far", "Frames of this stream that the model has answered since it began"],
  ["reused", "Answer kept", "Frames like the one before, which kept its answer without the model: how many so far, and how many in a second"],
  ["source", "Source", "Width and height of the source's pictures"],
  ["lost", "Frames without an answer", "Frames that were to be analysed and were not, by reason"],
  ["stages", "Milliseconds of the answer", "What the time from the picture to its answer was spent on"],
];
const WIDE = ["lost", "stages"];
const STAGES = [["decode", "decoding"], ["queue", "waiting"], ["preprocess", "preparing"], ["model", "model"], ["deliver", "handing out"]];
const OLD_SECONDS = 5;

export class Facts {
  #values = new Map();
  #pictures = "–";

  constructor(root) {
    for (const [name, title, meaning] of FACTS) {
      const value = el("dd", { id: `fact-${name}`, text: "–" });
      this.#values.set(name, value);
      root.append(el("div", { class: WIDE.includes(name) ? "wide" : "", title: meaning }, el("dt", { text: title }), value));
    }
  }

  show(stream, result, hello, now) {
    const settings = stream.settings;
    this.#put("model", result?.model || hello?.model || "–");
    this.#put("budget", budgetWords(result, settings.budget));
    this.#put("analysed", `${rate(stream.analysed_fps)} of ${rate(settings.fps)}`);
    this.#put("reused", `${whole(stream.counts.reused ?? 0)}, ${rate(stream.reused_fps)} / s`);
    this.#pictures = rate(stream.picture_fps);
    this.#put("source", stream.source ? `${stream.source.width} × ${stream.source.height}` : "–");
    this.#put("done", whole(stream.counts.analysed ?? 0));
    this.#put("lost", lossWords(stream.counts));
    this.#put("tokens", result ? `${whole(tokensIn(result.usage))}, ${whole(result.usage.output_tokens)}` : "–");
    this.#put("forwards", result ? `${whole(result.usage.forwards)}, ${Math.round(result.timings.model_ms)} ms` : "–");
    this.#put("drafted", result ? `${whole(result.usage.accepted_tokens)} of ${whole(result.usage.output_tokens)}` : "–");
    const delay = result?.timings.age_ms;
    this.#put("delay", delay === null || delay === undefined ? "–" : seconds(delay / 1000));
    this.#put("stages", result ? stageWords(result.timings) : "–");
    this.showAge(result, now);
  }

  // shown: the picture on the screen, as Player.shown; asSent: whether it is the camera's own video.
  showPictures(shown, asSent, now) {
    this.#put("pictures", `${this.#pictures}${asSent ? ", as sent" : ""}`);
    this.#put("screen", shown ? seconds(Math.max(0, now - shown.captured)) : "–");
  }

  // Called often: the age grows while nothing comes.
  showAge(result, now) {
    const age = result ? Math.max(0, now - result.captured) : null;
    this.#put("age", age === null ? "–" : seconds(age));
    this.#values.get("age").dataset.tone = age !== null && age > OLD_SECONDS ? "warn" : "";
  }

  #put(name, text) {
    put(this.#values.get(name), text);
  }
}

// "264 of 280"; with the budget auto, of what this frame was given.
function budgetWords(result, budget) {
  if (!result) return budget === "auto" ? "auto" : String(budget);
  const used = `${result.usage.image_tokens} of ${budget === "auto" ? result.budget : budget}`;
  return budget === "auto" ? `${used}, auto` : used;
}

const tokensIn = (usage) => usage.image_tokens + usage.prompt_tokens;

function stageWords(timings) {
  const known = STAGES.filter(([name]) => typeof timings[`${name}_ms`] === "number");
  return known.map(([name, words]) => `${words} ${Math.round(timings[`${name}_ms`])}`).join(", ");
}
