"""Where a stream's events wait in its process until they are fetched."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamer.cluster.parcels import Answered, PackedFrame, Sent
from streamer.display import CarriedBoxes, EncodedPicture, Wish
from streamer.passthrough import VideoPacket
from streamer.results import FrameResult
from streamer.settings import StreamStatus

if TYPE_CHECKING:
    from streamer.frames import Frame
    from streamer.monitor import Event
    from streamer.showing import Shown

MAX_RESULTS = 256
"""That wait; beyond them the oldest is dropped, and counted."""
MAX_FRAMES = 16
"""Of those so many have their frame, the newest ones."""
MAX_STATES = 64
MAX_PACKETS = 512
"""Of a camera's own video; without the oldest, viewers wait for the next key picture."""


@dataclass(slots=True, eq=False)
class _Waiting:
    result: FrameResult
    at: float
    frame: Frame | None


class Outbox:
    """Put into from any thread, emptied by one. Of boxes, and of pictures for each wish, the newest wait; of all else
    all that there is room for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._results: deque[_Waiting] = deque()
        self._states: deque[StreamStatus] = deque(maxlen=MAX_STATES)
        self._boxes: deque[CarriedBoxes] = deque(maxlen=1)
        self._pictures: dict[Wish, EncodedPicture] = {}
        self._packets: deque[VideoPacket] = deque(maxlen=MAX_PACKETS)
        self._closed = False
        self._last: int | None = None
        """Sequence of the newest result."""
        self.lost = 0
        """Results that were dropped."""

    def put(self, event: Event) -> None:
        """What a `Monitor` tells its subscribers, but for results."""
        with self._changed:
            match event:
                case EncodedPicture():
                    self._pictures[event.wish] = event
                case CarriedBoxes():
                    self._boxes.append(event)
                case VideoPacket():
                    self._packets.append(event)
                case StreamStatus():
                    self._states.append(event)
            self._changed.notify()

    def put_result(self, result: FrameResult, frame: Frame | None) -> None:
        """In their order; one that was just put is not put again."""
        with self._changed:
            if result.sequence == self._last:
                return
            self._last = result.sequence
            if len(self._results) == MAX_RESULTS:
                self._results.popleft()
                self.lost += 1
            self._results.append(_Waiting(result, time.monotonic(), frame))
            framed = [waiting for waiting in self._results if waiting.frame is not None]
            for waiting in framed[:-MAX_FRAMES]:
                waiting.frame = None
            self._changed.notify()

    def close(self) -> None:
        """Nobody waits any more."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def take(self, wait_seconds: float) -> tuple[Sent, ...]:
        """All that waits: states, then boxes and pictures, then results. Waits at most so long for the first one."""
        with self._changed:
            kept = (self._states, self._boxes, self._pictures, self._packets, self._results)
            if not (any(kept) or self._closed):
                self._changed.wait(wait_seconds)
            shown: tuple[Shown, ...] = (*self._boxes, *self._pictures.values(), *self._packets)
            states, results = tuple(self._states), tuple(self._results)
            for one in kept:
                one.clear()
        answered = (
            Answered(one.result, one.at, None if one.frame is None else PackedFrame.of(one.frame)) for one in results
        )
        return (*states, *shown, *answered)
