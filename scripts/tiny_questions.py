"""Questions about drawn scenes and their right answers, in Gemma 4's formats."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scenes import CLASSES, LABELS, PLURALS, SIGN, Scene, Thing, letter_spans

GRID = 1000
NUMBER_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
PLACE_WORDS = {"street": "street", "park": "park", "square": "square", "beach": "beach"}

CAPTION_PROMPTS = (
    "Describe this picture in one sentence.",
    "Describe this picture.",
    "Describe this image.",
    "Describe what you see.",
    "Caption this picture.",
    "What is in this picture?",
    "What do you see?",
)
READ_PROMPTS = ("What does the sign say?", "Read the sign.", "Read the text in the picture.", "What does it say?")
COMPARE_PROMPTS = ("What has changed between the pictures?", "What has changed?", "Compare the two pictures.")
TIME_PROMPTS = ("Is it day or night?", "What time of day is it?")


Points = tuple[tuple[int, float, float], ...]
"""Which picture (0 for the first), and ``x, y`` in 0..1 of it."""
Part = tuple[str, Points]
"""A piece of an answer, and the points of the picture that it is about."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One user turn and the answer to it."""

    kind: str
    prompt: str
    parts: tuple[Part, ...]

    @property
    def answer(self) -> str:
        return "".join(text for text, _ in self.parts)


def amount(count: int, label: str) -> str:
    """``a car``, ``two cars``."""
    return f"a {label}" if count == 1 else f"{NUMBER_WORDS[count]} {PLURALS[label]}"


def listed(parts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def caption_parts(scene: Scene) -> Iterator[Part]:
    labels = [label for label in LABELS if scene.count(label)]
    yield f"A {PLACE_WORDS[scene.place]} " + ("by day" if scene.time == "day" else "at night") + " with", ()
    for number, label in enumerate(labels):
        points = _points(scene, label)
        if number:
            yield " and" if number == len(labels) - 1 else ",", points
        yield f" {amount(scene.count(label), label)}", points
    yield ".", ()


def caption(scene: Scene) -> str:
    return "".join(text for text, _ in caption_parts(scene))


def detection_parts(scene: Scene, labels: Sequence[str], aspect: float) -> Iterator[Part]:
    things = scene.ordered(labels)
    if not things:
        yield "```json\n[]\n```", ()
        return
    yield "```json\n[\n", ()
    for number, thing in enumerate(things):
        x1, y1, x2, y2 = (round(value * GRID) for value in thing.box(aspect))
        row = f'  {{"box_2d": [{y1}, {x1}, {y2}, {x2}], "label": "{thing.label}'
        yield ('"},\n' if number else "") + row, ((0, *centre(thing, aspect)),)
    yield '"}\n]\n```', ()


def detections(scene: Scene, labels: Sequence[str], aspect: float = 16 / 9) -> str:
    """The fenced JSON list for the things with these labels, left to right; ``[]`` where there are none."""
    return "".join(text for text, _ in detection_parts(scene, labels, aspect))


def centre(thing: Thing, aspect: float = 16 / 9) -> tuple[float, float]:
    """Of the part of it that lies in the picture."""
    x1, y1, x2, y2 = thing.box(aspect)
    return (x1 + x2) / 2, (y1 + y2) / 2


def _points(scene: Scene, label: str, picture: int = 0) -> Points:
    return tuple((picture, *centre(thing)) for thing in scene.things if thing.label == label)


def detect_prompt(labels: Sequence[str]) -> str:
    return f"detect {listed(labels) if labels else 'all objects'}, output only ```json"


def caption_exchange(rng: random.Random, scene: Scene) -> Exchange:
    return Exchange("caption", rng.choice(CAPTION_PROMPTS), tuple(caption_parts(scene)))


def detect_all(scene: Scene, aspect: float) -> Exchange:
    return Exchange("detect", detect_prompt(()), tuple(detection_parts(scene, LABELS, aspect)))


def detect_some(rng: random.Random, scene: Scene, aspect: float) -> Exchange:
    """Any subset of the labels, most often with something to find, in any order."""
    present = sorted({thing.label for thing in scene.things})
    wanted = set(rng.sample(present, rng.randint(0 if rng.random() < 0.15 else 1, len(present))))
    wanted |= set(rng.sample(LABELS, rng.choice((0, 0, 1, 1, 2, 3)))) or (set() if wanted else {rng.choice(LABELS)})
    labels = rng.sample(sorted(wanted), len(wanted))
    return Exchange("detect", detect_prompt(labels), tuple(detection_parts(scene, labels, aspect)))


def count_exchange(rng: random.Random, scene: Scene) -> Exchange:
    label = _asked_label(rng, scene, 0.8)
    prompt = rng.choice((f"How many {PLURALS[label]}?", f"How many {PLURALS[label]} are there?"))
    return Exchange("count", prompt, ((str(scene.count(label)), _points(scene, label)),))


def yes_no(rng: random.Random, scene: Scene) -> Exchange:
    label = _asked_label(rng, scene, 0.5)
    count = scene.count(label)
    prompt = rng.choice((f"Is there a {label}?", f"Are there any {PLURALS[label]}?", f"Do you see a {label}?"))
    answer = f"Yes, {amount(count, label)}." if count else f"No, no {label}."
    return Exchange("check", prompt, ((answer, _points(scene, label)),))


def read_exchange(rng: random.Random, scene: Scene) -> Exchange:
    signs = scene.ordered((SIGN,))
    parts: list[Part] = [] if signs else [("There is no sign.", ())]
    for number, sign in enumerate(signs):
        x1, y1, x2, y2 = sign.box(16 / 9)
        parts += [(", ", ())] if number else []
        for letter, (start, end) in zip(sign.text, letter_spans(sign.text), strict=True):
            parts.append((letter, ((0, x1 + (x2 - x1) * (start + end) / 2, (y1 + y2) / 2),)))
    return Exchange("read", rng.choice(READ_PROMPTS), tuple(parts))


def time_exchange(rng: random.Random, scene: Scene) -> Exchange:
    return Exchange("time", rng.choice(TIME_PROMPTS), (("Day." if scene.time == "day" else "Night.", ()),))


def compare_exchange(rng: random.Random, before: Scene, after: Scene) -> Exchange:
    return Exchange("compare", rng.choice(COMPARE_PROMPTS), tuple(change_parts(before, after)))


def change_parts(before: Scene, after: Scene) -> Iterator[Part]:
    """``New: a dog. Gone: two cars.`` or ``Nothing has changed.``"""
    old, new = (Counter(thing.label for thing in scene.things) for scene in (before, after))
    if old == new:
        yield "Nothing has changed.", ()
        return
    first = True
    for word, more in (("New", new - old), ("Gone", old - new)):
        labels = [label for label in LABELS if more[label]]
        for number, label in enumerate(labels):
            points = _points(before, label, 0) + _points(after, label, 1)
            if number == 0:
                yield ("" if first else " ") + f"{word}:", points
            else:
                yield (" and" if number == len(labels) - 1 else ","), points
            yield f" {amount(more[label], label)}", points
            first = False
        if labels:
            yield ".", ()


def changes(before: Scene, after: Scene) -> str:
    return "".join(text for text, _ in change_parts(before, after))


def exchanges(rng: random.Random, scene: Scene, aspect: float = 16 / 9) -> list[Exchange]:
    """A training set of questions about one picture."""
    chosen = [
        caption_exchange(rng, scene),
        detect_all(scene, aspect),
        detect_some(rng, scene, aspect),
        count_exchange(rng, scene),
        yes_no(rng, scene),
    ]
    if scene.count(SIGN) or rng.random() < 0.12:
        chosen.append(read_exchange(rng, scene))
    if rng.random() < 0.15:
        chosen.append(time_exchange(rng, scene))
    return chosen


def _asked_label(rng: random.Random, scene: Scene, present: float) -> str:
    there = sorted({thing.label for thing in scene.things})
    if rng.random() < present and there:
        return rng.choice(there)
    return rng.choice([label for label in CLASSES if label not in there] or list(CLASSES))
