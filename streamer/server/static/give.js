// Something that the page has in hand becomes a file of whoever looks at it.

import { el } from "./dom.js";

const LETGO_MS = 60_000;

export function give(blob, name) {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), LETGO_MS);
}
