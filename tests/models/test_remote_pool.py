"""Which server is next and when to try again: decisions without network or clock."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streamer.errors import OptionError
from streamer.models.remote.options import RemoteOptions, parse_urls, read_key
from streamer.models.remote.pool import FAILURES, LONGEST_WAIT_SECONDS, Pool
from streamer.models.remote.retrying import RetryBudget, backoff_seconds, retry_after_seconds

SERVERS, AT_ONCE = 3, 2


class PoolMachine(RuleBasedStateMachine):
    """Whatever happens, beside a plain record of it."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool(SERVERS, AT_ONCE)
        self.now = 0.0
        self.taken: list[int] = []
        self.ejected: set[int] = set()
        self.paused = dict.fromkeys(range(SERVERS), 0.0)
        self.failures = dict.fromkeys(range(SERVERS), 0)

    def usable(self) -> list[int]:
        return [
            one
            for one in range(SERVERS)
            if one not in self.ejected and self.paused[one] <= self.now and self.taken.count(one) < AT_ONCE
        ]

    @rule(avoid=st.sets(st.integers(0, SERVERS - 1)))
    def take(self, avoid: set[int]) -> None:
        usable = self.usable()
        number = self.pool.take(self.now, avoid)
        if not usable:
            assert number is None
            return
        assert number in usable
        others = [one for one in usable if one not in avoid] or usable
        assert number in others
        assert self.taken.count(number) == min(map(self.taken.count, others))
        self.taken.append(number)

    @precondition(lambda self: self.taken)
    @rule(data=st.data(), well=st.booleans(), at_once=st.booleans())
    def end(self, data: st.DataObject, well: bool, at_once: bool) -> None:
        number = self.taken.pop(data.draw(st.integers(0, len(self.taken) - 1)))
        self.pool.release(number)
        if well:
            self.pool.succeeded(number)
            if number not in self.ejected:
                self.failures[number] = 0
            return
        self.failures[number] += 1
        left_out = number not in self.ejected and (at_once or self.failures[number] >= FAILURES)
        assert self.pool.failed(number, at_once=at_once) is left_out
        if left_out:
            self.ejected.add(number)

    @rule(number=st.integers(0, SERVERS - 1), seconds=st.floats(0, 5))
    def pause(self, number: int, seconds: float) -> None:
        self.pool.pause(number, self.now + seconds)
        self.paused[number] = max(self.paused[number], self.now + seconds)

    @rule(seconds=st.floats(0, 5))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.ejected)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.ejected)))
        assert 1 <= self.pool.wait_seconds(number) <= LONGEST_WAIT_SECONDS
        self.pool.restore(number)
        self.ejected.remove(number)
        self.paused[number], self.failures[number] = 0.0, FAILURES - 1

    @invariant()
    def bounds_hold(self) -> None:
        for number in range(SERVERS):
            assert self.pool.in_flight(number) == self.taken.count(number) <= AT_ONCE
            assert self.pool.is_ejected(number) is (number in self.ejected)
        opens = [until for one, until in self.paused.items() if one not in self.ejected and until > self.now]
        assert self.pool.opens_at(self.now) == min(opens, default=None)


TestPool = PoolMachine.TestCase


def test_a_server_that_keeps_failing_is_looked_at_less_and_less_until_it_answers() -> None:
    pool = Pool(1, 1)
    waits = []
    for _ in range(7):
        assert pool.failed(0, at_once=True)
        waits.append(pool.wait_seconds(0))
        pool.restore(0)
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    pool.succeeded(0)
    pool.failed(0, at_once=True)
    assert pool.wait_seconds(0) == 1


@given(attempt=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_waits_grow_and_are_bounded(attempt: int, chance: float) -> None:
    assert 0.125 <= backoff_seconds(attempt, chance) <= 5
    assert backoff_seconds(attempt, chance) <= backoff_seconds(attempt + 1, chance)


@given(st.lists(st.booleans(), max_size=300))
def test_retries_are_never_more_than_their_share(steps: list[bool]) -> None:
    budget = RetryBudget(reserve=5, share=0.2)
    requests = retries = 0
    for is_request in steps:
        if is_request:
            budget.earn()
            requests += 1
        else:
            retries += budget.spend()
        assert retries <= 5 + 0.2 * requests + 1e-9


def test_what_retry_after_may_be() -> None:
    now = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
    assert retry_after_seconds("Wed, 25 Nov 2026 12:00:07 GMT", now) == 7
    assert retry_after_seconds("Wed, 25 Nov 2026 11:00:00 GMT", now) == 0
    assert [retry_after_seconds(text) for text in (None, "1.5", "-3", "soon", "inf", "")] == [
        None, 1.5, 0, None, None, None,
    ]  # fmt: skip


@given(st.text(max_size=40))
def test_any_header_is_a_number_or_nothing(text: str) -> None:
    seconds = retry_after_seconds(text)
    assert seconds is None or 0 <= seconds < float("inf")


def test_addresses_of_servers() -> None:
    assert parse_urls("http://a:1/v1/,https://b/openai , http://a:1") == ("http://a:1/v1", "https://b/openai")


@pytest.mark.parametrize(
    "text", ["", " , ", "gpu:8000", "ftp://gpu/v1", "http://", "http://a:99999/v1", "http://a b/v1", "http://a/v1?x=1"]
)
def test_what_is_no_address_of_a_server(text: str) -> None:
    with pytest.raises(OptionError, match="--model-url"):
        parse_urls(text)


def test_a_password_in_an_address_is_refused_and_not_shown() -> None:
    with pytest.raises(OptionError, match="STREAMER_MODEL_KEY") as refused:
        parse_urls("http://me:hunter2@gpu:8000/v1")
    assert "hunter2" not in str(refused.value)


def test_the_key_comes_from_the_environment_or_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.delenv("STREAMER_MODEL_KEY", raising=False)
    monkeypatch.delenv("STREAMER_MODEL_KEY_FILE", raising=False)
    assert read_key() is None
    file = tmp_path_factory.mktemp("key") / "key"
    file.write_text("sk-file\n")
    monkeypatch.setenv("STREAMER_MODEL_KEY_FILE", str(file))
    key = read_key()
    assert key is not None
    assert (key.reveal(), repr(key)) == ("sk-file", "Secret(***)")
    monkeypatch.setenv("STREAMER_MODEL_KEY", "sk-both")
    with pytest.raises(OptionError, match="only one of"):
        read_key()
    monkeypatch.delenv("STREAMER_MODEL_KEY_FILE")
    monkeypatch.setenv("STREAMER_MODEL_KEY", "schlüssel")
    with pytest.raises(OptionError, match="ASCII") as refused:
        read_key()
    assert "schl" not in str(refused.value)


@pytest.mark.parametrize("field", ["deadline_seconds", "attempt_seconds", "attempts", "at_once"])
def test_options_that_cannot_be(field: str) -> None:
    wrong: dict[str, Any] = {"urls": ("http://a/v1",), "model": "m", field: 0}
    with pytest.raises(OptionError, match=field):
        RemoteOptions(**wrong)
