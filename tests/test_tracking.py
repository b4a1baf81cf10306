"""Tracks keep to their objects between sparse samples; flow measures known motion; carried boxes lie on known ways."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamer.carrying import Carrier, Way
from streamer.errors import OptionError
from streamer.geometry import Box, iou
from streamer.motion import Follower, Motion, grey_thumbnail, is_cut
from streamer.results import Detection, FrameResult
from streamer.tracking import Tracker, TrackerOptions, assign

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
SIZE = (480, 270)
RATE = 25


def at(x: float, y: float = 0.5, label: str = "car", side: float = 0.1) -> Detection:
    return Detection(label, Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2))


def ids(detections: tuple[Detection, ...]) -> list[int | None]:
    return [detection.track_id for detection in detections]


# --- the tracker ------------------------------------------------------------------------------------------------


def test_ids_begin_at_one_and_stay_with_what_stands() -> None:
    tracker = Tracker()
    assert [ids(tracker.update([at(0.2), at(0.8)], second)) for second in range(3)] == [[1, 2]] * 3
    assert ids(tracker.update([at(0.8), at(0.2)], 3)) == [2, 1]


def test_two_equal_objects_cross() -> None:
    tracker = Tracker()
    seen = [ids(tracker.update([at(0.1 + 0.1 * step), at(0.9 - 0.1 * step, 0.52)], step / 2)) for step in range(9)]
    assert seen == [[1, 2]] * 9


def test_what_leaves_does_not_become_what_enters() -> None:
    tracker = Tracker()
    for second, x in enumerate((0.55, 0.75, 0.94)):
        assert ids(tracker.update([at(x)], second)) == [1]
    assert ids(tracker.update([at(0.94)], 4)) == [2]  # by then the first one is far outside
    assert ids(tracker.update([at(0.06), at(0.74)], 5)) == [3, 2]


def test_a_flickering_label_changes_neither_the_id_nor_the_vote() -> None:
    labels = ["car", "car", "truck", "car", "bus", "car"]
    plain, voted = Tracker(), Tracker(TrackerOptions(voted_labels=True))
    for second, label in enumerate(labels):
        [own] = plain.update([at(0.3 + 0.01 * second, label=label)], second)
        [common] = voted.update([at(0.3 + 0.01 * second, label=label)], second)
        assert (own.track_id, own.label, common.track_id, common.label) == (1, label, 1, "car")
    assert plain.labels == {1: "car"}


def test_another_label_far_away_is_another_object() -> None:
    tracker = Tracker()
    tracker.update([at(0.3)], 0)
    assert ids(tracker.update([at(0.5, label="dog")], 1)) == [2]


def test_another_size_is_another_object() -> None:
    tracker = Tracker()
    tracker.update([at(0.5, side=0.1)], 0)
    assert ids(tracker.update([at(0.5, side=0.4)], 1)) == [2]


def test_a_track_outlives_missed_samples_for_as_long_as_it_may() -> None:
    tracker = Tracker(TrackerOptions(patience_seconds=2))
    tracker.update([at(0.2)], 0)
    tracker.update([at(0.25)], 1)
    assert tracker.update([], 2) == ()
    assert ids(tracker.update([at(0.35)], 3)) == [1]
    assert tracker.update([], 5.0) == ()
    assert tracker.boxes.keys() == {1}
    assert ids(tracker.update([at(0.5)], 5.1)) == [2]


def test_one_that_moves_farther_than_its_width_keeps_its_id() -> None:
    tracker = Tracker()
    assert [ids(tracker.update([at(x, side=0.06)], s)) for s, x in enumerate((0.1, 0.4, 0.7))] == [[1], [1], [1]]


def test_flow_tells_far_movers_apart_where_position_would_mistake_them() -> None:
    before, after = [at(0.2), at(0.4)], [at(0.4), at(0.6)]
    guessing = Tracker()
    guessing.update(before, 0)
    assert ids(guessing.update(after, 1)) == [2, 1]  # nothing says that the one in the middle has moved
    told = Tracker()
    told.update(before, 0)
    assert ids(told.update(after, 1, {1: at(0.39).box, 2: at(0.61).box})) == [1, 2]


def test_flow_that_stuck_to_the_background_or_was_lost_is_made_up_for() -> None:
    for moved in ({1: at(0.3).box}, {1: None}, {}):
        tracker = Tracker()
        tracker.update([at(0.1)], 0)
        tracker.update([at(0.3)], 1)
        assert ids(tracker.update([at(0.5)], 2, moved)) == [1]


def test_ids_are_not_reused_after_a_new_scene_or_a_jump_back() -> None:
    tracker = Tracker()
    tracker.update([at(0.5)], 5)
    tracker.restart()
    assert ids(tracker.update([at(0.5)], 5)) == [2]
    assert ids(tracker.update([at(0.5)], 1)) == [3]


def test_many_equal_objects() -> None:
    tracker = Tracker()
    rows = [(0.05 + 0.09 * column, 0.1 + 0.15 * row) for row in range(6) for column in range(10)]
    for step in range(4):
        drifted = [at(x + 0.01 * step, y, side=0.05) for x, y in rows]
        assert ids(tracker.update(drifted, step / 5)) == list(range(1, 61))


def test_smoothing_takes_the_tremble_out_of_boxes_but_follows_their_way() -> None:
    tracker = Tracker(TrackerOptions(smoothing=0.7))
    raw, smooth = [], []
    for step in range(30):
        trembling = at(0.2 + 0.02 * step + 0.01 * (-1) ** step)
        [shown] = tracker.update([trembling], step / 5)
        raw.append(abs(trembling.box.centre[0] - 0.2 - 0.02 * step))
        smooth.append(abs(shown.box.centre[0] - 0.2 - 0.02 * step))
    assert max(smooth[15:]) < 0.8 * max(raw[15:])


@pytest.mark.parametrize("options", [{"smoothing": 1.0}, {"smoothing": -0.1}, {"patience_seconds": -1.0}])
def test_impossible_options(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        TrackerOptions(**options)


UNIT = st.floats(0, 1)
DETECTIONS = st.lists(
    st.builds(
        lambda label, a, b, c, d: Detection(label, Box(a, b, c, d).ordered(), attributes={"a": a}),
        st.sampled_from(["car", "dog"]), UNIT, UNIT, UNIT, UNIT,
    ),
    max_size=6,
)  # fmt: skip
SAMPLES = st.lists(st.tuples(st.floats(0, 2), DETECTIONS), max_size=6)


@given(SAMPLES)
@settings(max_examples=100, deadline=None)
def test_output_is_the_input_with_ids_of_its_own_each_time_the_same(samples: list[tuple[float, Any]]) -> None:
    first, again, highest, second = Tracker(), Tracker(), 0, 0.0
    for gap, detections in samples:
        second += gap
        found = first.update(detections, second)
        assert found == again.update(detections, second)
        assert [(f.label, f.box, f.attributes) for f in found] == [(d.label, d.box, d.attributes) for d in detections]
        numbers = [detection.track_id or 0 for detection in found]
        assert len(set(numbers)) == len(numbers)
        fresh = [number for number in numbers if number > highest]
        assert fresh == list(range(highest + 1, highest + 1 + len(fresh)))
        highest += len(fresh)


@given(st.integers(0, 5), st.integers(0, 5), st.data())
@settings(max_examples=150, deadline=None)
def test_the_assignment_is_the_best_of_all(rows: int, columns: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(0, 9), min_size=rows * columns, max_size=rows * columns))
    gains = np.array(values, float).reshape(rows, columns)
    pairs = assign(gains)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(gains[pair] > 0 for pair in pairs)
    wide = gains if rows <= columns else gains.T
    ways = itertools.permutations(range(wide.shape[1]), wide.shape[0])
    best = max(sum(wide[row, column] for row, column in enumerate(way)) for way in ways)
    assert sum(gains[pair] for pair in pairs) == best


# --- flow -------------------------------------------------------------------------------------------------------


def texture(seed: int, side: int) -> NDArray[np.float32]:
    """A square of coarse grains."""
    grains = np.random.default_rng(seed).uniform(0, 255, (side // 4 + 1, side // 4 + 1))
    return np.kron(grains, np.ones((4, 4)))[:side, :side].astype(np.float32)


def picture(*squares: tuple[float, float, int], scale: float = 1.0, backdrop: int = 90) -> NDArray[np.uint8]:
    """``(270, 480, 3)``: squares of 60 pixels whose centres are at x, y, between pixels too, and their looks."""
    import cv2

    canvas = np.full((SIZE[1], SIZE[0]), backdrop, np.float32)
    canvas += np.kron(np.random.default_rng(99).normal(0, 12, (27, 48)), np.ones((10, 10))).astype(np.float32)
    for x, y, look in squares:
        patch = texture(look, 60)
        matrix = np.array([[scale, 0, x - 29.5 * scale - 0.5], [0, scale, y - 29.5 * scale - 0.5]])
        drawn = cv2.warpAffine(patch, matrix, SIZE)
        mask = cv2.warpAffine(np.ones_like(patch), matrix, SIZE)
        canvas = canvas * (1 - mask) + drawn
    return np.repeat(np.clip(canvas, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def square(x: float, y: float, side: float = 60) -> Box:
    return Box((x - side / 2) / 480, (y - side / 2) / 270, (x + side / 2) / 480, (y + side / 2) / 270)


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


# --- carried boxes ----------------------------------------------------------------------------------------------


def way_of(second: float) -> tuple[float, float]:
    """A curve, in pixels."""
    return 120 + 100 * second, 135 + 40 * math.sin(3 * second)


def result(second: float, *detections: Detection, error: str | None = None) -> FrameResult:
    return FrameResult("made", round(second), second, SIZE, detections=detections, error=error)


def seen(second: float, number: int | None = 1) -> FrameResult:
    return result(second, Detection("square", square(*way_of(second)), number, {"colour": "red"}))


def overlaps(carrier: Carrier, seconds: float, start: float = 0.0) -> list[float]:
    """Of what is drawn with the square, picture by picture; 0 where nothing is."""
    found = []
    for number in range(round(start * RATE), round(seconds * RATE)):
        drawn = carrier.at(number / RATE, picture((*way_of(number / RATE), 1)))
        found.append(iou(drawn[0].box, square(*way_of(number / RATE))) if drawn else 0.0)
    return found


def held_back(
    carrier: Carrier, seconds: float, against: Callable[[float], tuple[float, float]] = way_of
) -> list[float]:
    """As `overlaps`, with pictures held back."""
    times = [number / RATE for number in range(round(seconds * RATE))]
    found = carrier.through((second, picture((*way_of(second), 1))) for second in times)
    return [iou(drawn[0].box, square(*against(second))) for second, _, drawn in found]


def test_between_two_samples_a_box_keeps_to_a_curve() -> None:
    means = {}
    ways: tuple[Way, ...] = ("hold", "linear", "flow", "both")
    for way in ways:
        means[way] = float(np.mean(overlaps(Carrier([seen(0), seen(1), seen(2)], way=way), 2)))
    assert means["hold"] < means["linear"] < means["both"] < means["flow"]
    assert means["flow"] > 0.85
    assert min(held_back(Carrier([seen(0), seen(1), seen(2)]), 2.04)) > 0.9


def test_held_back_pictures_come_all_in_order_and_early_where_nothing_is_to_come() -> None:
    taken: list[float] = []

    def pictures() -> Iterator[tuple[float, NDArray[np.uint8]]]:
        for number in range(100):
            taken.append(number / RATE)
            yield number / RATE, picture((*way_of(number / RATE), 1))

    given = []
    for second, image, _ in Carrier([seen(0.4), seen(0.8), seen(3.2)]).through(pictures()):
        assert np.array_equal(image, picture((*way_of(second), 1)))
        given.append(second)
        assert len(taken) - len(given) <= 32
        if second < 0.4 or second > 3.2:
            assert len(taken) == len(given)
    assert given == taken == [number / RATE for number in range(100)]


def test_what_flow_went_astray_is_taken_off_on_the_way() -> None:
    wrong = result(0.8, Detection("square", square(200 + 20, 135 + 40 * math.sin(2.4)), 1))
    found = held_back(Carrier([seen(0), wrong]), 0.84, against=lambda second: (120 + 125 * second, way_of(second)[1]))
    assert min(found) > 0.9


def test_a_sampled_picture_shows_its_own_detections_and_others_are_marked() -> None:
    first, last = seen(0), seen(0.4)
    carrier = Carrier([last, first])  # in any order
    for number in range(11):
        second = number / RATE
        drawn = carrier.at(second, picture((*way_of(second), 1)))
        if number in (0, 10):
            assert drawn == (first if number == 0 else last).detections
        else:
            assert drawn[0].attributes == {"colour": "red", "carried": True}
            assert (drawn[0].label, drawn[0].track_id) == ("square", 1)


def test_a_track_that_ends_is_carried_for_one_interval() -> None:
    carrier = Carrier([seen(0), seen(0.4), result(0.8)])
    found = overlaps(carrier, 1.2)
    assert min(found[:20]) > 0.8
    assert found[20:] == [0.0] * 10


def test_the_newest_sample_stands_as_long_as_it_is_told_to() -> None:
    assert [value > 0.8 for value in overlaps(Carrier([seen(0), seen(0.4)]), 1.2)] == [True] * 21 + [False] * 9
    assert min(overlaps(Carrier([seen(0), seen(0.4)], longest_seconds=1), 1.2)) > 0.8


def test_a_missed_sample_and_a_failed_one_do_not_interrupt_a_track() -> None:
    carrier = Carrier([seen(0), result(0.4), seen(0.8), result(1.2, error="no answer"), seen(1.6)])
    assert min(overlaps(carrier, 1.64)) > 0.5
    carrier = Carrier([seen(0), result(0.4), seen(0.8), result(1.2, error="no answer"), seen(1.6)])
    assert min(held_back(carrier, 1.64)) > 0.9


def test_what_has_no_id_is_carried_until_the_next_sample() -> None:
    carrier = Carrier([seen(0, None), result(0.6)])
    found = overlaps(carrier, 0.8)
    assert min(found[:15]) > 0.8
    assert found[15:] == [0.0] * 5


def test_nothing_is_drawn_before_the_first_sample_nor_without_any() -> None:
    assert overlaps(Carrier([seen(0.4)]), 0.4) == [0.0] * 10
    assert overlaps(Carrier(), 0.2) == [0.0] * 5


def test_live_a_late_result_is_carried_up_to_the_picture_of_now() -> None:
    carrier = Carrier(way="flow", longest_seconds=2)
    assert overlaps(carrier, 0.6) == [0.0] * 15
    carrier.add(seen(0.2))
    late = overlaps(carrier, 1.2, start=0.6)
    assert min(late) > 0.75
    carrier.add(seen(1.0))
    assert min(overlaps(carrier, 1.4, start=1.2)) > 0.85


def test_a_new_scene_drops_the_boxes_of_the_old_one() -> None:
    carrier = Carrier([seen(0), seen(0.4)])
    for number in range(6):
        drawn = carrier.at(number / RATE, picture((*way_of(number / RATE), 1)))
        assert len(drawn) == 1
    assert carrier.at(6 / RATE, picture(backdrop=20)) == ()
    assert carrier.at(7 / RATE, picture(backdrop=20)) == ()
    assert len(carrier.at(0.4, picture(backdrop=20))) == 1


# --- the benchmark ----------------------------------------------------------------------------------------------


def test_the_benchmarks_measures_on_a_case_done_by_hand() -> None:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        # Found by the path above, which mypy does not know when it looks at this file alone.
        from tracking import idf1, switches  # type: ignore[import-not-found,unused-ignore]
    finally:
        sys.path.remove(str(BENCHMARKS))

    def frame(*objects: tuple[float, int]) -> tuple[Detection, ...]:
        return tuple(Detection("car", at(x).box, number) for x, number in objects)

    truth = [frame((0.2, 1), (0.8, 2))] * 5
    found = [frame((0.2, 7), (0.8, 8))] * 3 + [frame((0.2, 8))] + [frame((0.2, 7), (0.5, 9))]
    # 1 with 7: four pictures; 2 with 8: three. 10 objects, 9 boxes: 2 * 7 / 19. Object 1 goes 7, 8, 7.
    assert idf1(truth, found) == pytest.approx(14 / 19)
    assert switches(truth, found) == 2
    assert idf1(truth, truth) == 1.0
    assert switches(truth, truth) == 0


@pytest.mark.skipif(
    not Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf").exists(), reason="needs fonts-noto-color-emoji"
)
@pytest.mark.slow
def test_the_benchmark_runs_and_tracking_beats_the_plain_matcher() -> None:
    command = [sys.executable, str(BENCHMARKS / "tracking.py"), "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    of = {(row["measure"], row["clips"], row["boxes"], row["way"]): row for row in rows}
    assert of["IDF1", "crowd", "exact", "flow"]["2/s"] > of["IDF1", "crowd", "exact", "plain IoU"]["2/s"]
    assert of["drawn IoU", "crowd", "exact", "both"]["1/s"] > of["drawn IoU", "crowd", "exact", "hold"]["1/s"]
