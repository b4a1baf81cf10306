"""What every file format is written from: all that a job found in one source."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from streamer.results import FrameResult
from streamer.sources.base import Size

_MISSING = ("cut off", "without four numbers", "no list of boxes", "empty answer")
"""Words of the notes that say that there may be more than the boxes that could be read."""


def incomplete(result: FrameResult) -> bool:
    """Whether an answer with boxes was cut off or could not be read: what it lacks may be there all the same."""
    notes = [note for name, note in result.notes.items() if name.startswith("detect")]
    return any(words in note for note in notes for words in _MISSING)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of time that says the same: a chapter."""

    start_seconds: float
    end_seconds: float
    text: str
    """What the model says of it; empty where it could not."""
    error: str | None = None
    """Why it could not."""


@dataclass(frozen=True, slots=True)
class Still:
    """A sampled frame as a picture file."""

    path: Path
    """Of the JPEG; formats put it beside their own files or name it relative to them."""
    size: Size
    """``(width, height)``: that of the upright source picture."""


@dataclass(frozen=True, slots=True)
class Annotations:
    """The answers about one source, with what a format must know of the source."""

    name: str
    """What the files are called: ``NAME.srt``, ``NAME.coco.json``."""
    address: str
    """Of the source, without passwords."""
    size: Size
    """``(width, height)`` of the upright picture with square pixels."""
    results: tuple[FrameResult, ...]
    """In order of time, those with an ``error`` included; detections have track ids where they were tracked."""
    rate: float | None = None
    """Pictures a second, where it can be trusted."""
    duration_seconds: float | None = None
    picture_count: int | None = None
    """Pictures in the whole source, where known."""
    start_seconds: float = 0.0
    """How long after the container's start the first picture is shown: what is played beside it starts so much later
    than `FrameResult.time_seconds` says."""
    wanted: tuple[str, ...] = ()
    """The labels that were asked for, in their order; none where everything was."""
    model: str = ""
    caveat: str | None = None
    """A sentence that must stand in everything that shows these answers, wherever the format has room for it."""
    segments: tuple[Segment, ...] = ()
    stills: Mapping[int, Still] = field(default_factory=dict)
    """By `FrameResult.sequence`: filled for formats that need pictures, for every good result."""

    @property
    def labels(self) -> list[str]:
        """The classes: what was asked for in its order, found or not, then all other labels, in the alphabet's."""
        found = {detection.label for result in self.good for detection in result.detections}
        return [*self.wanted, *sorted(found - set(self.wanted))]

    @property
    def good(self) -> list[FrameResult]:
        """The results that say all they were asked: without an error, and no list of boxes `incomplete`."""
        return [result for result in self.results if result.error is None and not incomplete(result)]

    def number(self, result: FrameResult) -> int:
        """The frame's 0-based number among all pictures of the source: its own, else by its time and the rate."""
        if result.index is not None:
            return result.index
        return result.sequence if self.rate is None else round(result.time_seconds * self.rate)

    def end_seconds(self, place: int) -> float:
        """Until when the result at ``place`` in `results` stands: the next one's time, for the last one as long as the
        usual distance, at most to the source's end."""
        times = [result.time_seconds for result in self.results]
        if place + 1 < len(times):
            return times[place + 1]
        gaps = sorted(after - before for before, after in itertools.pairwise(times))
        usual = gaps[len(gaps) // 2] if gaps else 1.0
        end = times[place] + usual
        if self.duration_seconds is not None and self.duration_seconds > times[place]:
            end = min(end, self.duration_seconds)
        return end


Write = Callable[[Annotations, Path], list[Path]]
"""Writes one source's annotations into a folder and says which files came of it, each written whole or not at all
(`streamer.outputs.atomic`). Raises `OutputError` where that is not possible."""
