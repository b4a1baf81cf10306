"""Boxes stay in 0..1 and keep their order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.geometry import Box, iou

numbers = st.floats(-3, 3, allow_nan=False)
inside = st.floats(0, 1, allow_nan=False)


@given(numbers, numbers, numbers, numbers)
def test_ordered_and_clamped_is_a_box_of_the_picture(x1: float, y1: float, x2: float, y2: float) -> None:
    box = Box(x1, y1, x2, y2).ordered().clamped()
    assert 0 <= box.x1 <= box.x2 <= 1
    assert 0 <= box.y1 <= box.y2 <= 1
    assert box.ordered() == box == box.clamped()


boxes = st.builds(Box, inside, inside, inside, inside).map(Box.ordered)


@given(boxes, boxes)
def test_iou_is_symmetric_and_bounded(a: Box, b: Box) -> None:
    assert iou(a, b) == iou(b, a)
    assert 0 <= iou(a, b) <= 1 + 1e-9
    assert iou(a, a) in (0.0, 1.0)


def test_known_values() -> None:
    box = Box(0.25, 0.25, 0.75, 0.5)
    assert (box.width, box.height, box.area, box.centre) == (0.5, 0.25, 0.125, (0.5, 0.375))
    assert iou(Box(0, 0, 0.5, 1), Box(0.25, 0, 0.75, 1)) == pytest.approx(1 / 3)
    assert box.to_pixels(200, 100) == (50, 25, 150, 50)
    assert iou(Box(0, 0, 0, 0), Box(0, 0, 0, 0)) == 0
