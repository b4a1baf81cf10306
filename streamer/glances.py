"""The next picture of a live stream, for somebody who needs it at sizes of his own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from streamer.sources.base import Picture

T = TypeVar("T")

MOST = 16
"""That wait for a stream's next picture; one more cancels the oldest."""


class Glances:
    """Of one stream. `see` is called on the decoding thread, `ask` on any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Callable[[Picture, float], Any], Future[Any]]] = deque()

    def ask(self, take: Callable[[Picture, float], T]) -> Future[T]:
        """What ``take(picture, captured_at)`` gives for the next picture; it is called on the decoding thread and has
        to return soon. Whoever waits no longer cancels it."""
        future: Future[T] = Future()
        with self._lock:
            self._waiting.append((take, future))
            if len(self._waiting) > MOST:
                self._waiting.popleft()[1].cancel()
        return future

    def see(self, picture: Picture, captured_at: float) -> None:
        """Every picture; ``captured_at``: ``time.monotonic()`` of its arrival."""
        if not self._waiting:
            return
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
        for take, future in waiting:
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(take(picture, captured_at))
            except Exception as error:  # noqa: BLE001 - the fault of whoever asked must not cost the stream
                future.set_exception(error)
