"""What waits to be sent to one viewer: bounded, and clear about what a slow viewer loses."""

from __future__ import annotations

import asyncio
from collections import deque

MAX_EVENTS = 256


class Outbox:
    """Used on the event loop alone.

    Results, acknowledgements and removals wait in order and none is lost: where more than ``max_events`` wait, the
    viewer is `overflowed` and has to be sent away (it comes back to a snapshot). Of a stream's state and of its
    pictures only the newest waits; what it replaces is dropped, and dropped pictures are counted.
    """

    def __init__(self, max_events: int = MAX_EVENTS) -> None:
        self._max_events = max_events
        self._events: deque[str] = deque()
        self._states: dict[str, str] = {}
        self._pictures: dict[str, bytes] = {}
        self._filled = asyncio.Event()
        self.overflowed = asyncio.Event()
        self.pictures_dropped = 0

    def put_event(self, message: str) -> None:
        if len(self._events) >= self._max_events:
            self.overflowed.set()
            return
        self._events.append(message)
        self._filled.set()

    def put_state(self, stream: str, message: str) -> None:
        self._states[stream] = message
        self._filled.set()

    def put_picture(self, stream: str, message: bytes) -> None:
        if self._pictures.pop(stream, None) is not None:
            self.pictures_dropped += 1
        self._pictures[stream] = message
        self._filled.set()

    def keep_pictures(self, streams: frozenset[str]) -> None:
        """Drops waiting pictures of all other streams."""
        self._pictures = {name: picture for name, picture in self._pictures.items() if name in streams}

    def forget(self, stream: str) -> None:
        """Drops what waits of a stream that is gone, but for its results."""
        self._states.pop(stream, None)
        self._pictures.pop(stream, None)

    def take(self) -> str | bytes | None:
        """The next message to send: events first, then states, then the picture that waits longest."""
        if self._events:
            return self._events.popleft()
        for waiting in (self._states, self._pictures):
            if waiting:
                return waiting.pop(next(iter(waiting)))
        self._filled.clear()
        return None

    async def wait(self) -> None:
        """Returns when there is something to take."""
        await self._filled.wait()
