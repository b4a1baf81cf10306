// A rule in words: what it looks for, and under which terms. What the server has and the form cannot set stands here too.

import { seconds } from "./words.js";

export const DAYS = [["mon", "Mon"], ["tue", "Tue"], ["wed", "Wed"], ["thu", "Thu"], ["fri", "Fri"], ["sat", "Sat"], ["sun", "Sun"]];

// What makes it fire: "Is someone on the ladder? Yes." or "2 to 5 × car in the zone".
export function subjectOf(rule) {
  return rule.question ? `${rule.question} ${rule.answer === false ? "No" : "Yes"}.` : objectsOf(rule.when);
}

// Everything else of it, a word or two each. channels: whether those who read may know of them.
export function factsOf(rule, channels) {
  const told = rule.channels.length ? `tells ${rule.channels.join(", ")}` : "tells all channels";
  return [
    rule.severity,
    rule.streams.join(", ") || "all streams",
    `${rule.confirm} in a row`,
    `ends after ${rule.release} without`,
    `rest ${seconds(rule.cooldown_seconds)}`,
    dutyOf(rule.schedule),
    channels ? told : "",
    rule.describe === false ? "no description is asked" : "",
  ].filter(Boolean);
}

// "always on duty", or "on duty Mon, Tue 22:00 to 06:00, Europe/Berlin".
export function dutyOf(schedule) {
  if (!schedule) return "always on duty";
  const ranges = schedule.ranges ?? [schedule];
  return `on duty ${ranges.map(rangeOf).join(" and ")}${schedule.zone ? `, ${schedule.zone}` : ""}`;
}

function rangeOf({ days = [], from = "00:00", to = "24:00" }) {
  const named = DAYS.filter(([day]) => days.includes(day)).map(([, words]) => words).join(", ") || "every day";
  return from === "00:00" && to === "24:00" ? named : `${named} ${from} to ${to}`;
}

function objectsOf(when) {
  const subject = when.labels.join(" or ");
  const centre = when.anchor === "centre" ? ", by the middle of its box" : "";
  if (when.line) return `${subject || "anything"} crosses the line${when.line.direction === "any" ? "" : ` to the ${when.line.direction}`}${centre}`;
  const where = when.zone ? " in the zone" : "";
  if (when.event === "leaves") return `${subject || "anything"} leaves${when.zone ? " the zone" : ""}${centre}`;
  if (when.event === "appears") return `${subject || "anything"} appears${where}${centre}`;
  return `${countOf(when, subject)}${where}${when.dwell_seconds ? ` for ${seconds(when.dwell_seconds)}` : ""}${centre}`;
}

function countOf({ at_least: least, at_most: most }, subject) {
  if (most === 0) return `no ${subject || "object"}`;
  if (most == null) return least > 1 ? `at least ${least} ${subject || "objects"}` : subject || "anything";
  return least > 0 ? `${least} to ${most} ${subject || "objects"}` : `at most ${most} ${subject || "objects"}`;
}

// What the form leaves as it is, in words; none where it can set all of the rule.
export function keptOf(rule) {
  const when = rule.when ?? {};
  const at = ([x, y]) => `${Math.round(x * 100)} % across and ${Math.round(y * 100)} % down`;
  return [
    when.line ? `its line, from ${when.line.points.map(at).join(" to ")}${when.line.direction === "any" ? "" : `, crossed to the ${when.line.direction}`}` : "",
    when.at_most != null ? `at most ${when.at_most} of them` : "",
    when.anchor === "centre" ? "that the middle of a box says where it is" : "",
    rule.schedule?.ranges ? `its times (${dutyOf(rule.schedule)})` : "",
    rule.schedule?.zone && !rule.schedule.ranges ? `the time zone ${rule.schedule.zone}` : "",
    rule.describe === false ? "that no description is asked" : "",
    rule.enabled === false ? "that it is switched off" : "",
  ].filter(Boolean);
}
