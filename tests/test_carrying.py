"""Carried boxes lie on known ways."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from streamer.carrying import Carrier, Way
from streamer.geometry import iou
from streamer.results import Detection, FrameResult
from tests.squares import SIZE, picture, square

RATE = 25


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
