"""What the tests of the live job and its viewers stand on: a camera that draws, and waiting with an end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from streamer.errors import SourceError
from streamer.sources.base import Counters, Picture, Size, Source, SourceInfo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from streamer.frames import Frame

GREY = 90


class Drawn(Picture):
    """A flat grey picture whose left edge is lighter with time."""

    def __init__(self, number: int, size: Size, camera: Camera) -> None:
        self.source_size = size
        self.time_seconds = number / camera.fps
        self.index, self.pts, self.time_base = number, number, Fraction(1)
        self.captured_at = time.monotonic()
        self.decode_ms = 0.1
        self._camera = camera

    def scaled(self, size: Size) -> NDArray[np.uint8]:
        self._camera.scaled.append(size)
        image = np.full((size[1], size[0], 3), GREY, np.uint8)
        image[:, :2] = (self.index or 0) % 256
        return image


class Camera(Source):
    """Gives ``pictures`` of ``size`` at ``fps``, forever where ``last`` is None; then ends, or raises ``fault``."""

    live = True
    drawn: type[Drawn] = Drawn

    def __init__(
        self, size: Size = (640, 360), fps: float = 30.0, *, last: int | None = None, fault: Exception | None = None
    ) -> None:
        self.size, self.fps, self.last, self.fault = size, fps, last, fault
        self.scaled: list[Size] = []
        self.frozen = threading.Event()
        self.closed = threading.Event()
        self._counters = Counters()

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("drawn:", "live", self.size, rate=self.fps, codec="drawn")

    @property
    def counters(self) -> Counters:
        return self._counters

    def pictures(self) -> Iterator[Picture]:
        number = 0
        while self.last is None or number < self.last:
            if not self.frozen.is_set():
                yield self.drawn(number, self.size, self)
                number += 1
            if self.closed.wait(1 / self.fps):
                return
        if self.fault is not None:
            raise self.fault

    def frames(self) -> Iterator[Frame]:
        raise NotImplementedError("the live job samples by itself")

    def close(self) -> None:
        self.closed.set()


def refused() -> Source:
    raise SourceError("rtsp://someone:secret@10.0.0.9/live", "connection refused", "look whether it is switched on")


def eventually(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Waits until the condition holds; fails where it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(0.01)
