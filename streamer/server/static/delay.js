// How long pictures have to wait so that the boxes before and after each of them are known when it is shown.

const SAMPLES = 6;
const MARGIN_SECONDS = 0.1;
const LONGEST_SECONDS = 4;
const IDLE_SECONDS = 6;
const SPEED = 0.1;

export class Delay {
  #samples = [];
  #heardAt = -Infinity;
  #lastMoveAt = null;
  seconds = 0;

  // A result arrived now; previous is the one before it (or null).
  learn(result, previous, now) {
    if (!previous || result.captured <= previous.captured) return;
    this.#heardAt = now;
    const useful = result.detections.length > 0 || previous.detections.length > 0;
    this.#samples.push(useful ? now - previous.captured : 0);
    if (this.#samples.length > SAMPLES) this.#samples.shift();
  }

  // What would be right; 0 (show the newest picture at once) where the model is too slow or finds no boxes.
  wanted(now) {
    if (now - this.#heardAt > IDLE_SECONDS || this.#samples.length < 2) return 0;
    const longest = Math.max(...this.#samples);
    return longest === 0 || longest > LONGEST_SECONDS ? 0 : longest + MARGIN_SECONDS;
  }

  // Seconds that pictures would have to wait where that is more than they are held back; 0 where they can be.
  tooLong(now) {
    const longest = Math.max(now - this.#heardAt > IDLE_SECONDS ? now - this.#heardAt : 0, ...this.#samples);
    return Number.isFinite(longest) && longest > LONGEST_SECONDS ? longest : 0;
  }

  // Moves towards the right delay, a little faster or slower than life; at once from and to none.
  move(now, allowed) {
    const passed = this.#lastMoveAt === null ? 0 : Math.max(0, now - this.#lastMoveAt);
    this.#lastMoveAt = now;
    const goal = allowed ? this.wanted(now) : 0;
    const step = goal === 0 || this.seconds === 0 ? Infinity : SPEED * passed;
    this.seconds += Math.max(-step, Math.min(goal - this.seconds, step));
    return this.seconds;
  }
}
