// The button that has pictures wait for their boxes, and whether that can be done now.

import { put } from "./dom.js";
import { seconds } from "./words.js";

const MEANING = "Pictures wait a moment for their boxes, so that boxes lie on moving things";

export class Step {
  constructor(button, player) {
    Object.assign(this, { button, player });
    button.addEventListener("click", () => {
      player.setInStep(!player.inStep);
      this.#press();
    });
    this.#press();
  }

  // boxes: as Player.boxes gives them.
  show(stream, boxes) {
    const why = this.player.inStep && stream ? this.#hindrance(stream, boxes) : "";
    put(this.button, why ? "Boxes not in step" : "Boxes in step");
    const title = why || MEANING;
    if (this.button.title !== title) this.button.title = title;
    this.button.dataset.hindered = String(Boolean(why));
  }

  #press() {
    this.button.setAttribute("aria-pressed", String(this.player.inStep));
  }

  // Why pictures cannot wait for their boxes, in words; "" where they can, or need not.
  #hindrance(stream, { detections, carried, old }) {
    if (!detections.length || carried) return "";
    if (stream.settings.paused) return old ? "Analysis is paused: the boxes are those of its last answer" : "";
    const wait = this.player.tooSlow(stream.stream);
    if (wait) return `The model answers too seldom: pictures would have to wait ${seconds(wait)} for their boxes. They are shown at once instead, and old boxes are drawn dashed.`;
    return old ? "No answer has come for a while: the boxes are those of the last one" : "";
  }
}
