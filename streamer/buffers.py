"""Where threads meet: a slot that keeps the newest, and a queue that waits."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Closed(Exception):
    """Nothing more comes out of this buffer, or may be put into it."""


class LatestSlot(Generic[T]):
    """Holds one value. A newer one takes its place and the lost one is counted: freshness beats completeness."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[T] = deque(maxlen=1)
        self._closed = False
        self._error: BaseException | None = None
        self.replaced = 0
        """Values that nobody took."""

    def put(self, value: T) -> None:
        """Never waits. Raises `Closed` after `close`."""
        with self._changed:
            if self._closed:
                raise Closed
            self.replaced += len(self._waiting)
            self._waiting.append(value)
            self._changed.notify()

    def get(self, timeout: float | None = None) -> T:
        """The newest value, once, waiting for it at most ``timeout`` seconds.

        Raises `TimeoutError` where none came. After `close`, what still lies here is given; then the error that
        ``close`` was given is raised, or `Closed`.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting or self._closed, timeout):
                raise TimeoutError("no new value")
            if self._waiting:
                return self._waiting.popleft()
            raise self._error or Closed

    def close(self, error: BaseException | None = None) -> None:
        """Ends both sides. The first call decides on the error; further calls do nothing."""
        with self._changed:
            if not self._closed:
                self._closed, self._error = True, error
            self._changed.notify_all()


class BoundedQueue(Generic[T]):
    """At most ``size`` values wait; a faster producer waits too: completeness beats speed.

    One side produces (`put`, then `finish`), the other one consumes (iteration or `get`). Either may `close`.
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError("a queue needs room for at least one value")
        self._size = size
        self._changed = threading.Condition()
        self._values: deque[T] = deque()
        self._finished = self._closed = False
        self._error: BaseException | None = None

    def put(self, value: T, timeout: float | None = None) -> None:
        """Waits for room. Raises `Closed` where nobody takes it any more, `TimeoutError` after ``timeout`` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._closed or len(self._values) < self._size, timeout):
                raise TimeoutError("no room")
            if self._closed or self._finished:
                raise Closed
            self._values.append(value)
            self._changed.notify_all()

    def finish(self, error: BaseException | None = None) -> None:
        """The producer's end, delivered behind its values; ``error`` is raised in the consumer instead of the end."""
        with self._changed:
            if not self._finished:
                self._finished, self._error = True, error
            self._changed.notify_all()

    def get(self, timeout: float | None = None) -> T:
        """The oldest value. Raises `Closed` at the end, the producer's error, or `TimeoutError`."""
        with self._changed:
            ready = self._changed.wait_for(lambda: self._values or self._finished or self._closed, timeout)
            if not ready:
                raise TimeoutError("no value")
            if self._closed or not self._values:
                raise (None if self._closed else self._error) or Closed
            value = self._values.popleft()
            self._changed.notify_all()
            return value

    def close(self) -> None:
        """Drops what waits and lets both sides go, also from another thread."""
        with self._changed:
            self._closed = True
            self._values.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        while True:
            try:
                value = self.get()
            except Closed:
                return
            yield value

    def __len__(self) -> int:
        return len(self._values)


def wait_until(stop: threading.Event, moment: float) -> bool:
    """Waits for ``moment`` (`time.monotonic`) or ``stop``, whichever is first; True where it was stopped."""
    return stop.wait(max(0.0, moment - time.monotonic()))
