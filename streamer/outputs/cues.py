"""Captions merged into cues for subtitles: what is said, from when until when, in whole milliseconds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamer.outputs.base import Annotations
    from streamer.results import FrameResult

SHORTEST_MS = 700
"""How long a cue stands at least, where nothing else is said so soon: a shorter one cannot be read."""
LONGEST_MS = 30_000
"""A longer cue is cut into equal ones, because many players show only cues that begin after the place sought."""
CAVEAT_MS = 3_000
"""How long a caveat stands."""

_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
"""Control characters other than white space."""


@dataclass(frozen=True, slots=True)
class Cue:
    """A text that is shown in ``[start_ms, end_ms)``."""

    start_ms: int
    end_ms: int
    text: str
    """One line, not empty, not escaped for any format."""


def caption_of(result: FrameResult) -> str:
    """What is said of the picture in words, in one line: the caption, then the other answers; no lists of boxes."""
    parts = [result.caption] if result.caption else []
    for name, answer in result.answers.items():
        text = answer.get("text", json.dumps(answer, ensure_ascii=False)) if isinstance(answer, dict) else answer
        if isinstance(text, str) and name != "caption" and not name.startswith("detect"):
            parts.append(text)
    return "  ·  ".join(" ".join(part.split()) for part in parts if part.strip())


def plain(text: str) -> str:
    """The text in one line, without control characters and without halves of surrogate pairs, which UTF-8 lacks."""
    return " ".join(_CONTROLS.sub("", text.encode(errors="replace").decode()).split())


def spans_of(annotations: Annotations) -> list[tuple[int, int]]:
    """``[start, end)`` in milliseconds for each of the results: starts rise strictly, an end is the next one's start.

    That is `Annotations.end_seconds`, which is asked for the last result only: it looks at all times at every call.
    """
    starts = _rising(round(result.time_seconds * 1000) for result in annotations.results)
    if not starts:
        return []
    end = round(annotations.end_seconds(len(starts) - 1) * 1000)
    return list(zip(starts, [*starts[1:], max(end, starts[-1] + 1)], strict=True))


def cues_of(annotations: Annotations) -> list[Cue]:
    """The captions in order of time; they never overlap.

    A result with an error or without words makes a gap. Cues of one text that follow each other are one cue. One
    shorter than `SHORTEST_MS` reaches into a gap behind it, one longer than `LONGEST_MS` is cut into equal ones.
    """
    cues: list[Cue] = []
    for result, (start, end) in zip(annotations.results, spans_of(annotations), strict=True):
        text = plain(caption_of(result)) if result.error is None else ""
        if text and cues and (cues[-1].end_ms, cues[-1].text) == (start, text):
            cues[-1] = replace(cues[-1], end_ms=end)
        elif text:
            cues.append(Cue(start, end, text))
    return [piece for cue in _lengthened(cues, annotations.duration_seconds) for piece in _pieces(cue)]


def with_caveat(annotations: Annotations, cues: list[Cue]) -> list[Cue]:
    """The cues so that who watches them sees the caveat, where there is one.

    It is a cue of its own in the first `CAVEAT_MS` where nothing else is said in them; otherwise it stands in brackets
    before every cue that begins in the `CAVEAT_MS` after the first one's start.
    """
    caveat = plain(annotations.caveat or "")
    if not caveat or not cues:
        return cues
    if cues[0].start_ms >= CAVEAT_MS:
        return [Cue(0, CAVEAT_MS, caveat), *cues]
    end = cues[0].start_ms + CAVEAT_MS
    return [replace(cue, text=f"[{caveat}] {cue.text}") if cue.start_ms < end else cue for cue in cues]


def chapters_of(annotations: Annotations) -> list[Cue]:
    """The segments that have words, in order of time; each ends where the next one begins, at the latest."""
    segments = sorted(annotations.segments, key=lambda segment: segment.start_seconds)
    segments = [segment for segment in segments if plain(segment.text)]
    starts = _rising(round(segment.start_seconds * 1000) for segment in segments)
    ends = [round(segment.end_seconds * 1000) for segment in segments]
    ends = [min(end, start) for end, start in zip(ends, [*starts[1:], *ends[-1:]], strict=True)]
    return [
        Cue(start, max(end, start + 1), plain(segment.text))
        for segment, start, end in zip(segments, starts, ends, strict=True)
    ]


def later(cues: Iterable[Cue], seconds: float) -> list[Cue]:
    """The cues, so many seconds later."""
    by = round(seconds * 1000)
    return [replace(cue, start_ms=cue.start_ms + by, end_ms=cue.end_ms + by) for cue in cues]


def _rising(times_ms: Iterable[int]) -> list[int]:
    """The times, each moved so that it is 0 or more and later than the one before."""
    rising: list[int] = []
    for time in times_ms:
        rising.append(max(time, rising[-1] + 1 if rising else 0))
    return rising


def _lengthened(cues: list[Cue], duration_seconds: float | None) -> Iterator[Cue]:
    """Each cue `SHORTEST_MS` long where the next one, or the source's end, leaves room for that."""
    limits: list[int | None] = [cue.start_ms for cue in cues[1:]]
    limits.append(None if duration_seconds is None else round(duration_seconds * 1000))
    for cue, limit in zip(cues, limits, strict=False):
        wanted = cue.start_ms + SHORTEST_MS
        yield replace(cue, end_ms=max(cue.end_ms, wanted if limit is None else min(wanted, limit)))


def _pieces(cue: Cue) -> Iterator[Cue]:
    """The cue in as few equal parts as are no longer than `LONGEST_MS`."""
    length = cue.end_ms - cue.start_ms
    count = -(-length // LONGEST_MS)
    edges = [cue.start_ms + length * number // count for number in range(count + 1)]
    for start, end in pairwise(edges):
        yield replace(cue, start_ms=start, end_ms=end)
