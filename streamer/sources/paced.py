"""A file as a test camera: at its own pace, once or in a loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from streamer.buffers import wait_until
from streamer.sources.timeline import DEFAULT_STEP

if TYPE_CHECKING:
    from streamer.sources.base import Counters
    from streamer.sources.picture import VideoPicture
    from streamer.sources.sampled import SampledSource

_LATE_SECONDS = 1.0
"""Lag after which the clock is set back instead of catching up."""


class PacedFeed:
    """Pictures at the moments that their times say.

    In a loop ``time`` keeps rising, each round following on from the one before it, while ``index`` and ``pts`` stay
    those of the file.
    """

    comes_back = False

    def __init__(self, address: str, make: Callable[[Counters], SampledSource], *, loop: bool) -> None:
        self.address, self._make, self._loop = address, make, loop
        self.codec = ""
        self.rate: float | None = None

    def pictures(self, stop: threading.Event, counters: Counters) -> Iterator[VideoPicture]:
        source = self._make(counters)
        self.codec, self.rate = source.info.codec, source.info.rate
        shift, gap = Fraction(0), DEFAULT_STEP
        last: Fraction | None = None
        clock = 0.0
        while True:
            for number, picture in enumerate(source.chosen()):
                if last is None:
                    clock = time.monotonic() - picture.time_seconds
                elif number == 0:
                    shift = last + gap - picture.time
                else:
                    gap = picture.time + shift - last
                last = picture.time = picture.time + shift
                picture.time_seconds = float(last)
                if wait_until(stop, clock + picture.time_seconds):
                    return
                picture.captured_at = time.monotonic()
                late = picture.captured_at - clock - picture.time_seconds
                clock += late if late > _LATE_SECONDS else 0.0
                yield picture
            if not self._loop or stop.is_set():
                return
