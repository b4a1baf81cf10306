"""Zones and lines: what is inside, what crosses, to which side."""

from __future__ import annotations

import itertools
import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import OptionError
from streamer.rules.shapes import MAX_POINTS, Line, Point, Polygon

GRID = 64
"""Points on a grid of 64ths are exact in the reference's 32-bit numbers too."""
on_grid = st.tuples(st.integers(0, GRID), st.integers(0, GRID)).map(lambda p: (p[0] / GRID, p[1] / GRID))


@given(corners=st.lists(on_grid, min_size=3, max_size=12), point=on_grid)
def test_a_zone_holds_what_opencv_says_it_does(corners: list[Point], point: Point) -> None:
    try:
        zone = Polygon(tuple(corners))
    except OptionError:
        assert cv2.contourArea(np.array(corners, np.float32)) == 0
        return
    reference = cv2.pointPolygonTest(np.array(corners, np.float32), point, measureDist=False)
    assert zone.contains(point) == (reference >= 0)


@given(corners=st.lists(on_grid, min_size=3, max_size=12), turn=st.integers(0, 11), point=on_grid)
def test_it_does_not_matter_at_which_corner_a_zone_begins_nor_which_way_round_it_goes(
    corners: list[Point], turn: int, point: Point
) -> None:
    if len({math.atan2(y - corners[0][1], x - corners[0][0]) for x, y in corners if (x, y) != corners[0]}) < 3:
        return
    start = turn % len(corners)
    other = Polygon(tuple(reversed(corners[start:] + corners[:start])))
    assert Polygon(tuple(corners)).contains(point) == other.contains(point)


def test_the_border_of_a_zone_belongs_to_it() -> None:
    picture = Polygon(((0, 0), (1, 0), (1, 1), (0, 1)))
    assert all(picture.contains(point) for point in [(0, 0), (1, 1), (0.3, 1), (1, 0.7), (0.5, 0.5)])
    assert not picture.contains((0.5, 1.001))


@pytest.mark.parametrize(
    "corners",
    [
        ((0.0, 0.0), (1.0, 1.0)),
        ((0.0, 0.0), (0.5, 0.5), (1.0, 1.0)),
        ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0)),
        ((0.0, 0.0), (1.0, 0.0), (0.5, 1.1)),
        ((0.0, 0.0), (1.0, 0.0), (0.5, math.nan)),
        tuple((math.sin(i) / 2 + 0.5, math.cos(i) / 2 + 0.5) for i in range(MAX_POINTS + 1)),
    ],
)
def test_what_is_no_area_of_the_picture_is_refused(corners: tuple[Point, ...]) -> None:
    with pytest.raises(OptionError, match="zone"):
        Polygon(corners)


@pytest.mark.parametrize("ends", [((0.1, 0.1),), ((0.5, 0.5), (0.5, 0.5)), ((0, 0), (2, 0)), ((0, 0), (1, 0), (1, 1))])
def test_what_is_no_line_of_the_picture_is_refused(ends: tuple[Point, ...]) -> None:
    with pytest.raises(OptionError, match="line"):
        Line(ends)


def test_left_of_a_line_drawn_to_the_right_is_up() -> None:
    line = Line(((0.2, 0.5), (0.8, 0.5)))
    assert line.crossing((0.5, 0.6), (0.5, 0.4)) == "left"
    assert line.crossing((0.5, 0.4), (0.5, 0.6)) == "right"
    assert Line(((0.8, 0.5), (0.2, 0.5))).crossing((0.5, 0.6), (0.5, 0.4)) == "right"


def test_left_of_a_line_drawn_downwards_is_right_in_the_picture() -> None:
    assert Line(((0.5, 0.0), (0.5, 1.0))).crossing((0.4, 0.5), (0.6, 0.5)) == "left"


def test_what_passes_beside_a_line_or_along_it_does_not_cross() -> None:
    line = Line(((0.2, 0.5), (0.8, 0.5)))
    assert line.crossing((0.1, 0.6), (0.1, 0.4)) is None
    assert line.crossing((0.9, 0.4), (0.9, 0.6)) is None
    assert line.crossing((0.3, 0.5), (0.7, 0.5)) is None
    assert line.crossing((0.5, 0.7), (0.5, 0.6)) is None


def test_a_stop_on_the_line_makes_one_crossing() -> None:
    line = Line(((0.2, 0.5), (0.8, 0.5)))
    way = [(0.5, 0.4), (0.5, 0.5), (0.5, 0.5), (0.5, 0.6)]
    assert [line.crossing(a, b) for a, b in itertools.pairwise(way)] == ["right", None, None]
    back = way[::-1]
    assert [line.crossing(a, b) for a, b in itertools.pairwise(back)] == [None, None, "left"]


@given(a=on_grid, b=on_grid, before=on_grid, after=on_grid)
def test_the_way_back_crosses_to_the_other_side(a: Point, b: Point, before: Point, after: Point) -> None:
    if a == b:
        return
    opposite = {None: None, "left": "right", "right": "left"}
    line = Line((a, b))
    assert line.crossing(after, before) == opposite[line.crossing(before, after)]


@given(way=st.lists(on_grid, min_size=2, max_size=20))
def test_sides_alternate_along_any_way_over_a_line_through_the_whole_picture(way: list[Point]) -> None:
    line = Line(((0.0, 0.3), (1.0, 0.7)))
    sides = [side for a, b in itertools.pairwise(way) if (side := line.crossing(a, b))]
    assert all(one != other for one, other in itertools.pairwise(sides))


def test_only_the_direction_asked_for_counts() -> None:
    ends = ((0.2, 0.5), (0.8, 0.5))
    assert [Line(ends, "left").counts(side) for side in ("left", "right", None)] == [True, False, False]
    assert [Line(ends, "any").counts(side) for side in ("left", "right", None)] == [True, True, False]


def test_the_distance_is_that_of_the_nearest_point() -> None:
    line = Line(((0.2, 0.5), (0.8, 0.5)))
    assert line.distance((0.5, 0.6)) == pytest.approx(0.1)
    assert line.distance((0.1, 0.5)) == pytest.approx(0.1)
