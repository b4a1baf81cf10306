"""Tracks keep to their objects between sparse samples."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.errors import OptionError
from streamer.geometry import Box
from streamer.results import Detection
from streamer.tracking import Tracker, TrackerOptions, assign
from tests.squares import at, ids


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
