"""Which server is asked next, and which ones are left out. No clock and no network in here."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

FAILURES = 3
"""In a row, and a server is left out."""
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 30.0
"""Before a server that was left out is looked at; doubled each time it fails again."""


@dataclass(slots=True)
class _Place:
    """One server as the pool sees it."""

    in_flight: int = 0
    failures: int = 0
    """In a row."""
    ejected: bool = False
    ejections: int = 0
    """In a row, no answer in between."""
    paused_until: float = 0.0
    last_taken: int = 0


class Pool:
    """Hands out places at servers, by their numbers: the one with the fewest requests under way, never more than
    ``at_once`` at each. A server that fails ``failures`` times in a row is left out until `restore`.

    >>> pool = Pool(2, at_once=1)
    >>> pool.take(0.0), pool.take(0.0), pool.take(0.0)
    (0, 1, None)
    """

    def __init__(self, servers: int, at_once: int, *, failures: int = FAILURES) -> None:
        self._places = [_Place() for _ in range(servers)]
        self._at_once, self._failures = at_once, failures
        self._taken = 0

    def take(self, now: float, avoid: Collection[int] = ()) -> int | None:
        """A server with a free place, one not in ``avoid`` if there is any; None where nobody is free now.

        ``now``: seconds, rising. Whoever takes a place gives it back by `release`.
        """
        free = [number for number in range(len(self._places)) if self._is_free(number, now)]
        if not free:
            return None
        number = min(free, key=lambda one: (one in avoid, self._places[one].in_flight, self._places[one].last_taken))
        self._taken += 1
        self._places[number].in_flight += 1
        self._places[number].last_taken = self._taken
        return number

    def _is_free(self, number: int, now: float) -> bool:
        place = self._places[number]
        return not place.ejected and place.paused_until <= now and place.in_flight < self._at_once

    def release(self, number: int) -> None:
        self._places[number].in_flight -= 1

    def succeeded(self, number: int) -> None:
        """It answered. One that is left out stays so: what it answers now was asked before."""
        place = self._places[number]
        if not place.ejected:
            place.failures = place.ejections = 0

    def failed(self, number: int, *, at_once: bool = False) -> bool:
        """Whether it is left out from now on, and was not before. ``at_once``: nothing can be expected of it."""
        place = self._places[number]
        place.failures += 1
        if place.ejected or (place.failures < self._failures and not at_once):
            return False
        place.ejected = True
        place.ejections += 1
        return True

    def pause(self, number: int, until: float) -> None:
        """It asked not to be asked before then."""
        self._places[number].paused_until = max(self._places[number].paused_until, until)

    def restore(self, number: int) -> None:
        """It is well again; the next failure leaves it out at once."""
        place = self._places[number]
        place.ejected, place.failures, place.paused_until = False, self._failures - 1, 0.0

    def wait_seconds(self, number: int) -> float:
        """How long to wait before one that is left out is looked at."""
        return float(min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(self._places[number].ejections - 1, 10)))

    def is_ejected(self, number: int) -> bool:
        return self._places[number].ejected

    def in_flight(self, number: int) -> int:
        return self._places[number].in_flight

    def another(self, number: int, now: float) -> bool:
        """Whether a server beside this one could be asked now or once a place is free."""
        others = (place for other, place in enumerate(self._places) if other != number)
        return any(not place.ejected and place.paused_until <= now for place in others)

    def opens_at(self, now: float) -> float | None:
        """When the next pause ends; None where none is under way."""
        pauses = [place.paused_until for place in self._places if not place.ejected and place.paused_until > now]
        return min(pauses, default=None)
