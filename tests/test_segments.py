"""Which frames say the same."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streamer.geometry import Box
from streamer.results import Detection, FrameResult
from streamer.segments import Stretch, likeness, stretches, words

SAID = ("a red car on the road", "a dog in the park", "two people talk", "", "a red car on a wet road")


def results(captions: Sequence[str | None], seconds: float = 2.0) -> list[FrameResult]:
    return [
        FrameResult(
            "clip", number, number * seconds, (64, 64), caption=text, error=None if text is not None else "no memory"
        )
        for number, text in enumerate(captions)
    ]


def test_frames_that_say_the_same_are_one() -> None:
    said = results(["A red car on the road."] * 4 + ["A red car on the wet road."] * 2 + ["Two dogs play."] * 5)
    assert stretches(said) == [Stretch(0, 5), Stretch(6, 10)]


def test_a_short_one_goes_to_the_neighbour_it_is_like() -> None:
    captions = ["A red car waits"] * 5 + ["A red bus turns round"] + ["Two dogs play in the park"] * 5
    assert stretches(results(captions)) == [Stretch(0, 5), Stretch(6, 10)]
    captions[5] = "Dogs arrive, the park is shown"
    assert stretches(results(captions)) == [Stretch(0, 4), Stretch(5, 10)]
    assert len(stretches(results(captions), least_seconds=0)) == 3


def test_an_error_ends_nothing() -> None:
    assert stretches(results(["a car", None, "a car", None])) == [Stretch(0, 3)]
    assert stretches(results([None, None])) == [Stretch(0, 1)]
    assert stretches([]) == []


def test_labels_count_as_words() -> None:
    box = Box(0, 0, 1, 1)
    car = FrameResult("clip", 0, 0, (8, 8), detections=(Detection("car", box),), answers={"detect": "[…]"})
    assert words(car) == {"label:car"}
    assert likeness(words(car), frozenset()) == 0
    assert likeness(frozenset(), frozenset()) == 1


def test_the_pictures_are_spread_over_it() -> None:
    assert Stretch(3, 3).places() == [3]
    assert Stretch(0, 2).places() == [0, 1, 2]
    assert Stretch(10, 20).places(3) == [10, 15, 20]


@given(st.lists(st.sampled_from([*SAID, None]), max_size=40), st.floats(0, 30), st.floats(0.01, 10))
def test_they_cover_all_without_gaps(captions: list[str | None], least: float, seconds: float) -> None:
    found = stretches(results(captions, seconds), least_seconds=least)
    assert [place for one in found for place in range(one.first, one.last + 1)] == list(range(len(captions)))
    if len(found) > 1:
        assert all((after.first - before.first) * seconds >= least - 1e-6 for before, after in pairwise(found))
