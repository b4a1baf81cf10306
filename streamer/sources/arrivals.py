"""When the pictures of a camera came. Values in, values out."""

from __future__ import annotations

from collections import deque

_KEPT = 17
"""Packets that are remembered: a picture, and as many before it as a codec may hold back."""
_STEP_SECONDS = 1e-4


class Arrivals:
    """The packets' arrivals, and from them the pictures'.

    A picture had been taken when the first packet came whose pts are not below its own: a camera that sends later
    pictures before it (B-pictures) had taken all of them by then. So times rise with the pictures, and neither decoding
    nor what a decoder holds back makes a picture younger than it is.
    """

    def __init__(self) -> None:
        self._arrived: deque[tuple[int, float]] = deque(maxlen=_KEPT)
        self.newest = self._last = float("-inf")
        """When the newest packet came."""

    def add(self, pts: int | None, now: float) -> None:
        """A packet has come; ``now``: ``time.monotonic()``."""
        self.newest = now
        if pts is not None:
            self._arrived.append((pts, now))

    def of(self, pts: int | None) -> float:
        """Of the picture that the decoder gives now, in the order in which pictures are shown."""
        later = [] if pts is None else [at for known, at in self._arrived if known >= pts]
        self._last = max(min(later, default=self.newest), self._last + _STEP_SECONDS)
        return self._last
