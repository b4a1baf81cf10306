// How old the boxes over a picture are, in words on a badge.

import { el, put } from "./dom.js";
import { seconds } from "./words.js";

// Less is not worth a word.
const SAME_SECONDS = 0.1;

export class Age {
  #root = el("span", { class: "stage-badge", hidden: true });

  // small: on a tile, where only boxes that are old have one.
  constructor(stage, { small = false } = {}) {
    this.small = small;
    if (small) this.#root.classList.add("small");
    stage.append(this.#root);
  }

  // boxes: as Player.boxes gives them; behind: seconds by which the picture is held back; carriedFor: since the answer
  // that boxes were carried from.
  show(boxes, behind = 0, carriedFor = 0) {
    const words = !boxes.detections.length ? "" : this.small ? smallWords(boxes) : ageWords(boxes, behind, carriedFor);
    if (this.#root.hidden !== !words) this.#root.hidden = !words;
    put(this.#root, words);
    if (this.#root.dataset.old !== String(boxes.old)) this.#root.dataset.old = String(boxes.old);
  }
}

const smallWords = ({ old, older }) => (old ? `boxes ${seconds(older)} old` : "");

function ageWords({ carried, older, old }, behind, carriedFor) {
  if (behind) return `${seconds(behind)} behind${old ? `, boxes ${seconds(older)} old` : ""}`;
  if (carried) return `boxes carried for ${seconds(carriedFor)}`;
  return older < SAME_SECONDS ? "boxes of this picture" : `boxes ${seconds(older)} old`;
}
