// One search box: free words mixed with stream: label: rule: since: until:. Text in, parameters out.

const UNITS = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };
const PART = /\b(stream|label|rule|since|until):("[^"]*"?|\S*)|("[^"]*"?|\S+)/gi;

// {params: [[name, value]…] for the HTTP interface, faults: [words…] of what was not understood}.
export function parseQuery(text, now) {
  const params = [];
  const faults = [];
  const words = [];
  for (const [, name, named, word] of text.matchAll(PART)) {
    const plain = (named ?? "").replace(/^"|"$/g, "");
    if (!name && /^-\p{L}/u.test(word)) faults.push(`${word}: words can be looked for, not left out`);
    else if (!name) words.push(word);
    else if (!plain) faults.push(`${name}: has no value`);
    else if (["since", "until"].includes(name.toLowerCase())) addMoment(name.toLowerCase(), plain, now, params, faults);
    else params.push([name.toLowerCase(), plain]);
  }
  if (words.length) params.unshift(["text", words.join(" ")]);
  return { params, faults };
}

function addMoment(name, text, now, params, faults) {
  const at = moment(text, now);
  if (at === null) faults.push(`${name}:${text} is no time; write 2h, 7d, today or 2026-11-25T18:30`);
  else params.push([name, String(at)]);
}

// Unix seconds; null for what is no time.
export function moment(text, now) {
  const ago = /^(\d+(?:\.\d+)?)([smhdw])$/i.exec(text);
  if (ago) return now - Number(ago[1]) * UNITS[ago[2].toLowerCase()];
  const midnight = new Date(now * 1000).setHours(0, 0, 0, 0) / 1000;
  if (/^today$/i.test(text)) return midnight;
  if (/^yesterday$/i.test(text)) return midnight - 86400;
  const at = Date.parse(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00` : text);
  return Number.isNaN(at) ? null : at / 1000;
}

// The text with a chip added, or taken off where it is there.
export function toggleChip(text, name, value) {
  const chip = `${name}:${/\s/.test(value) ? `"${value}"` : value}`;
  const parts = text.match(/(?:[a-z]+:)?(?:"[^"]*"?|\S+)/gi) ?? [];
  return (parts.includes(chip) ? parts.filter((part) => part !== chip) : [...parts, chip]).join(" ");
}

// The text with one chip of that name, in place of those that are there.
export function setChip(text, name, value) {
  const parts = text.match(/(?:[a-z]+:)?(?:"[^"]*"?|\S+)/gi) ?? [];
  return toggleChip(parts.filter((part) => !part.toLowerCase().startsWith(`${name}:`)).join(" "), name, value);
}

// A moment as the search box takes it, rounded up to a second.
export function localTime(at) {
  const date = new Date(Math.ceil(at) * 1000);
  const two = (number) => String(number).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
