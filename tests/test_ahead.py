"""An iteration that runs ahead: in order, bounded, and never left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator

import pytest

from streamer.ahead import Ahead


def counting(made: list[int], end: int) -> Generator[int]:
    for number in range(end):
        made.append(number)
        yield number


def test_all_values_come_in_order() -> None:
    with Ahead("count", lambda: counting([], 100), 3) as values:
        assert list(values) == list(range(100))


def test_it_waits_when_nobody_takes_what_is_ready() -> None:
    made: list[int] = []
    with Ahead("count", lambda: counting(made, 100), 3) as values:
        assert next(iter(values)) == 0
        time.sleep(0.2)
        assert len(made) <= 1 + 3 + 1  # taken, waiting, in hand


def test_an_exception_comes_behind_the_values_before_it() -> None:
    def broken() -> Generator[int]:
        yield 1
        raise KeyError("broken")

    with Ahead("broken", broken, 3) as values:
        taken = iter(values)
        assert next(taken) == 1
        with pytest.raises(KeyError, match="broken"):
            next(taken)


def test_leaving_early_closes_the_iteration_and_joins_its_thread() -> None:
    closed = threading.Event()

    def endless() -> Generator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    with Ahead("endless", endless, 2) as values:
        next(iter(values))
    assert closed.is_set()
    assert "endless" not in [thread.name for thread in threading.enumerate()]


def test_stop_lets_go_what_waits_for_something_else() -> None:
    called_off = threading.Event()

    def waiting() -> Generator[int]:
        yield 1
        called_off.wait(60)
        yield 2

    started = time.monotonic()
    with Ahead("waiting", waiting, 2, stop=called_off.set) as values:
        next(iter(values))
    assert time.monotonic() - started < 5


def test_one_ahead_of_another() -> None:
    with (
        Ahead("first", lambda: counting([], 50), 2) as first,
        Ahead("second", lambda: (2 * value for value in first), 2) as second,
    ):
        assert list(second) == [2 * value for value in range(50)]
