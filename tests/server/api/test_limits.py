"""Rates, wrong tokens, places, names in paths and cursors: values alone."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import OptionError
from streamer.server.api import limits
from streamer.server.api.cursors import alert_cursor, cursor_of, result_cursor
from streamer.server.api.limits import Attempts, Buckets, Slots, network
from streamer.server.api.names import name_of, quoted, routed


@given(st.text(min_size=1))
def test_any_name_comes_through_a_path_as_one_part(name: str) -> None:
    name = name.encode("utf-8", "replace").decode()
    path = routed(f"/streams/{quoted(name)}/tasks".encode())
    assert path.startswith("/streams/")
    assert path.endswith("/tasks")
    part = path.removeprefix("/streams/").removesuffix("/tasks")
    assert "/" not in part
    assert name_of(part) == name


def test_a_path_without_encoded_slashes_is_decoded_as_ever() -> None:
    assert routed(quote("/streams/höfe und mehr").encode()) == "/streams/höfe und mehr"
    assert routed(b"/a%2fb") == "/a%2Fb"


@given(st.floats(0, 1e10), st.text(alphabet="0123456789abcdef", min_size=1, max_size=32), st.integers(0, 2**63 - 1))
def test_a_cursor_comes_back_as_it_was(at: float, alert: str, row: int) -> None:
    assert alert_cursor(cursor_of(at, alert)) == (at, alert)
    assert result_cursor(cursor_of(at, row)) == (at, row)


def test_no_cursor_is_no_cursor() -> None:
    assert alert_cursor(None) is None
    assert result_cursor(None) is None


@given(st.text(max_size=50))
def test_what_is_no_cursor_is_refused(text: str) -> None:
    for read in (alert_cursor, result_cursor):
        with suppress(OptionError):  # anything else would be a fault
            assert read(text) is not None


@pytest.mark.parametrize(
    "pair", [(1.0, True), (1.0, -1), (1.0, 2**63), (float("nan"), 1), (float("inf"), 1), (1.0, "a")]
)
def test_a_cursor_of_odd_values_is_refused(pair: tuple[float, int]) -> None:
    with pytest.raises(OptionError):
        result_cursor(cursor_of(*pair))


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    buckets = Buckets(rate=10, burst=5)
    assert [buckets.take("a", 0.0) for _ in range(5)] == [0.0] * 5
    assert buckets.take("a", 0.0) == pytest.approx(0.1)
    assert buckets.take("b", 0.0) == 0.0
    assert buckets.take("a", 0.1) == 0.0
    assert buckets.take("a", 0.1) > 0


@given(st.lists(st.floats(0, 0.5), max_size=200))
def test_a_bucket_never_lets_more_through_than_it_says(pauses: list[float]) -> None:
    buckets, now, through = Buckets(rate=10, burst=5), 0.0, 0
    for pause in pauses:
        now += pause
        through += buckets.take("a", now) == 0
    assert through <= 5 + 10 * now + 1e-6


def test_buckets_forget_who_was_quiet_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_CLIENTS", 2)
    buckets = Buckets(rate=1, burst=1)
    for client in ("a", "b", "c"):
        assert buckets.take(client, 0.0) == 0.0
    assert buckets.take("c", 0.0) > 0
    assert buckets.take("a", 0.0) == 0.0  # forgotten, and full again


def test_wrong_tokens_shut_an_address_out_for_a_while() -> None:
    attempts = Attempts(most=3, seconds=60)
    for now in (0.0, 1.0):
        attempts.note("a", now)
    assert attempts.wait("a", 1.0) == 0.0
    attempts.note("a", 2.0)
    assert attempts.wait("a", 2.0) == 60.0
    assert attempts.wait("b", 2.0) == 0.0
    assert attempts.wait("a", 62.5) == 0.0


def test_wrong_tokens_far_apart_are_those_of_a_person() -> None:
    attempts = Attempts(most=3, seconds=60)
    for now in (0.0, 50.0, 100.0):
        attempts.note("a", now)
    assert attempts.wait("a", 100.0) == 0.0


def test_places_are_given_back() -> None:
    slots = Slots(2)
    with slots.taken("a") as first, slots.taken("a") as second, slots.taken("a") as third, slots.taken("b") as other:
        assert (first, second, third, other) == (True, True, False, True)
    with slots.taken("a") as again:
        assert again


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("10.0.0.5", "10.0.0.5"),
        ("::ffff:10.0.0.5", "10.0.0.5"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_one_machine_is_one_address(host: str, counted: str) -> None:
    assert network(host) == counted
