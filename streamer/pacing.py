"""How often: what is due at a wanted rate, and what rate came of it. No clock in here; the caller brings the time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import pairwise

_SLACK = 0.1
"""Part of an interval by which something may come early, so that a camera's jitter does not halve the rate."""


class Pace:
    """Says which moments are due so that they come at most ``per_second`` times a second on average."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1.0 / per_second
        self._next: float | None = None

    def set_rate(self, per_second: float) -> None:
        """Takes effect at once: a higher rate does not wait for the end of the old interval."""
        interval = 1.0 / per_second
        if self._next is not None:
            self._next += min(0.0, interval - self._interval)
        self._interval = interval

    def due(self, now: float) -> bool:
        """Whether the moment ``now`` (seconds, rising) is due; if so, it counts as used."""
        if self._next is None:
            self._next = now + self._interval
            return True
        if now < self._next - _SLACK * self._interval:
            return False
        ahead = self._next + self._interval
        self._next = ahead if ahead > now else now + self._interval
        return True


class Rate:
    """Events a second over the last ``window_seconds``; falls towards 0 when they stop."""

    def __init__(self, window_seconds: float = 5.0, *, at_most: int = 256) -> None:
        self._window = window_seconds
        self._times: deque[float] = deque(maxlen=at_most)

    def add(self, now: float) -> None:
        self._times.append(now)

    def per_second(self, now: float) -> float:
        """0 until two events have come."""
        times = self._times
        while len(times) > 2 and now - times[1] > self._window:
            times.popleft()
        if len(times) < 2:
            return 0.0
        return (len(times) - 1) / max(now - times[0], 1e-6)


def usual_gap(times: Iterable[float]) -> float:
    """The median of the gaps between successive times; 0 where there are fewer than two.

    >>> usual_gap([0, 1, 2, 60, 61])
    1
    """
    gaps = sorted(later - earlier for earlier, later in pairwise(times))
    return gaps[len(gaps) // 2] if gaps else 0.0
