"""How many frames of a file are answered together: many, as long as nobody waits long for the next row."""

from __future__ import annotations

FIRST = 4
QUICK_SECONDS, SLOW_SECONDS = 1.0, 4.0
"""A batch that is done sooner may grow; one that takes longer shrinks."""


class BatchSize:
    """Begins with a few, doubles up to ``most`` while batches are done quickly, halves where they take long.

    >>> size = BatchSize(16)
    >>> size.observe(4, 0.2)
    >>> size.current
    8
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.current = min(FIRST, most)

    def observe(self, frames: int, seconds: float) -> None:
        """``frames`` were answered together in so many seconds."""
        if seconds > SLOW_SECONDS:
            self.current = max(1, min(self.current, frames) // 2)
        elif seconds < QUICK_SECONDS and frames >= self.current:
            self.current = min(self._most, 2 * self.current)
