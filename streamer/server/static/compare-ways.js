// The ways to ask: what the form's fields mean, ready-made sets, and what this browser remembers.

export const KINDS = [
  ["caption", "Describe"],
  ["both", "Describe and find objects"],
  ["detect", "Find objects"],
  ["read", "Read text"],
  ["ask", "Question"],
  ["check", "Yes or no"],
];
export const MOST = 4;
const KEY = "streamer-compare";
const PEOPLE_AND_CARS = "person, car";

export const usesPrompt = (kind) => kind !== "detect";
export const usesLabels = (kind) => kind === "detect" || kind === "both";
export const needsPrompt = (kind) => kind === "ask" || kind === "check";

const way = (kind, budget, prompt = "", labels = "", model = "") => ({ kind, budget, prompt, labels, model });

// [words, ways]
export const PRESETS = [
  ["70 beside 280 beside 1120", [70, 280, 1120].map((budget) => way("both", budget, "", PEOPLE_AND_CARS))],
  ["70 beside 280", [70, 280].map((budget) => way("both", budget, "", PEOPLE_AND_CARS))],
  ["Two prompts", [way("caption", 280), way("caption", 280, "Describe this picture in a few words.")]],
  ["Counted or found", [way("ask", 280, "How many cars are there?"), way("detect", 280, "", "car")]],
];

// A way for each of the first models; the first one is the job's own.
export const modelWays = (models) => models.slice(0, MOST).map((model, place) => way("both", 280, "", PEOPLE_AND_CARS, place ? model : ""));

// One more, as the last one but for its budget: the next that none like it has, so that something is to be compared.
export function anotherOf(ways, budgets) {
  const last = ways.at(-1);
  const alike = ways.filter((one) => JSON.stringify({ ...one, budget: 0 }) === JSON.stringify({ ...last, budget: 0 })).map((one) => one.budget);
  const from = budgets.indexOf(last.budget);
  const next = [...budgets.slice(from + 1), ...budgets.slice(0, Math.max(0, from)).reverse()].find((budget) => !alike.includes(budget));
  return { ...last, budget: next ?? last.budget };
}

// What the server is asked; null where the question has no words yet. A model of no name is the job's own.
export function variantOf({ model, ...asked }) {
  const variant = questionOf(asked);
  return variant && model ? { ...variant, model } : variant;
}

function questionOf({ kind, budget, prompt, labels }) {
  const words = prompt.trim() ? { prompt: prompt.trim() } : {};
  const objects = { kind: "detect", labels: labels.split(",").map((name) => name.trim()).filter(Boolean) };
  if (needsPrompt(kind) && !words.prompt) return null;
  if (kind === "detect") return { budget, tasks: [objects] };
  if (kind === "both") return { budget, tasks: [{ kind: "caption", ...words }, objects] };
  return { budget, tasks: [{ kind, ...words }] };
}

export function remembered() {
  try {
    const ways = JSON.parse(localStorage.getItem(KEY));
    if (Array.isArray(ways) && ways.length >= 2 && ways.length <= MOST && ways.every(known)) return ways.map((one) => ({ model: "", ...one }));
  } catch { /* nothing that can be used */ }
  return PRESETS[0][1];
}

export function remember(ways) {
  try { localStorage.setItem(KEY, JSON.stringify(ways)); } catch { /* kept for this page alone */ }
}

function known(way) {
  return KINDS.some(([kind]) => kind === way?.kind) && Number.isInteger(way.budget) && typeof way.prompt === "string" && typeof way.labels === "string" && ["string", "undefined"].includes(typeof way.model);
}
