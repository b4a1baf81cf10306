"""Annotations of made-up sources, with pictures, and what a reader of any dataset must find in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from streamer.geometry import Box
from streamer.outputs.base import Annotations, Still
from streamer.results import Detection, FrameResult

CAR, NASTY, GREEK = "car", "a <b> & \"c\" 'd', e/f: g", "αυτοκίνητο 🚗"
CAVEAT = 'Weights are <random> & "made up" -- believe nothing.'

SEEN: tuple[tuple[Detection, ...], ...] = (
    (Detection(CAR, Box(0.1, 0.2, 0.4, 0.55), 7, {"colour": "red & <blue>", "wheels": 4}),),
    (
        Detection(CAR, Box(0.15, 0.2, 0.45, 0.55), 7, {"colour": "red & <blue>", "wheels": 4}),
        Detection(NASTY, Box(0, 0, 1, 1)),
    ),
    (),
    (
        Detection(CAR, Box(0.333, 0.25, 0.6667, 0.61), 7),
        Detection(GREEK, Box(0.00123, 0.5, 0.0456, 0.999), 9),
        Detection(NASTY, Box(0.5, 0.5, 0.75, 0.75)),
    ),
)
"""What is to be written, by the place of the result among those without an error."""
JUNK = (Detection(CAR, Box(0.3, 0.3, 0.3, 0.9), 8), Detection(CAR, Box(0.8, 0.5, 0.7, 0.6)))
"""Without an area."""


@dataclass(frozen=True)
class Case:
    """A source: ``numbers`` and ``times`` of its sampled frames, the last but one of which could not be answered."""

    name: str
    size: tuple[int, int]
    numbers: tuple[int, ...]
    times: tuple[float, ...]
    rate: float | None = None
    indexed: bool = True
    count: int | None = None

    @property
    def good(self) -> list[int]:
        return [*self.numbers[:3], self.numbers[4]]


CASES = (
    Case("even", (160, 96), (0, 10, 20, 30, 40), (0, 1, 2, 3, 4), 10.0, indexed=False, count=60),
    Case("odd <1> & 'two'", (161, 97), (0, 10, 20, 30, 40), (0, 1, 2, 3, 4), 10.0, count=41),
    Case("vfr größe", (1279, 719), (0, 7, 31, 32, 90), (0, 0.31, 1.4, 1.5, 6.25)),
    Case("late, (2)", (33, 201), (105, 130, 155, 180, 205), (4.2, 5.2, 6.2, 7.2, 8.2), 25.0, count=250),
)


def annotated(case: Case, folder: Path, seen: Sequence[Sequence[Detection]] = SEEN) -> Annotations:
    """The case's annotations, its stills in ``folder``."""
    good = iter(seen)
    results = []
    for sequence, (number, time) in enumerate(zip(case.numbers, case.times, strict=True)):
        error = "caption: no memory left" if sequence == 3 else None
        detections = JUNK if error else (*JUNK[:sequence], *next(good))
        index = number if case.indexed else None
        results.append(
            FrameResult("s", sequence, float(time), case.size, index, detections=tuple(detections), error=error)
        )
    stills = {result.sequence: still(folder, case, result) for result in results if result.error is None}
    return Annotations(
        name=case.name,
        address=f"films/{case.name}.mp4",
        size=case.size,
        results=tuple(results),
        rate=case.rate,
        picture_count=case.count,
        model="tiny <1>",
        caveat=CAVEAT,
        stills=stills,
    )


def still(folder: Path, case: Case, result: FrameResult) -> Still:
    path = folder / f"{case.name}.frames" / f"{case.numbers[result.sequence]:06d}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", case.size, (90, 120, 150)).save(path)
    return Still(path, case.size)


Found = tuple[str, tuple[float, float, float, float]]
"""A label and a box ``x1, y1, x2, y2`` in pixels."""


def wanted(case: Case, seen: Sequence[Sequence[Detection]] = SEEN) -> dict[int, list[Found]]:
    """By frame number."""
    width, height = case.size
    return {
        number: [
            (one.label, (one.box.x1 * width, one.box.y1 * height, one.box.x2 * width, one.box.y2 * height))
            for one in detections
        ]
        for number, detections in zip(case.good, seen, strict=True)
    }


def check(found: dict[int, list[Found]], case: Case, within: float) -> None:
    """The same frames, the same labels, each box within so many pixels."""
    expected = wanted(case)
    assert sorted(found) == sorted(expected)
    for number, boxes in expected.items():
        assert sorted(label for label, _ in found[number]) == sorted(label for label, _ in boxes)
        for (_, box), (_, other) in zip(sorted(found[number]), sorted(boxes), strict=True):
            assert max(abs(a - b) for a, b in zip(box, other, strict=True)) <= within, (number, box, other)
