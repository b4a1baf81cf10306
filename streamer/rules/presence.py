"""Which objects are there, since when, and which came or left: by their track ids. Bounded however many pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from streamer.rules.shapes import Point

GONE_SECONDS = 3.0
"""For how long an object may not be seen and still be there."""
GONE_RESULTS = 2
"""In how many results in a row, besides, it must be missed before it is gone."""
MAX_STAYS = 1000
"""Objects that are kept in mind; of more, those not seen for longest are forgotten."""


@dataclass(slots=True)
class Stay:
    """One object that is there."""

    since: float
    """Seconds, when it came."""
    seen: float
    """Seconds, when it was seen last."""
    point: Point
    """Where it was seen last."""
    before: Point | None = None
    """Where it was seen the time before."""
    hits: int = 0
    """Results in a row that it was seen in."""
    misses: int = 0
    """Results in a row that it was missed in."""
    proven: bool = False
    """It was seen in as many results in a row as are asked for."""
    told: bool = False
    """It is known to be there: it has appeared, or it was there when we began to look."""
    armed: bool = True
    """Its next crossing of a line counts."""


class Presence:
    """Keeps one `Stay` a track id. What is there in the first result is there already and does not appear."""

    def __init__(self, confirm: int) -> None:
        """``confirm``: in how many results in a row an object must be seen to appear, and missed to leave."""
        self._confirm = confirm
        self._stays: dict[int, Stay] = {}
        self._begun = False

    def __len__(self) -> int:
        return len(self._stays)

    def forget(self) -> None:
        """Begins anew, as with a first result."""
        self._stays.clear()
        self._begun = False

    def see(self, points: Mapping[int, Point], seconds: float) -> tuple[dict[int, Stay], tuple[int, ...]]:
        """Takes note of who is where in a result. Returns the stay of each of them, and the ids that have left."""
        for number, point in points.items():
            self._meet(number, point, seconds)
        self._begun = True
        left = self._part(points, seconds)
        here = {number: self._stays[number] for number in points}
        self._shrink()
        return here, left

    def _meet(self, number: int, point: Point, seconds: float) -> None:
        if (stay := self._stays.pop(number, None)) is None:
            stay = Stay(seconds, seconds, point, told=not self._begun)
        else:
            stay.before, stay.point, stay.seen = stay.point, point, seconds
        stay.hits, stay.misses = stay.hits + 1, 0
        stay.proven = stay.proven or stay.hits >= self._confirm
        self._stays[number] = stay  # behind the others: those in front are longest unseen

    def _part(self, points: Mapping[int, Point], seconds: float) -> tuple[int, ...]:
        gone = []
        for number, stay in self._stays.items():
            if number not in points:
                stay.hits, stay.misses = 0, stay.misses + 1
                if stay.misses >= max(GONE_RESULTS, self._confirm) and seconds - stay.seen >= GONE_SECONDS:
                    gone.append(number)
        proven = tuple(number for number in gone if self._stays[number].proven)
        for number in gone:
            del self._stays[number]
        return proven

    def _shrink(self) -> None:
        while len(self._stays) > MAX_STAYS:
            del self._stays[next(iter(self._stays))]
