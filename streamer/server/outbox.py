"""What waits to be sent to one viewer: bounded, and clear about what a slow viewer loses."""

from __future__ import annotations

import asyncio
from collections import deque

MAX_EVENTS = 256
MAX_VIDEO_BYTES = 2 * 2**20
"""Of packets, all streams together."""


class Outbox:
    """Used on the event loop alone.

    Results, acknowledgements and removals wait in order and none is lost: where more than ``max_events`` wait, the
    viewer is `overflowed` and has to be sent away (it comes back to a snapshot). Of a stream's state, of its pictures
    and of the boxes on them only the newest waits; what it replaces is dropped, and dropped pictures are counted.
    Packets of video wait in order, up to `MAX_VIDEO_BYTES`; beyond that all of the stream are dropped.
    """

    def __init__(self, max_events: int = MAX_EVENTS) -> None:
        self._max_events = max_events
        self._events: deque[str] = deque()
        self._states: dict[str, str] = {}
        self._boxes: dict[str, str] = {}
        self._pictures: dict[str, bytes] = {}
        self._video: dict[str, deque[bytes]] = {}
        self._video_bytes = 0
        self._filled = asyncio.Event()
        self.overflowed = asyncio.Event()
        self.pictures_offered = self.pictures_dropped = 0

    def put_event(self, message: str) -> None:
        if len(self._events) >= self._max_events:
            self.overflowed.set()
            return
        self._events.append(message)
        self._filled.set()

    def put_state(self, stream: str, message: str) -> None:
        self._states[stream] = message
        self._filled.set()

    def put_boxes(self, stream: str, message: str) -> None:
        self._boxes[stream] = message
        self._filled.set()

    def put_picture(self, stream: str, message: bytes) -> None:
        self.pictures_offered += 1
        if self._pictures.pop(stream, None) is not None:
            self.pictures_dropped += 1
        self._pictures[stream] = message
        self._filled.set()

    def put_video(self, stream: str, message: bytes) -> bool:
        """A packet, which is of use only with all before it: False where too many wait, and then none wait any more."""
        self.pictures_offered += 1
        waiting = self._video.setdefault(stream, deque())
        if waiting and self._video_bytes + len(message) > MAX_VIDEO_BYTES:
            self.pictures_dropped += len(waiting) + 1
            self.drop_video(stream)
            return False
        waiting.append(message)
        self._video_bytes += len(message)
        self._filled.set()
        return True

    def drop_video(self, stream: str) -> None:
        """Its packets that wait."""
        self._video_bytes -= sum(map(len, self._video.pop(stream, ())))

    def keep_pictures(self, streams: frozenset[str]) -> None:
        """Drops waiting pictures of all other streams, and their boxes."""
        self._boxes = {name: boxes for name, boxes in self._boxes.items() if name in streams}
        self._pictures = {name: picture for name, picture in self._pictures.items() if name in streams}
        for name in self._video.keys() - streams:
            self.drop_video(name)

    def forget(self, stream: str) -> None:
        """Drops what waits of a stream that is gone, but for its results."""
        for waiting in (self._states, self._boxes, self._pictures):
            waiting.pop(stream, None)
        self.drop_video(stream)

    def take(self) -> str | bytes | None:
        """The next message to send: events first, then states and boxes, then the picture that waits longest."""
        if self._events:
            return self._events.popleft()
        for waiting in (self._states, self._boxes, self._pictures):
            if waiting:
                return waiting.pop(next(iter(waiting)))
        if self._video:
            return self._next_packet()
        self._filled.clear()
        return None

    def _next_packet(self) -> bytes:
        """Of each stream in turn."""
        stream = next(iter(self._video))
        waiting = self._video.pop(stream)
        message = waiting.popleft()
        self._video_bytes -= len(message)
        if waiting:
            self._video[stream] = waiting
        return message

    async def wait(self) -> None:
        """Returns when there is something to take."""
        await self._filled.wait()
