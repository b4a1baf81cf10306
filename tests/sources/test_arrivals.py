"""When pictures came, out of when packets came and in which order the decoder gives pictures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamer.sources.arrivals import Arrivals


def test_a_picture_is_as_old_as_its_packet_however_late_it_is_decoded() -> None:
    arrivals = Arrivals()
    arrivals.add(0, 10.0)
    arrivals.add(3000, 10.1)
    assert (arrivals.of(0), arrivals.of(3000)) == (10.0, 10.1)


def test_what_is_held_back_for_later_pictures_was_taken_before_them() -> None:
    """I P B B: the P-picture was taken when it came, and the two that are shown before it still earlier."""
    arrivals = Arrivals()
    for pts, at in ((0, 10.0), (3, 10.1), (1, 10.2), (2, 10.3)):
        arrivals.add(pts, at)
    times = [arrivals.of(pts) for pts in range(4)]
    assert times[0] == 10.0
    assert all(10.1 <= at < 10.101 for at in times[1:])
    assert times == sorted(set(times))


def test_without_a_time_the_newest_packet_counts() -> None:
    arrivals = Arrivals()
    arrivals.add(None, 10.0)
    assert arrivals.of(None) == 10.0
    arrivals.add(None, 10.5)
    assert arrivals.of(7) == 10.5


def test_a_clock_that_jumps_back_is_got_over() -> None:
    arrivals = Arrivals()
    for number in range(100):
        arrivals.add(10**6 + number, float(number))
        arrivals.of(10**6 + number)
    arrivals.add(10**6 + 100, 100.0)  # its picture is lost
    late = []
    for number in range(40):
        arrivals.add(number, 101.0 + number)
        late.append(101.0 + number - arrivals.of(number))
    assert max(late[17:]) == 0


@given(st.permutations(range(12)), st.lists(st.floats(0, 10), min_size=12, max_size=12))
def test_times_rise_and_are_never_later_than_the_newest_packet(order: list[int], gaps: list[float]) -> None:
    arrivals, now = Arrivals(), 0.0
    for pts, gap in zip(order, gaps, strict=True):
        now += gap
        arrivals.add(pts, now)
    times = [arrivals.of(pts) for pts in range(12)]
    assert times == sorted(set(times))
    assert times[-1] <= now + 0.01
