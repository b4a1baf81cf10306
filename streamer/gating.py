"""Whether a picture has changed enough to be worth an answer, and how closely to look at it. No I/O, no clock.

Pictures are compared as small grey thumbnails. The largest difference of one cell counts, so that a small thing
anywhere is seen, once a change of brightness common to the whole picture is taken away. A cell is the mean of many
pixels, which leaves little of sensor and compression noise. Figures: benchmarks/NOTES.md, "The gate".
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from streamer.errors import OptionError
from streamer.models.base import BUDGETS
from streamer.results import FrameResult, Timings, Usage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from streamer.frames import Frame

THRESHOLD = 0.03
"""Above what noise, usual compression and flicker do to a still picture (0.024 at most; very coarse compression of a
noisy one does more), below what things in it do."""
MAX_AGE_SECONDS = 60.0
"""After which an unchanged picture is analysed all the same."""
CELLS = (64, 36)
"""``(width, height)`` of a thumbnail."""
FLICKER = 8
"""Grey levels by which the whole picture may become lighter or darker without having changed."""


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``(36, 64)`` grey means of the cells of an ``(H, W, 3)`` uint8 RGB picture of any size and aspect."""
    import cv2  # here, so that the command line can name the threshold without loading it

    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, CELLS, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def difference(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
    """Of the cell that differs most, in 0..1, once the brightness is that of the other thumbnail."""
    gap = after.astype(np.float32) - before
    common = float(np.clip(np.median(gap), -FLICKER, FLICKER))
    return min(1.0, float(np.abs(gap - common).max()) / 255)


def check_threshold(threshold: float) -> float:
    """``threshold`` itself. Raises `OptionError` for one that is no difference."""
    if not 0 <= threshold <= 1:
        raise OptionError("gate", threshold, "a number from 0 (off) to 1")
    return threshold


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What the gate knows of a frame."""

    thumbnail: NDArray[np.uint8]
    seconds: float
    """When it was taken, on any rising clock."""
    scene: Hashable = None
    """Whatever two pictures must have in common to be compared: their size, the connection that they came over."""

    @classmethod
    def of(cls, frame: Frame, *extra: Hashable) -> Sight:
        """By the clock of the camera where there is one, else by media time; ``extra`` belongs to the scene."""
        seconds = frame.time_seconds if frame.captured_at is None else frame.captured_at
        return cls(thumbnail(frame.image), seconds, (frame.source_size, *extra))


@dataclass(frozen=True, slots=True)
class Look:
    """What the gate says of a frame."""

    difference: float
    """From the frame analysed last, in 0..1; 1 where there is none to compare with."""
    changed: bool
    analyse: bool
    """Also true for unchanged frames: with the gate off, after the longest time, for questions about several frames."""


class Gate:
    """Compares frames with the one analysed last, not with the one before, so that slow drift cannot slip through."""

    def __init__(
        self, threshold: float = THRESHOLD, *, max_age_seconds: float = MAX_AGE_SECONDS, window: int = 1
    ) -> None:
        """``threshold``: 0 analyses every frame. ``window``: how many successive frames the questions are about; so
        many equal ones are analysed before an answer is taken over, as "what has changed?" ends in "nothing"."""
        self._threshold = check_threshold(threshold)
        self._max_age_seconds, self._window = max_age_seconds, window
        self._last: Sight | None = None
        self._alike = 0

    def look(self, sight: Sight) -> Look:
        """Remembers nothing: only `analysed` does. With the gate off, ``changed`` is by the usual threshold."""
        last = self._last
        if last is None or last.scene != sight.scene:
            return Look(1.0, changed=True, analyse=True)
        gap = difference(last.thumbnail, sight.thumbnail)
        changed = gap > (self._threshold or THRESHOLD)
        too_old = sight.seconds - last.seconds >= self._max_age_seconds
        return Look(gap, changed, changed or not self._threshold or too_old or self._alike < self._window)

    def analysed(self, sight: Sight) -> None:
        """Later frames are compared with this one."""
        self._alike = 1 if self.look(sight).changed else self._alike + 1
        self._last = sight


def repeated(result: FrameResult, frame: Frame) -> FrameResult:
    """The answers of ``result`` for an unchanged later frame, marked as such; they cost nothing."""
    return replace(
        result,
        stream=frame.stream,
        sequence=frame.sequence,
        time_seconds=frame.time_seconds,
        source_size=frame.source_size,
        index=frame.index,
        pts=frame.pts,
        usage=Usage(),
        timings=Timings(decode_ms=frame.decode_ms),
        reused=True,
    )


class AutoBudget:
    """The budget ``auto``: the lowest while nothing changes, one step more for frames that show change and the two
    after them, and a step more for each answer that asks for it, up to ``highest``; that is given back step by step
    once five answers in a row did not ask."""

    HOLD_FRAMES = 3
    CONTENT_ANSWERS = 5

    def __init__(self, *, lowest: int = BUDGETS[0], highest: int = 560) -> None:
        self._steps = tuple(step for step in BUDGETS if lowest <= step <= highest)
        self._hold = 0
        self._asked = 0
        self._content = 0
        self.current = self._steps[0]
        """What the newest frame was given."""

    def see(self, changed: bool) -> int:
        """The budget for the next frame, now that it is known whether it has changed."""
        self._hold = self.HOLD_FRAMES if changed else max(0, self._hold - 1)
        self.current = self._step(self._asked + (self._hold > 0))
        return self.current

    def hear(self, budget: int, asks: bool) -> bool:
        """Takes note of an answer that was given at ``budget``; True where the picture is worth a closer look."""
        if not asks:
            self._content += 1
            if self._content >= self.CONTENT_ANSWERS:
                self._content, self._asked = 0, max(0, self._asked - 1)
            return False
        self._content = 0
        if budget >= self.current and budget < self._steps[-1]:  # else it was asked of a frame from before the step
            self._asked = min(self._asked + 1, len(self._steps) - 1)
        return budget < self._steps[-1]

    def _step(self, number: int) -> int:
        return self._steps[min(number, len(self._steps) - 1)]


_TOO_SMALL = re.compile(
    r"\b(unreadable|illegible|unclear|blurry|blurred|too (small|far|blurry)|hard to (read|see)"
    r"|(not|\w+n['’]t|cannot) (be )?(legible|readable|read|clear|tell|make out))\b",
    re.IGNORECASE,
)


def asks_for_detail(result: FrameResult) -> bool:
    """Whether an answer in words says that something could not be read or made out. An answer that was cut off does not
    ask: more image tokens make no answer shorter."""
    texts = (value.get("text", "") if isinstance(value, dict) else value for value in result.answers.values())
    return any(isinstance(text, str) and _TOO_SMALL.search(text) for text in texts)
