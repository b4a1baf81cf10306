"""Boxes: in 0..1 of the upright source picture everywhere, in pixels only where something is drawn."""

from __future__ import annotations

from typing import NamedTuple


class Box(NamedTuple):
    """Corners ``x1, y1`` (left, top) and ``x2, y2`` (right, bottom), each in [0, 1] of the upright picture."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        """Part of the picture that the box covers, in [0, 1]; 0 for a degenerate box."""
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def centre(self) -> tuple[float, float]:
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2

    def ordered(self) -> Box:
        """The same box with swapped corners put right."""
        return Box(min(self.x1, self.x2), min(self.y1, self.y2), max(self.x1, self.x2), max(self.y1, self.y2))

    def clamped(self) -> Box:
        """The part of the box that lies inside the picture."""
        return Box(*(min(1.0, max(0.0, value)) for value in self))

    def to_pixels(self, width: int, height: int) -> tuple[int, int, int, int]:
        """``x1, y1, x2, y2`` in whole pixels of a picture of that size, rounded to the nearest edge."""
        return round(self.x1 * width), round(self.y1 * height), round(self.x2 * width), round(self.y2 * height)


def iou(a: Box, b: Box) -> float:
    """Intersection over union, in [0, 1]; 0 where neither box has an area."""
    shared = Box(max(a.x1, b.x1), max(a.y1, b.y1), min(a.x2, b.x2), min(a.y2, b.y2)).area
    union = a.area + b.area - shared
    return shared / union if union > 0 else 0.0
