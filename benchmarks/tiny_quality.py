"""How well `tiny` sees: drawn scenes that it was not trained on, at each image-token budget, decoded greedily.

    python benchmarks/tiny_quality.py [--quick] [--json] [--scenes 300] [--budgets 70,140,280,560]

Scenes are drawn at 1280x720 from a seed of their own and reach the model the way a video's frames do. Columns, all in
per cent: F1 of boxes (right label, IoU at least 0.5); captions that name exactly the right classes and counts; counts;
signs read letter by letter; yes/no; changes between two pictures named exactly.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from common import arguments, report
from scenes import CLASSES, LABELS, PLURALS, SIGN, Scene, draw, random_scene, varied
from tiny_questions import CAPTION_PROMPTS, NUMBER_WORDS, caption, changes

from streamer.gemma.parsing import parse_detections, parse_yes_no
from streamer.geometry import Box, iou
from streamer.models import load
from streamer.models.base import Request, VisionModel
from streamer.results import Detection
from streamer.tasks import COMPARE_PROMPT, READ_PROMPT, Task

SEED = 20_261_123
SIZE = (1280, 720)
ASPECT = SIZE[0] / SIZE[1]
CHUNK = 8


@dataclass(slots=True)
class Score:
    """Answers right of answers given, and boxes found, missed and made up."""

    right: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    hits: int = 0
    wrong: int = 0
    missed: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def note(self, kind: str, right: bool) -> None:
        self.asked[kind] += 1
        self.right[kind] += right

    def share(self, kind: str) -> float:
        return 100 * self.right[kind] / max(1, self.asked[kind])

    @property
    def f1(self) -> float:
        return 100 * 2 * self.hits / max(1, 2 * self.hits + self.wrong + self.missed)


def questions(rng: random.Random, scene: Scene) -> Iterator[tuple[str, str, Any]]:
    """``(kind, prompt, what is right)``"""
    yield "caption", CAPTION_PROMPTS[0], caption(scene)
    yield "detect", Task.detect().prompt, scene
    present = sorted({thing.label for thing in scene.things})
    label = rng.choice(present) if rng.random() < 0.8 else rng.choice(CLASSES)
    yield "count", f"How many {PLURALS[label]}?", str(scene.count(label))
    absent = [label for label in LABELS if label not in present]
    label = rng.choice(present) if rng.random() < 0.5 or not absent else rng.choice(absent)
    yield "yes/no", f"Is there a {label}?", scene.count(label) > 0
    if scene.count(SIGN):
        yield "sign", READ_PROMPT, scene.ordered((SIGN,))[0].text


def counted(text: str) -> Counter[str]:
    """The classes that a caption names, with their numbers."""
    names = {**{label: label for label in LABELS}, **{plural: label for label, plural in PLURALS.items()}}
    found: Counter[str] = Counter()
    for part in text.rstrip(".").replace(" with ", ",").replace(" and ", ",").split(",")[1:]:
        word, _, name = part.strip().partition(" ")
        number = 1 if word in ("a", "an") else NUMBER_WORDS.index(word) if word in NUMBER_WORDS else 0
        found[names.get(name, name)] += number
    return found


def judge(score: Score, kind: str, answer: str, wanted: Any) -> None:
    answer = answer.strip()
    match kind:
        case "caption":
            score.note(kind, counted(answer) == counted(wanted))
        case "detect":
            match_boxes(score, parse_detections(answer).detections, wanted)
        case "yes/no":
            score.note(kind, parse_yes_no(answer) is wanted)
        case _:
            score.note(kind, answer == wanted)


def match_boxes(score: Score, found: Sequence[Detection], scene: Scene) -> None:
    """Each true box takes the free box of its label that overlaps it most."""
    free = list(found)
    for thing in scene.things:
        true = Box(*thing.box(ASPECT))
        best = max((d for d in free if d.label == thing.label), key=lambda d: iou(d.box, true), default=None)
        if best is not None and iou(best.box, true) >= 0.5:
            free.remove(best)
            score.hits += 1
        else:
            score.missed += 1
    score.wrong += len(free)


def measure(model: VisionModel, scenes: Sequence[tuple[Scene, Scene]], budget: int) -> Score:
    rng, score = random.Random(SEED + 1), Score()
    for start in range(0, len(scenes), CHUNK):
        asked: list[tuple[str, Any, Request]] = []
        for before, scene in scenes[start : start + CHUNK]:
            image, other = draw(scene, SIZE), draw(before, SIZE)
            for kind, prompt, wanted in questions(rng, scene):
                asked.append((kind, wanted, Request((image,), prompt, budget, 512)))
            if budget <= 140:
                request = Request((other, image), COMPARE_PROMPT, budget, 128)
                asked.append(("compare", changes(before, scene), request))
        began = time.perf_counter()
        answers = model.generate([request for _, _, request in asked])
        score.seconds += time.perf_counter() - began
        for (kind, wanted, _), answer in zip(asked, answers, strict=True):
            judge(score, kind, answer.text, wanted)
            if kind == "detect":
                score.tokens = answer.image_tokens
    return score


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--budgets", default="70,140,280,560")
    chosen = parser.parse_args()
    count = 16 if chosen.quick else chosen.scenes
    rng = random.Random(SEED)
    before = [random_scene(rng, aspect=ASPECT) for _ in range(count)]
    pairs = [(scene, varied(rng, scene, aspect=ASPECT)) for scene in before]
    rows = []
    with load(chosen.model, max_batch=32) as model:
        for budget in map(int, chosen.budgets.split(",")):
            score = measure(model, pairs, budget)
            kinds = {kind: round(score.share(kind), 1) for kind in ("caption", "count", "sign", "yes/no")}
            compared = round(score.share("compare"), 1) if score.asked["compare"] else "-"
            rows.append(
                {
                    "budget": budget,
                    "image tokens": score.tokens,
                    "F1": round(score.f1, 1),
                    **kinds,
                    "changes": compared,
                    "s a frame": round(score.seconds / count, 3),
                }
            )
    report(f"tiny on {count} drawn scenes", rows, as_json=chosen.json, notes={"seed": SEED, "model": chosen.model})


if __name__ == "__main__":
    main()
