"""Rates are kept and measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.pacing import Pace, Rate, usual_gap


@given(
    rate=st.floats(0.1, 60),
    gaps=st.lists(st.floats(0.0, 0.5), min_size=2, max_size=200),
)
def test_pace_never_exceeds_its_rate(rate: float, gaps: list[float]) -> None:
    pace, now, used = Pace(rate), 100.0, 0
    for gap in gaps:
        now += gap
        used += pace.due(now)
    assert used <= (now - 100.0) * rate + 1.2


def test_pace_keeps_its_rate_under_jitter() -> None:
    pace = Pace(10)
    used = sum(pace.due(number / 25 + (0.004 if number % 2 else -0.004)) for number in range(250))
    assert 97 <= used <= 101


@given(gap=st.floats(0.02, 2.0), count=st.integers(3, 100))
def test_rate_is_that_of_regular_events_and_falls_when_they_stop(gap: float, count: int) -> None:
    rate = Rate()
    for number in range(count):
        rate.add(number * gap)
    last = (count - 1) * gap
    assert rate.per_second(last) == pytest.approx(1 / gap, rel=0.01)
    assert rate.per_second(last + 100) < 0.02


def test_the_usual_gap_is_the_middle_one_and_needs_two_times() -> None:
    assert usual_gap([0, 1, 2, 60, 61, 62]) == 1
    assert usual_gap([5, 35]) == 30
    assert (usual_gap([]), usual_gap([5])) == (0, 0)
