"""Stretches of a video that say the same: chapters. Decisions only; the words come from the model.

Two frames say the same where their words (captions, answers, labels) overlap by half or more. A stretch too short to be
a chapter goes to the neighbour that it is more like.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from streamer.results import FrameResult

ALIKE = 0.5
"""Share of common words, in 0..1, from which two frames say the same."""
LEAST_SECONDS = 5.0
PICTURES = 4
"""Of a stretch that are shown to the model, at most."""
PROMPT = "These pictures are from one part of a video, in order of time. Say in one short sentence what happens in it."

_WORD = re.compile(r"\w+")
_EMPTY = frozenset(
    _WORD.findall("a an and are at by for from in is it its of on or that the their there these this to with")
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Results ``first`` to ``last``, by their places, both included."""

    first: int
    last: int

    def places(self, most: int = PICTURES) -> list[int]:
        """At most so many of them, spread evenly, ends included."""
        count = min(most, self.last - self.first + 1)
        if count == 1:
            return [self.first]
        return [self.first + round(number * (self.last - self.first) / (count - 1)) for number in range(count)]


def stretches(results: Sequence[FrameResult], *, least_seconds: float = LEAST_SECONDS) -> list[Stretch]:
    """Without gaps, from the first result to the last. One with an error belongs to the stretch before it."""
    said = [words(result) for result in results]
    joined = list(_joined(results, said))
    while len(joined) > 1:
        lengths = [_seconds(results, stretch) for stretch in joined]
        shortest = min(range(len(joined)), key=lambda number: lengths[number])
        if lengths[shortest] >= least_seconds:
            break
        _merge(joined, shortest, said)
    return joined


def words(result: FrameResult) -> frozenset[str]:
    """What matters of what was said: lower-case words without those that every sentence has, and labels."""
    texts = [result.caption or ""]
    texts += [answer for name, answer in result.answers.items() if isinstance(answer, str) and name[:6] != "detect"]
    found = {word for text in texts for word in _WORD.findall(text.lower())} - _EMPTY
    return frozenset(found | {f"label:{detection.label}" for detection in result.detections})


def likeness(a: frozenset[str], b: frozenset[str]) -> float:
    """Common words among all, in 0..1; 1 where neither says anything."""
    return len(a & b) / len(a | b) if a or b else 1.0


def _joined(results: Sequence[FrameResult], said: Sequence[frozenset[str]]) -> Iterator[Stretch]:
    first, before = 0, None
    for place, result in enumerate(results):
        if result.error is not None:
            continue
        if before is not None and likeness(said[before], said[place]) < ALIKE:
            yield Stretch(first, place - 1)
            first = place
        before = place
    if results:
        yield Stretch(first, len(results) - 1)


def _seconds(results: Sequence[FrameResult], stretch: Stretch) -> float:
    """Until the next one begins; of the last one until its last frame."""
    end = min(stretch.last + 1, len(results) - 1)
    return results[end].time_seconds - results[stretch.first].time_seconds


def _merge(joined: list[Stretch], number: int, said: Sequence[frozenset[str]]) -> None:
    """Puts the stretch to the neighbour that it is more like."""
    common = [_common(stretch, said) for stretch in joined[max(0, number - 1) : number + 2]]
    if number == 0:
        other = 1
    elif number == len(joined) - 1:
        other = number - 1
    else:
        other = number - 1 if likeness(common[0], common[1]) >= likeness(common[2], common[1]) else number + 1
    low, high = sorted((number, other))
    joined[low : high + 1] = [Stretch(joined[low].first, joined[high].last)]


def _common(stretch: Stretch, said: Sequence[frozenset[str]]) -> frozenset[str]:
    """The words of half of its frames or more."""
    frames = said[stretch.first : stretch.last + 1]
    counts = Counter(word for one in frames for word in one)
    return frozenset(word for word, count in counts.items() if 2 * count >= len(frames))
