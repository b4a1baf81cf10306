"""The one place where the job's threads meet the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable

from streamer.alerts import Alert
from streamer.display import CarriedBoxes, EncodedPicture, Wish
from streamer.monitor import Event
from streamer.passthrough import VideoPacket

MAX_EVENTS = 4096
MAX_PACKETS = 1024
"""Of all streams; the oldest is dropped, which viewers see by its number."""


class Inbox:
    """Hands a job's events and alerts to ``deliver(event)`` on the event loop; `put` is called on any thread.

    While the loop is busy at most one picture a stream and wish and one set of boxes a stream wait (the newest), and at
    most 4096 other events, after which ``lost()`` is called once in place of those that came too many.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, deliver: Callable[[Event | Alert], None], lost: Callable[[], None]
    ) -> None:
        self._loop, self._deliver, self._lost = loop, deliver, lost
        self._lock = threading.Lock()
        self._events: deque[Event | Alert] = deque()
        self._pictures: dict[tuple[str, Wish | None], EncodedPicture | CarriedBoxes] = {}
        """Boxes are put before their pictures, and stay before them."""
        self._packets: deque[VideoPacket] = deque(maxlen=MAX_PACKETS)
        self._scheduled = self._closed = self._overflowed = False

    def put(self, event: Event | Alert) -> None:
        with self._lock:
            if self._closed:
                return
            if isinstance(event, EncodedPicture):
                self._pictures[event.stream, event.wish] = event
            elif isinstance(event, CarriedBoxes):
                self._pictures[event.stream, None] = event
            elif isinstance(event, VideoPacket):
                self._packets.append(event)
            elif len(self._events) < MAX_EVENTS:
                self._events.append(event)
            else:
                self._overflowed = True
            if not self._scheduled:
                self._scheduled = True
                self._loop.call_soon_threadsafe(self._drain)

    def close(self) -> None:
        """After this the loop is not touched any more."""
        with self._lock:
            self._closed = True

    def _drain(self) -> None:
        with self._lock:
            events, pictures, packets = tuple(self._events), tuple(self._pictures.values()), tuple(self._packets)
            overflowed, self._overflowed, self._scheduled = self._overflowed, False, False
            for waiting in (self._events, self._pictures, self._packets):
                waiting.clear()
        for event in (*events, *pictures, *packets):
            self._deliver(event)
        if overflowed:
            self._lost()
