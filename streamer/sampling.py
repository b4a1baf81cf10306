"""Which pictures of a stream are looked at. Decisions only: times in, choices out, nothing is read here.

The rule for asked times: the picture chosen is the one whose interval [its time, the next one's time) holds the
asked time, so it is the picture that a player would show at that moment. Asked times before the first picture take the
first picture; the last picture holds as long as the gap before it (a lone picture holds its own time only). A picture
is chosen once, however many asked times it holds. Times are exact fractions of a second since the first picture.
"""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

import numpy as np

from streamer.errors import OptionError, StreamerError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Seconds = int | float | str | Fraction
Kind = Literal["all", "every", "every_nth", "at", "key_frames", "scene_changes"]

SCENE_THRESHOLD = 0.1
"""Mean absolute difference of two thumbnails, in 0..1, from which a new scene is said to begin."""
THUMBNAIL_SIZE = (64, 36)
"""(width, height) of the thumbnails compared for scene changes."""
SEEK_COST = 6
"""How many pictures could be decoded in the time that a seek takes (flushing and refilling the decoder). Measured."""

_EXPECTED = (
    "'all', 'every 2 s', '2 fps', 'every 5th', 'at 1,2.5,10', 'keyframes' or 'scenes', "
    "each with 'from 10', 'to 60' or both behind it"
)


class Timed(Protocol):
    """What sampling needs to know of a picture."""

    @property
    def time(self) -> Fraction:
        """Exact seconds since the first picture."""

    @property
    def key_frame(self) -> bool: ...


T = TypeVar("T", bound=Timed)


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which pictures, within [``start``, ``end``). Made by its class methods; every one raises `OptionError`."""

    kind: Kind = "all"
    interval: Fraction | None = None
    """``every``: seconds between asked times, the first of which is ``start``."""
    step: int = 1
    """``every_nth``: every how many pictures, counted from the first one in the window."""
    times: tuple[Fraction, ...] = ()
    """``at``: the asked times, seconds, rising."""
    threshold: float = SCENE_THRESHOLD
    """``scene_changes``: least thumbnail difference, in 0..1."""
    start: Fraction | None = None
    """Seconds; None is the first picture."""
    end: Fraction | None = None
    """Seconds, exclusive; None is the end of the stream."""

    @classmethod
    def all(cls) -> Sampling:
        return cls("all")

    @classmethod
    def every(cls, seconds: Seconds) -> Sampling:
        return cls("every", interval=_positive("seconds between pictures", seconds))

    @classmethod
    def fps(cls, rate: Seconds) -> Sampling:
        return cls("every", interval=1 / _positive("pictures a second", rate))

    @classmethod
    def every_nth(cls, n: int) -> Sampling:
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise OptionError("every nth picture", n, "a whole number from 1")
        return cls("every_nth", step=n)

    @classmethod
    def at(cls, times: Iterable[Seconds]) -> Sampling:
        asked = tuple(sorted({_seconds("at", time) for time in times}))
        if not asked:
            raise OptionError("at", "", "at least one time in seconds")
        return cls("at", times=asked)

    @classmethod
    def key_frames(cls) -> Sampling:
        return cls("key_frames")

    @classmethod
    def scene_changes(cls, threshold: float = SCENE_THRESHOLD) -> Sampling:
        if not 0 < threshold <= 1:
            raise OptionError("scene threshold", threshold, "a number above 0 and at most 1")
        return cls("scene_changes", threshold=float(threshold))

    @classmethod
    def parse(cls, text: str) -> Sampling:
        """From the words that people write: see the message of the `OptionError` for what is understood."""
        return _parse(text)

    def between(self, start: Seconds | None, end: Seconds | None) -> Sampling:
        """The same choice within [``start``, ``end``) seconds; None leaves that side open."""
        first = None if start is None else _seconds("start", start)
        last = None if end is None else _seconds("end", end)
        if last is not None and last <= (first or 0):
            raise OptionError("end", end, "a time after the start")
        return replace(self, start=first, end=last)

    def asked_from(self, time: Fraction) -> Fraction | None:
        """The first asked time at or after ``time`` (``every`` and ``at`` only); None where there is no more."""
        time = time if self.start is None else max(time, self.start)
        if self.interval is not None:
            origin = self.start or Fraction(0)
            asked = origin + math.ceil((time - origin) / self.interval) * self.interval
        else:
            place = bisect.bisect_left(self.times, time)
            if place == len(self.times):
                return None
            asked = self.times[place]
        return asked if self.end is None or asked < self.end else None

    def __str__(self) -> str:
        """Words that `parse` reads back."""
        window = f" from {_decimal(self.start)}" if self.start is not None else ""
        window += f" to {_decimal(self.end)}" if self.end is not None else ""
        return self._words() + window

    def _words(self) -> str:
        if self.interval is not None:
            return f"every {_decimal(self.interval)} s"
        if self.kind == "every_nth":
            return f"every {self.step} frames"
        if self.kind == "at":
            return "at " + ",".join(map(_decimal, self.times))
        return {"key_frames": "keyframes", "scene_changes": f"scenes {self.threshold!r}"}.get(self.kind, "all")


def select(
    items: Iterable[T], sampling: Sampling, thumbnail: Callable[[T], NDArray[np.uint8]] | None = None
) -> Iterator[T]:
    """The chosen ones of ``items``, which come in order of presentation with rising times.

    ``thumbnail`` gives `THUMBNAIL_SIZE` RGB pictures and is needed for scene changes only. Stops reading as soon as
    nothing more can be chosen. Where reading ``items`` raises a `StreamerError`, what the pictures before it decide
    is given first.
    """
    if sampling.kind in ("every", "at"):
        return _holding(items, sampling)
    inside = _windowed(items, sampling)
    if sampling.kind == "every_nth":
        return (item for number, item in enumerate(inside) if number % sampling.step == 0)
    if sampling.kind == "key_frames":
        return (item for item in inside if item.key_frame)
    if sampling.kind == "scene_changes":
        if thumbnail is None:
            raise OptionError("thumbnail", None, "a function, to find scene changes")
        return _scene_starts(inside, sampling.threshold, thumbnail)
    return inside


def content_change(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    """How much two pictures of one shape differ: mean absolute difference over pixels and channels, in 0..1."""
    return float(np.abs(after.astype(np.int16) - before).mean() / 255)


def cheaper_to_seek(next_position: int, key_position: int, cost: int = SEEK_COST) -> bool:
    """Whether to seek to a key frame rather than decode on to it. Positions count pictures in order of decoding."""
    return key_position - next_position > cost


class Due:
    """Picks live pictures on a grid of ``interval`` seconds; a late one does not shift the grid."""

    def __init__(self, interval: Fraction) -> None:
        self._interval = float(interval)
        self._next: float | None = None

    def __call__(self, now: float) -> bool:
        """Whether the picture at ``now`` (seconds, rising) is the first one in its cell of the grid."""
        if self._next is None:
            self._next = now
        if now < self._next:
            return False
        self._next += (math.floor((now - self._next) / self._interval) + 1) * self._interval
        return True


def _holding(items: Iterable[T], sampling: Sampling) -> Iterator[T]:
    asked = sampling.asked_from(Fraction(0))
    before: T | None = None
    gap, fault = Fraction(0), None
    source = iter(items)
    while asked is not None:
        try:
            item = next(source, None)
        except StreamerError as error:
            item, fault = None, error
        if item is None:
            break
        if before is not None:
            gap = item.time - before.time
            if asked < item.time:
                yield before
                asked = sampling.asked_from(item.time)
        before = item
    if before is not None and asked is not None and (asked <= before.time or asked < before.time + gap):
        yield before
    if fault is not None:
        raise fault


def _windowed(items: Iterable[T], sampling: Sampling) -> Iterator[T]:
    for item in items:
        if sampling.end is not None and item.time >= sampling.end:
            return
        if sampling.start is None or item.time >= sampling.start:
            yield item


def _scene_starts(items: Iterable[T], threshold: float, thumbnail: Callable[[T], NDArray[np.uint8]]) -> Iterator[T]:
    before: NDArray[np.uint8] | None = None
    for item in items:
        after = thumbnail(item)
        if before is None or content_change(before, after) >= threshold:
            yield item
        before = after


_NUMBER = r"(?P<number>\S+?)"
_FORMS: tuple[tuple[str, Callable[[re.Match[str]], Sampling]], ...] = (
    (r"all|every frame|every picture", lambda _: Sampling.all()),
    (r"key ?-?frames?", lambda _: Sampling.key_frames()),
    (rf"scenes?(?: changes?)?(?: {_NUMBER})?", lambda found: _scenes(found["number"])),
    (r"every (?P<number>-?\d+) ?(?:st|nd|rd|th|frames?|pictures?)(?: frame| picture)?", lambda f: _nth(f["number"])),
    (
        rf"every {_NUMBER} ?(?P<unit>ms|s|secs?|seconds?|min|minutes?|h|hours?)",
        lambda f: _every(f["number"], f["unit"]),
    ),
    (r"every (?P<unit>second|minute|hour)", lambda found: _every("1", found["unit"])),
    (rf"{_NUMBER} ?(?:fps|/s|per second)", lambda found: Sampling.fps(found["number"])),
    (r"at (?P<times>.+)", lambda found: Sampling.at(re.split(r"[,\s]+", found["times"].strip(" ,")))),
)
_WINDOW = re.compile(r"(?P<body>.*?)(?: from (?P<start>\S+))?(?: to (?P<end>\S+))?")


def _parse(text: str) -> Sampling:
    window = _WINDOW.fullmatch(" ".join(text.lower().split()))
    if window is not None:
        for pattern, make in _FORMS:
            found = re.fullmatch(pattern, window["body"])
            if found is not None:
                sampling = make(found)
                bounded = window["start"] is not None or window["end"] is not None
                return sampling.between(window["start"], window["end"]) if bounded else sampling
    raise OptionError("sampling", text, _EXPECTED)


def _every(number: str, unit: str) -> Sampling:
    scale = {"ms": Fraction(1, 1000), "mi": Fraction(60), "h": Fraction(3600), "ho": Fraction(3600)}
    return Sampling.every(_positive("seconds between pictures", number) * scale.get(unit[:2], Fraction(1)))


def _nth(number: str) -> Sampling:
    return Sampling.every_nth(int(number))


def _scenes(number: str | None) -> Sampling:
    return Sampling.scene_changes() if number is None else Sampling.scene_changes(float(_seconds("scenes", number)))


def _seconds(option: str, value: Seconds) -> Fraction:
    """Exact, decimal numbers as they are written (0.1 is a tenth); ``h:m:s`` as well."""
    try:
        if isinstance(value, str) and ":" in value:
            parts = [Fraction(part) for part in value.split(":")]
            seconds = sum((part * 60**power for power, part in enumerate(reversed(parts))), Fraction(0))
        else:
            seconds = Fraction(repr(value)) if isinstance(value, float) else Fraction(value)
    except (ValueError, ZeroDivisionError, OverflowError, TypeError) as error:
        raise OptionError(option, value, "a number of seconds") from error
    if seconds < 0:
        raise OptionError(option, value, "a number from 0")
    return seconds


def _positive(option: str, value: Seconds) -> Fraction:
    number = _seconds(option, value)
    if number == 0:
        raise OptionError(option, value, "a number above 0")
    return number


def _decimal(value: Fraction) -> str:
    text = repr(float(value))
    return text.removesuffix(".0") if Fraction(text) == value else str(value)
