"""Schedules by the clock on the wall: weekdays, midnight, and the days on which clocks are changed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.rules import Schedule, TimeRange
from tests.rules.scenes import time_ranges

BERLIN = "Europe/Berlin"


def unix(text: str) -> float:
    """Of an ISO time with its offset."""
    return datetime.fromisoformat(text).timestamp()


def night(days: tuple[str, ...] = (), start: str = "22:00", end: str = "06:00", zone: str | None = BERLIN) -> Schedule:
    return Schedule((TimeRange(days, start, end),), zone)


def edges(schedule: Schedule, start: str, hours: int) -> list[tuple[str, bool]]:
    """The UTC times, to the minute, at which it begins or ends to hold."""
    first = unix(start)
    at = [first + 60 * minute for minute in range(hours * 60)]
    held = [schedule.holds(moment) for moment in at]
    return [
        (datetime.fromtimestamp(moment, ZoneInfo("UTC")).strftime("%d %H:%M"), now)
        for moment, before, now in zip(at[1:], held, held[1:], strict=False)
        if before != now
    ]


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    friday = night(("fri",))  # 2026-07-24 is a Friday
    assert edges(friday, "2026-07-20T00:00+02:00", 7 * 24) == [("24 20:00", True), ("25 04:00", False)]


def test_a_whole_day_ends_at_midnight() -> None:
    assert edges(night(("sat",), "00:00", "24:00"), "2026-07-20T00:00+02:00", 7 * 24) == [
        ("24 22:00", True),
        ("25 22:00", False),
    ]


def test_several_ranges_hold_in_any_of_them() -> None:
    schedule = Schedule((TimeRange(("sat",)), TimeRange(("fri",), "20:00", "24:00")), BERLIN)
    assert edges(schedule, "2026-07-20T00:00+02:00", 7 * 24) == [("24 18:00", True), ("25 22:00", False)]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("22:00", "06:00", [("28 21:00", True), ("29 04:00", False)]),  # an hour shorter
        ("02:30", "06:00", [("29 01:00", True), ("29 04:00", False)]),  # 02:30 is not shown: from 03:00
        ("22:00", "02:30", [("28 21:00", True), ("29 01:00", False)]),
        ("02:15", "02:45", []),
    ],
)
def test_when_an_hour_is_left_out(start: str, end: str, expected: list[tuple[str, bool]]) -> None:
    """On 2026-03-29 the clock leaps from 02:00 to 03:00, which is 01:00 UTC."""
    assert edges(night((), start, end), "2026-03-28T12:00+01:00", 24) == expected


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("22:00", "06:00", [("24 20:00", True), ("25 05:00", False)]),  # an hour longer
        ("02:30", "06:00", [("25 00:30", True), ("25 05:00", False)]),  # from when it is shown first
        ("22:00", "02:30", [("24 20:00", True), ("25 01:30", False)]),  # until it is shown last
        ("02:15", "02:45", [("25 00:15", True), ("25 01:45", False)]),  # in one piece
    ],
)
def test_when_an_hour_comes_twice(start: str, end: str, expected: list[tuple[str, bool]]) -> None:
    """On 2026-10-25 the clock falls from 03:00 back to 02:00, which is 01:00 UTC."""
    assert edges(night((), start, end), "2026-10-24T12:00+02:00", 24) == expected


@given(
    span=time_ranges,
    zone=st.sampled_from([BERLIN, "America/Havana", "Australia/Lord_Howe", "America/Santiago", "UTC"]),
    minute=st.integers(0, 366 * 1440),
)
def test_away_from_changed_clocks_it_holds_by_what_the_clock_shows(span: TimeRange, zone: str, minute: int) -> None:
    at = datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")) + timedelta(minutes=minute)
    here = [(at + timedelta(hours=hours)).astimezone(ZoneInfo(zone)) for hours in range(-30, 31, 2)]
    if len({local.utcoffset() for local in here}) > 1:
        return
    local = at.astimezone(ZoneInfo(zone))
    shown, today = local.strftime("%H:%M"), local.strftime("%a").lower()
    yesterday = (local - timedelta(days=1)).strftime("%a").lower()
    days = span.days or (today, yesterday)
    if span.start < span.end:
        expected = today in days and span.start <= shown < span.end
    else:
        expected = (today in days and shown >= span.start) or (yesterday in days and shown < span.end)
    assert Schedule((span,), zone).holds(at.timestamp()) == expected


@given(span=time_ranges, zone=st.sampled_from([BERLIN, "America/Havana", "Australia/Lord_Howe", "America/Santiago"]))
def test_a_range_begins_and_ends_at_most_once_a_day_whatever_the_clocks_do(span: TimeRange, zone: str) -> None:
    schedule = Schedule((TimeRange((), span.start, span.end),), zone)
    for day in ("2026-03-08", "2026-03-29", "2026-04-05", "2026-09-06", "2026-10-04", "2026-10-25", "2026-11-01"):
        first = datetime.fromisoformat(day).replace(hour=12, tzinfo=ZoneInfo(zone)).timestamp() - 86_400
        held = [schedule.holds(first + 300 * step) for step in range(288)]
        assert sum(before != now for before, now in itertools.pairwise(held)) <= 3


@pytest.fixture
def _in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_in_tokyo")
def test_without_a_zone_it_goes_by_the_machine() -> None:
    assert edges(night(zone=None), "2026-07-24T00:00+00:00", 24) == [("24 13:00", True), ("24 21:00", False)]
