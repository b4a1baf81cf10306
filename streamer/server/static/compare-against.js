// How one answer stands to another, as a whole.

import { diffWords, likeness, pairBoxes } from "./compare-diff.js";
import { answerWords } from "./words.js";

const BOXES = /^detect(-\d+)?$/;

// All answers in words but for boxes: name -> text.
export function wordsOf(result) {
  const words = new Map();
  for (const [name, value] of Object.entries(result.answers)) if (!BOXES.test(name)) words.set(name, answerWords(value));
  return words;
}

// {answers: [[name, parts]], boxes, alike, same}: parts and boxes as in compare-diff.js; alike: 0..1 of the words;
// same: neither words nor boxes differ. Null where one of them has no answer, or one is words alone and the other boxes.
export function against(first, other) {
  if (first.error || other.error || unlike(first, other)) return null;
  const before = wordsOf(first);
  const left = new Map(before);
  const answers = [...wordsOf(other)].map(([name, text], place, all) => {
    const twin = left.has(name) ? name : all.length === 1 && before.size === 1 ? [...left.keys()][0] : null;
    const parts = diffWords(twin === null ? "" : left.get(twin) ?? "", text);
    left.delete(twin);
    return [name, parts];
  });
  for (const [name, text] of left) answers.push([name, diffWords(text, "")]);
  const boxes = pairBoxes(first.detections, other.detections);
  const alike = likeness(answers.flatMap(([, parts]) => parts));
  return { answers, boxes, alike, same: alike === 1 && boxes.more.length + boxes.less.length === 0 };
}

// One in words alone, the other in boxes alone: nothing in one stands for anything in the other.
function unlike(first, other) {
  const [words, boxes] = [[first, other].map((one) => wordsOf(one).size > 0), [first, other].map((one) => Object.keys(one.answers).some((name) => BOXES.test(name)))];
  return words[0] !== words[1] && boxes[0] !== boxes[1];
}
