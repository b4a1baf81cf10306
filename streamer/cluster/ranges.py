"""A file's sampled frames in parts that are decoded side by side. Numbers in, numbers out: nothing is read here.

Parts are told by the frames' numbers, not by time, so a part has exactly the frames that a decode of the whole file
would give these numbers. How many frames there are is only guessed: the last part goes on to the end of the file,
however far that is, and a part behind the end is empty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePath
from typing import TYPE_CHECKING

from streamer.sampling import Sampling

if TYPE_CHECKING:
    from streamer.sources.base import SourceInfo

PART_SECONDS = 300.0
"""Of media in a part, where nothing else is said."""
MAX_FRAMES = 2_000
"""In a part, however closely it is sampled: so many rows may have to wait for those before them."""
FEW = 8
"""Parts at most of a file that has to be read through before a frame in its middle is found."""
_INDEXED = frozenset({".mp4", ".m4v", ".mov", ".qt", ".3gp"})
"""Files that say themselves where each picture is."""


@dataclass(frozen=True, slots=True)
class Part:
    """The sampled frames [``first``, ``first + count``) of a file; without ``count`` all from ``first`` on."""

    first: int
    count: int | None


def split(frames: int | None, size: int, *, begin: int = 0) -> list[Part]:
    """Parts of ``size`` frames from number ``begin`` on, of about ``frames`` in all; one part where that is unknown.

    >>> split(25, 10, begin=3)
    [Part(first=3, count=10), Part(first=13, count=None)]
    """
    if frames is None or frames - begin <= size:
        return [Part(begin, None)]
    starts = range(begin, frames - size // 2, size)
    return [*(Part(start, size) for start in starts[:-1]), Part(starts[-1], None)]


def planned(
    address: str, info: SourceInfo, sampling: Sampling, *, begin: int, seconds: float, whole: bool
) -> list[Part]:
    """The parts of a file whose first ``begin`` frames are answered. ``seconds`` of media in a part, about; ``whole``:
    in one part, because each frame depends on the one before it, or the file is far away."""
    frames = None if whole or not _can_begin_anywhere(address, info, sampling) else expected(info, sampling)
    if frames is None:
        return [Part(begin, None)]
    size = _size(info, sampling, frames, seconds)
    if PurePath(address).suffix.lower() not in _INDEXED:
        size = max(size, math.ceil(frames / FEW))
    return split(frames, size, begin=begin)


def _size(info: SourceInfo, sampling: Sampling, frames: int, seconds: float) -> int:
    start, end = _window(info, sampling)
    dense = frames / max(1e-9, end - start)
    return max(1, min(MAX_FRAMES, round(dense * seconds)))


def _can_begin_anywhere(address: str, info: SourceInfo, sampling: Sampling) -> bool:
    """Whether a source that passes its first frames over need not decode them (`streamer.sources.video`)."""
    if info.kind != "file" or not info.duration_seconds:
        return False
    if sampling.interval is not None:
        return sampling.interval * Fraction(info.rate or 25) >= (2 if _indexed(address) else 6)
    return sampling.kind == "at" or (sampling.kind == "every_nth" and sampling.step >= (2 if _indexed(address) else 6))


def _indexed(address: str) -> bool:
    return PurePath(address).suffix.lower() in _INDEXED


def expected(info: SourceInfo, sampling: Sampling) -> int | None:
    """About how many frames there are; None where that can't be told."""
    if info.duration_seconds is None:
        return None
    start, end = _window(info, sampling)
    if sampling.interval is not None:
        return math.ceil((end - start) / float(sampling.interval))
    if sampling.kind == "at":
        return sum(start <= time < end for time in sampling.times)
    if sampling.kind == "every_nth" and info.rate:
        return math.ceil((end - start) * info.rate / sampling.step)
    return None


def _window(info: SourceInfo, sampling: Sampling) -> tuple[float, float]:
    """Seconds, [start, end), of what is looked at."""
    length = info.duration_seconds or 0.0
    start = float(sampling.start or 0)
    end = length if sampling.end is None else min(length, float(sampling.end))
    return start, max(start, end)
