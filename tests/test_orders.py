"""Orders to streams: the newest of each counts, and one that fails hurts no other."""

from __future__ import annotations

import logging
import threading

import pytest

from streamer.orders import MOST, Orders
from tests.server.rig import eventually


class Slow:
    """Carries out one order at a time, when it is let."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.done: list[tuple[str, str]] = []

    def __call__(self, stream: str, order: str) -> None:
        assert self.let.wait(10)
        self.done.append((stream, order))
        if order == "break":
            raise ValueError(order)


def test_of_orders_that_wait_the_newest_of_each_stream_is_carried_out(caplog: pytest.LogCaptureFixture) -> None:
    slow = Slow()
    orders = Orders(slow)
    orders.put("first", "pause")
    eventually(lambda: not orders._waiting)
    for _ in range(1000):
        orders.put("gate", "pause")
        orders.put("yard", "break")
        orders.put("gate", "resume")
    for number in range(2 * MOST):
        orders.put(f"stream {number}", "pause")
    assert len(orders._waiting) == MOST
    slow.let.set()
    eventually(lambda: len(slow.done) == MOST + 1)
    assert slow.done[:3] == [("first", "pause"), ("gate", "resume"), ("yard", "break")]
    assert "an order for yard could not be carried out" in caplog.text
    orders.close()
    caplog.clear()


def test_the_end_waits_for_no_order_that_waits(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    slow = Slow()
    orders = Orders(slow)
    orders.put("first", "pause")
    orders.put("gate", "pause")
    slow.let.set()
    orders.close()
    orders.close()
    orders.put("gate", "resume")
    assert len(slow.done) <= 2
    assert "orders" not in [thread.name for thread in threading.enumerate()]
