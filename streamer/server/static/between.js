// Boxes at a moment between two results. Values in, values out; times are capture times in seconds.

const FAR = 0.25;

// The detections at that moment: boxes of the same thing in the results before and after it are carried from one to the
// other; what has no partner belongs to the nearer result. Only the result before it is known: its boxes as they were.
// older: seconds by which the boxes are older than the moment, 0 where results on both sides are known.
export function boxesAt(results, moment) {
  let next = results.length;
  while (next > 0 && results[next - 1].captured > moment) next--;
  const before = results[next - 1] ?? null;
  const after = results[next] ?? null;
  if (!before || !after) return { before, detections: before?.detections ?? [], older: before ? moment - before.captured : 0 };
  const part = (moment - before.captured) / (after.captured - before.captured);
  const pairs = matched(before.detections, after.detections);
  const carried = [...pairs].map(([from, to]) => between(from, to, part));
  const partners = new Set(pairs.values());
  const alone = part < 0.5
    ? before.detections.filter((found) => !pairs.has(found))
    : after.detections.filter((found) => !partners.has(found));
  return { before, detections: [...carried, ...alone], older: 0 };
}

// Pairs of boxes of the same thing: equal track, else equal label; nearest first.
function matched(before, after) {
  const options = [];
  for (const from of before) {
    for (const to of after) {
      const tracked = from.track_id !== null && from.track_id === to.track_id;
      const apart = tracked ? 0 : distance(from, to);
      if (from.label === to.label && apart < FAR) options.push([apart, from, to]);
    }
  }
  options.sort((a, b) => a[0] - b[0]);
  const pairs = new Map();
  const taken = new Set();
  for (const [, from, to] of options) {
    if (pairs.has(from) || taken.has(to)) continue;
    pairs.set(from, to);
    taken.add(to);
  }
  return pairs;
}

function distance(a, b) {
  return Math.hypot((a.x1 + a.x2 - b.x1 - b.x2) / 2, (a.y1 + a.y2 - b.y1 - b.y2) / 2);
}

function between(from, to, part) {
  const mix = (name) => from[name] + (to[name] - from[name]) * part;
  return { ...from, x1: mix("x1"), y1: mix("y1"), x2: mix("x2"), y2: mix("y2") };
}
