"""Moments as people write them."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import OptionError
from streamer.moments import parse_moment, shown

NOW = datetime(2026, 11, 25, 18, 30, 5).timestamp()


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("90s", NOW - 90),
        ("10m", NOW - 600),
        ("10 min ago", NOW - 600),
        ("1.5h", NOW - 5400),
        ("7d", NOW - 7 * 86_400),
        ("2W", NOW - 14 * 86_400),
        ("now", NOW),
        ("today", datetime(2026, 11, 25).timestamp()),
        ("yesterday", datetime(2026, 11, 24).timestamp()),
        ("2026-11-20", datetime(2026, 11, 20).timestamp()),
        (" 2026-11-20T07:05 ", datetime(2026, 11, 20, 7, 5).timestamp()),
        ("2026-11-20T07:05:00+00:00", datetime.fromisoformat("2026-11-20T07:05:00+00:00").timestamp()),
        ("1795158300.5", 1795158300.5),
    ],
)
def test_what_people_write(text: str, at: float) -> None:
    assert parse_moment(text, NOW) == at


def test_a_moment_that_is_shown_is_understood() -> None:
    assert parse_moment(shown(NOW), 0.0) == NOW


@given(st.text(max_size=30))
def test_anything_else_is_refused_in_words(text: str) -> None:
    refused = ""
    try:
        assert isinstance(parse_moment(text, NOW), float)
    except OptionError as error:
        refused = str(error)
    assert not refused or "today" in refused
