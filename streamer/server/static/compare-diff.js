// What differs between two answers: words and boxes. Values in, values out.

const MOST_WORDS = 600;
const OVERLAP = 0.5;

// [{kind, words}] that read as the other answer: "same", "more" (only the other has it), "less" (only the first has it).
// Case and punctuation make no difference.
export function diffWords(first, other) {
  const a = split(first);
  const b = split(other);
  if (Math.max(a.length, b.length) > MOST_WORDS) return plain(a) === plain(b) ? run("same", b) : [...run("less", a), ...run("more", b)];
  const table = lengths(a.map(bare), b.map(bare));
  const parts = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && bare(a[i]) === bare(b[j])) {
      push(parts, "same", b[j++]);
      i += 1;
    } else if (i < a.length && (j === b.length || table[i + 1][j] >= table[i][j + 1])) push(parts, "less", a[i++]);
    else push(parts, "more", b[j++]);
  }
  return parts.map(({ kind, words }) => ({ kind, words: words.join(" ") }));
}

// 0..1: the part of all words that both have.
export function likeness(parts) {
  const count = (kind) => parts.filter((part) => part.kind === kind).reduce((sum, { words }) => sum + split(words).length, 0);
  const [same, more, less] = [count("same"), count("more"), count("less")];
  return same + more + less === 0 ? 1 : (2 * same) / (2 * same + more + less);
}

// {pairs, more, less}: boxes of the same label that lie over each other by half or more; those that only the other
// has; those that only the first has. Each is in one pair at most, the best ones first.
export function pairBoxes(first, other) {
  const near = [];
  for (const a of first) for (const b of other) {
    if (a.label.toLowerCase() === b.label.toLowerCase() && overlap(a, b) >= OVERLAP) near.push([overlap(a, b), a, b]);
  }
  const pairs = [];
  const taken = new Set();
  for (const [, a, b] of near.sort((one, two) => two[0] - one[0])) {
    if (taken.has(a) || taken.has(b)) continue;
    taken.add(a).add(b);
    pairs.push([a, b]);
  }
  return { pairs, more: other.filter((box) => !taken.has(box)), less: first.filter((box) => !taken.has(box)) };
}

// Area that both cover by the area that either covers.
export function overlap(a, b) {
  const width = Math.max(0, Math.min(a.x2, b.x2) - Math.max(a.x1, b.x1));
  const height = Math.max(0, Math.min(a.y2, b.y2) - Math.max(a.y1, b.y1));
  const both = width * height;
  const all = area(a) + area(b) - both;
  return all > 0 ? both / all : 0;
}

const area = (box) => Math.max(0, box.x2 - box.x1) * Math.max(0, box.y2 - box.y1);
const split = (text) => text.split(/\s+/).filter(Boolean);
const bare = (word) => word.toLowerCase().replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, "") || word;
const plain = (words) => words.map(bare).join(" ");
const run = (kind, words) => (words.length ? [{ kind, words: words.join(" ") }] : []);

function push(parts, kind, word) {
  if (parts.at(-1)?.kind === kind) parts.at(-1).words.push(word);
  else parts.push({ kind, words: [word] });
}

// table[i][j]: how many words a[i..] and b[j..] have in common, in order.
function lengths(a, b) {
  const table = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) for (let j = b.length - 1; j >= 0; j--) {
    table[i][j] = a[i] === b[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
  }
  return table;
}
