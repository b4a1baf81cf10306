"""Flow measures known motion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamer.geometry import Box, iou
from streamer.motion import Follower, Motion, grey_thumbnail, is_cut
from tests.squares import picture, square


def carried(boxes: list[Box], before: NDArray[np.uint8], after: NDArray[np.uint8]) -> list[Box | None]:
    return Motion().carry(boxes, grey_thumbnail(before), grey_thumbnail(after))


@given(st.floats(-12, 12), st.floats(-12, 12))
@settings(max_examples=30, deadline=None)
def test_flow_measures_a_known_shift_to_a_fifth_of_a_pixel(across: float, down: float) -> None:
    before = picture((150, 130, 1), (330, 130, 2))
    after = picture((150 + across, 130 + down, 1), (330, 130, 2))
    moving, still = carried([square(150, 130), square(330, 130)], before, after)
    assert moving is not None
    assert still is not None
    wrong = np.subtract(moving, square(150 + across, 130 + down)) * (480, 270, 480, 270)
    assert np.abs(wrong).max() < 0.6  # of an edge: place and scale together
    assert abs(wrong[0] + wrong[2]) / 2 < 0.2
    assert abs(wrong[1] + wrong[3]) / 2 < 0.2
    assert np.abs(np.subtract(still, square(330, 130)) * 480).max() < 0.2


def test_flow_measures_growth() -> None:
    [grown] = carried([square(240, 135)], picture((240, 135, 1)), picture((240, 135, 1), scale=1.05))
    assert grown is not None
    assert grown.width * 480 == pytest.approx(63, abs=0.5)


def test_flow_says_what_it_cannot_follow() -> None:
    before = picture((240, 135, 1))
    flat = np.full_like(before, 90)
    assert carried([square(240, 135)], before, flat) == [None]  # gone
    assert carried([square(240, 135)], flat, np.full_like(flat, 120)) == [None]  # nothing to hold on to
    assert carried([square(240, 135)], flat, flat) == [square(240, 135)]  # but where nothing changes it is still there
    assert carried([Box(0.5, 0.5, 0.501, 0.501)], before, 255 - before) == [None]  # too small
    assert carried([], before, before) == []
    assert carried([square(240, 135)], before, before[:200]) == [None]  # another shape


def test_thumbnails_are_small_and_cuts_are_seen() -> None:
    wide = np.zeros((720, 1280, 3), np.uint8)
    assert grey_thumbnail(wide).shape == (270, 480)
    day, night = grey_thumbnail(picture((100, 100, 1))), grey_thumbnail(picture((300, 200, 2), backdrop=20))
    assert is_cut(day, night)
    assert not is_cut(day, grey_thumbnail(picture((110, 100, 1))))


def test_a_follower_goes_behind_another_object_and_ends_at_a_cut() -> None:
    follower = Follower()
    for step in range(50):
        x = 100 + 4 * step
        front = np.full_like(picture(), 90)
        image = picture((x, 135, 1))
        image[:, 200:230] = front[:, 200:230]  # a pillar
        assert follower.step(grey_thumbnail(image)) is False
        if step == 0:
            follower.put({7: square(x, 135)}, {7})
    assert iou(follower.boxes[7], square(100 + 4 * 49, 135)) > 0.8
    assert follower.step(grey_thumbnail(picture(backdrop=20))) is True
    assert follower.boxes == {}


def test_a_follower_lets_go_what_the_tracker_has_given_up() -> None:
    follower = Follower()
    follower.step(grey_thumbnail(picture((100, 135, 1))))
    follower.put({1: square(100, 135), 2: square(100, 135)}, {1, 2})
    follower.put({2: square(100, 135)}, set())
    assert follower.boxes.keys() == {2}
