"""What others ask of streams, carried out on a thread of its own: of each stream the newest order counts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

MOST = 1000
"""Streams with an order that waits; of more, whoever asks is not heard."""
CLOSE_SECONDS = 2.0


class Orders:
    """Carries out orders in the order in which their streams came. Owns its thread, which ends with `close`."""

    def __init__(self, carry_out: Callable[[str, str], None]) -> None:
        """``carry_out(stream, order)`` is called on the thread; what it raises is logged."""
        self._carry_out = carry_out
        self._waiting: dict[str, str] = {}
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="orders", daemon=True)
        self._thread.start()

    def put(self, stream: str, order: str) -> None:
        """In the place of an order of the stream that waits. Returns at once; after `close` it is dropped."""
        with self._changed:
            if self._closing or (stream not in self._waiting and len(self._waiting) >= MOST):
                return
            self._waiting[stream] = order
            self._changed.notify()

    def close(self) -> None:
        """Orders that wait are dropped; calling it again does nothing."""
        with self._changed:
            self._closing = True
            self._waiting.clear()
            self._changed.notify()
        self._thread.join(CLOSE_SECONDS)

    def _work(self) -> None:
        while (taken := self._next()) is not None:
            try:
                self._carry_out(*taken)
            except Exception:  # one order's fault must not end the others
                log.exception("an order for %s could not be carried out", taken[0])

    def _next(self) -> tuple[str, str] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            if self._closing:
                return None
            stream = next(iter(self._waiting))
            return stream, self._waiting.pop(stream)
