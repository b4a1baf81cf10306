// Boxes carried from the newest result to the pictures that came since, as the server found them.

const KEPT = 120;
const NEAR_SECONDS = 0.3;

export class Carried {
  #kept = new Map();

  // A message of boxes.
  take(boxes) {
    const kept = this.#kept.get(boxes.stream) ?? [];
    if (kept.length && kept.at(-1).captured > boxes.captured) kept.length = 0;
    kept.push(boxes);
    if (kept.length > KEPT) kept.shift();
    this.#kept.set(boxes.stream, kept);
  }

  // Forgets streams that are gone.
  keep(names) {
    for (const name of this.#kept.keys()) if (!names.has(name)) this.#kept.delete(name);
  }

  // The newest boxes at that moment (capture time), if they are of it or nearly; else null.
  at(name, captured) {
    const kept = this.#kept.get(name) ?? [];
    let place = kept.length - 1;
    while (place >= 0 && kept[place].captured > captured + 0.001) place--;
    const found = kept[place];
    return found && captured - found.captured < NEAR_SECONDS ? found : null;
  }
}
