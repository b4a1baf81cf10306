"""Buffers under real threads; every wait has a limit, so a fault fails instead of hanging."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from streamer.buffers import BoundedQueue, Closed, LatestSlot, wait_until

LIMIT = 10.0


def run(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, name="test-worker", daemon=True)
    thread.start()
    return thread


def ended(thread: threading.Thread) -> bool:
    thread.join(LIMIT)
    return not thread.is_alive()


def test_slot_keeps_the_newest_and_counts_the_rest() -> None:
    slot: LatestSlot[int] = LatestSlot()
    for value in range(5):
        slot.put(value)
    assert slot.get(LIMIT) == 4
    assert slot.replaced == 4
    with pytest.raises(TimeoutError):
        slot.get(0.01)


def test_slot_gives_what_lies_in_it_then_says_that_it_is_closed() -> None:
    slot: LatestSlot[int] = LatestSlot()
    slot.put(1)
    slot.close()
    slot.close(ValueError("too late to matter"))
    assert slot.get(LIMIT) == 1
    with pytest.raises(Closed):
        slot.get(LIMIT)
    with pytest.raises(Closed):
        slot.put(2)


def test_slot_raises_the_producers_error() -> None:
    slot: LatestSlot[int] = LatestSlot()
    slot.close(ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        slot.get(LIMIT)


def test_closing_a_slot_wakes_who_waits() -> None:
    slot: LatestSlot[int] = LatestSlot()
    seen: list[str] = []

    def work() -> None:
        try:
            slot.get()
        except Closed:
            seen.append("closed")

    thread = run(work)
    slot.close()
    assert ended(thread)
    assert seen == ["closed"]


def test_slot_between_a_fast_and_a_slow_thread_loses_only_what_it_counts() -> None:
    slot: LatestSlot[int] = LatestSlot()
    taken: list[int] = []

    def work() -> None:
        for value in range(2000):
            slot.put(value)
        slot.close()

    thread = run(work)
    while True:
        try:
            taken.append(slot.get(LIMIT))
        except Closed:
            break
    assert ended(thread)
    assert taken == sorted(set(taken))
    assert taken[-1] == 1999
    assert len(taken) + slot.replaced == 2000


def test_queue_gives_all_in_order_and_never_holds_more_than_its_size() -> None:
    queue: BoundedQueue[int] = BoundedQueue(3)
    longest = 0

    def work() -> None:
        for value in range(500):
            queue.put(value, LIMIT)
        queue.finish()

    thread = run(work)
    got = []
    for value in queue:
        longest = max(longest, len(queue))
        got.append(value)
    assert got == list(range(500))
    assert longest <= 3
    assert ended(thread)


def test_queue_raises_the_producers_error_after_its_values() -> None:
    queue: BoundedQueue[int] = BoundedQueue(3)
    queue.put(1)
    queue.finish(ValueError("broken"))
    queue.finish()
    assert queue.get(LIMIT) == 1
    with pytest.raises(ValueError, match="broken"):
        queue.get(LIMIT)
    with pytest.raises(Closed):
        queue.put(2)


def test_closing_a_full_queue_lets_the_producer_go() -> None:
    queue: BoundedQueue[int] = BoundedQueue(1)
    queue.put(0)
    seen: list[str] = []

    def work() -> None:
        try:
            queue.put(1)
        except Closed:
            seen.append("closed")

    thread = run(work)
    queue.close()
    assert ended(thread)
    assert seen == ["closed"]
    assert list(queue) == []


def test_queue_says_when_time_is_up() -> None:
    queue: BoundedQueue[int] = BoundedQueue(1)
    with pytest.raises(TimeoutError):
        queue.get(0.01)
    queue.put(0)
    with pytest.raises(TimeoutError):
        queue.put(1, 0.01)
    with pytest.raises(ValueError, match="at least one"):
        BoundedQueue(0)


def test_wait_until_ends_at_the_moment_or_the_stop() -> None:
    stop = threading.Event()
    before = time.monotonic()
    assert not wait_until(stop, before + 0.05)
    assert time.monotonic() - before >= 0.045
    stop.set()
    assert wait_until(stop, time.monotonic() + LIMIT)
