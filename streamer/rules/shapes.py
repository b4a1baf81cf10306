"""Zones and lines in the picture, in 0..1 of the upright source picture, x to the right and y down."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from streamer.errors import OptionError

Point = tuple[float, float]
Direction = Literal["any", "left", "right"]
DIRECTIONS: tuple[Direction, ...] = ("any", "left", "right")
Side = Literal["left", "right"]

MAX_POINTS = 64
_EDGE = 1e-9
"""A point this near to an edge, of the picture, is on it."""


@dataclass(frozen=True, slots=True)
class Polygon:
    """An area of the picture; its border belongs to it. Where it overlaps itself, the even-odd rule decides."""

    points: tuple[Point, ...]
    """Its 3 to 64 corners in order, each ``(x, y)`` in 0..1."""

    def __post_init__(self) -> None:
        if not 3 <= len(self.points) <= MAX_POINTS:
            raise OptionError("zone", f"{len(self.points)} points", f"3 to {MAX_POINTS} points")
        _check_points("zone", self.points)
        first = self.points[0]
        if not any(abs(_turn(first, b, c)) > _EDGE for b, c in combinations(self.points[1:], 2)):
            raise OptionError("zone", self.points, "points that are not all on one line")

    def contains(self, point: Point) -> bool:
        x, y = point
        inside = False
        for (ax, ay), (bx, by) in zip(self.points, (*self.points[1:], self.points[0]), strict=True):
            if _on_segment(point, (ax, ay), (bx, by)):
                return True
            if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
                inside = not inside
        return inside


@dataclass(frozen=True, slots=True)
class Line:
    """A line in the picture that things cross."""

    points: tuple[Point, ...]
    """Its beginning and its end, each ``(x, y)`` in 0..1."""
    direction: Direction = "any"
    """To which side a thing must go, as seen walking from the first point to the second: ``left`` of a line that is
    drawn from left to right is up."""

    def __post_init__(self) -> None:
        if len(self.points) != 2 or math.dist(*self.points) <= _EDGE:
            raise OptionError("line", self.points, "two different points")
        _check_points("line", self.points)
        if self.direction not in DIRECTIONS:
            raise OptionError("line.direction", self.direction, "one of " + ", ".join(DIRECTIONS))

    def crossing(self, before: Point, after: Point) -> Side | None:
        """To which side the straight way from ``before`` to ``after`` crosses the line; None where it does not.

        A point on the line counts to its right, so that stopping on it makes no second crossing.
        """
        was_right, is_right = self._right(before), self._right(after)
        if was_right == is_right:
            return None
        start, end = (_turn(before, after, point) for point in self.points)
        if (start > 0 and end > 0) or (start < 0 and end < 0):
            return None
        return "right" if is_right else "left"

    def counts(self, side: Side | None) -> bool:
        """Whether a crossing to that side is one of those asked for."""
        return side is not None and self.direction in ("any", side)

    def distance(self, point: Point) -> float:
        """From the nearest point of the line, in 0..1 of the picture."""
        (ax, ay), (bx, by) = self.points
        along = ((point[0] - ax) * (bx - ax) + (point[1] - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2)
        along = min(1.0, max(0.0, along))
        return math.dist(point, (ax + along * (bx - ax), ay + along * (by - ay)))

    def _right(self, point: Point) -> bool:
        return _turn(self.points[0], self.points[1], point) >= 0


def _check_points(option: str, points: tuple[Point, ...]) -> None:
    for place, point in enumerate(points):
        if not all(0 <= value <= 1 for value in point):
            raise OptionError(f"{option}[{place}]", list(point), "a point [x, y] with both in 0..1 of the picture")


def _turn(a: Point, b: Point, c: Point) -> float:
    """Above 0 where ``c`` is to the right of the way from ``a`` to ``b`` (y is down), below 0 to the left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _on_segment(point: Point, a: Point, b: Point) -> bool:
    if abs(_turn(a, b, point)) > _EDGE:
        return False
    return all(min(a[i], b[i]) - _EDGE <= point[i] <= max(a[i], b[i]) + _EDGE for i in (0, 1))
