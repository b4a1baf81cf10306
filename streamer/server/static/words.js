// Figures and states in words.

export function seconds(value) {
  if (value < 0.0995) return `${Math.max(0, Math.round(value * 100) / 100).toFixed(2)} s`;
  if (value < 9.95) return `${value.toFixed(1)} s`;
  if (value < 90) return `${Math.round(value)} s`;
  if (value < 5400) return `${Math.round(value / 60)} min`;
  return `${Math.round(value / 3600)} h`;
}

export function rate(perSecond) {
  if (perSecond <= 0) return "0";
  return perSecond < 10 ? perSecond.toFixed(perSecond < 0.1 ? 2 : 1) : String(Math.round(perSecond));
}

export const whole = (number) => number.toLocaleString("en-US");

// Media time: 1:02.5, or 1:00:02.5 from an hour on.
export function mediaTime(value) {
  const tenths = Math.max(0, Math.round(value * 10));
  const hours = Math.floor(tenths / 36000);
  const minutes = Math.floor(tenths / 600) % 60;
  const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

export const clockTime = (unixSeconds) => new Date(unixSeconds * 1000).toLocaleTimeString();

// The clock's time, with the day in front where it is not today's: a time of the past, wherever one stands.
export function dayTime(unixSeconds) {
  const date = new Date(unixSeconds * 1000);
  const today = new Date();
  if (date.toDateString() === today.toDateString()) return clockTime(unixSeconds);
  const year = date.getFullYear() === today.getFullYear() ? {} : { year: "numeric" };
  return `${date.toLocaleDateString([], { month: "short", day: "numeric", ...year })}, ${clockTime(unixSeconds)}`;
}

// A moment in the name of a file: 2026-11-30 14.05.09.
export function fileTime(unixSeconds) {
  const date = new Date(unixSeconds * 1000);
  const two = (number) => String(number).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}.${two(date.getMinutes())}.${two(date.getSeconds())}`;
}

const STATES = {
  connecting: "Connecting",
  live: "Live",
  stalled: "No pictures",
  waiting: "Waiting to try again",
  ended: "Ended",
  failed: "Failed",
};

// linked: whether the server is heard; what is known of a stream is old without it.
export function stateWords(stream, linked = true) {
  if (!linked) return "No connection";
  if (stream.settings.paused && stream.state === "live") return "Live, analysis paused";
  return STATES[stream.state] ?? stream.state;
}

// What is neither a loss nor worth a figure of its own.
const ANSWERED = ["pictures", "analysed", "reused"];

const REASONS = {
  replaced: "replaced by a newer frame",
  stale: "too old",
  paused: "while paused",
  failed: "failed",
  dropped: "came too fast",
};

// "12 replaced by a newer frame, 3 failed", or "none".
export function lossWords(counts) {
  const known = Object.keys(counts).filter((name) => !ANSWERED.includes(name) && counts[name] > 0);
  return known.map((name) => `${whole(counts[name])} ${REASONS[name] ?? name}`).join(", ") || "none";
}

// "2 car, 1 person": labels with their numbers, most first.
export function labelCounts(detections) {
  const counts = new Map();
  for (const found of detections) counts.set(found.label, (counts.get(found.label) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

export function answerWords(value) {
  if (value === null || value === undefined) return "no answer";
  if (typeof value === "string") return value;
  if (typeof value === "object" && (value.answer === null || typeof value.answer === "boolean")) {
    const verdict = value.answer === null ? "Unclear" : value.answer ? "Yes" : "No";
    const words = value.reason ?? value.text;
    if (!words) return verdict;
    return words.toLowerCase().startsWith(verdict.toLowerCase()) ? words : `${verdict}: ${words}`;
  }
  return formWords(value);
}

// A document as a line: "cars: 2, colours: red, blue"; what lies deeper as JSON.
function formWords(value, inside = false) {
  if (value === null) return "none";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "object") return String(value);
  if (Array.isArray(value) && value.every((one) => typeof one !== "object")) return value.map((one) => formWords(one)).join(", ");
  if (inside || Array.isArray(value)) return JSON.stringify(value);
  return Object.entries(value).map(([name, part]) => `${name}: ${formWords(part, true)}`).join(", ");
}

// The answers that are neither the caption nor the boxes: [question, words].
export function otherAnswers(result, stream) {
  const prompts = new Map((stream?.settings.tasks ?? []).map((task) => [task.name, task]));
  const shown = Object.entries(result.answers).filter(([name, value]) => {
    const kind = prompts.get(name)?.kind ?? name;
    return kind !== "detect" && !(kind === "caption" && value === result.caption);
  });
  const words = (name) => prompts.get(name)?.prompt ?? name.replace(/^rule:/, "Rule ");
  return shown.map(([name, value]) => [words(name), answerWords(value), name]);
}
