"""Delivery: retries, dead letters, order, faults of the store, and channels that hang beside others that do not."""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import HistoryError, NotifyError, OptionError
from streamer.notify.base import BusyError, Channel, Notice
from streamer.notify.command import Command, CommandOptions
from streamer.notify.delivery import ChannelStatus, Delivery, DeliveryOptions
from streamer.notify.webhook import Webhook, WebhookOptions
from tests.notify.receivers import Receiver, free_port, wait_until
from tests.notify.stores import MemoryStore

QUICK = DeliveryOptions(attempts=4, first_wait_seconds=0.05, longest_wait_seconds=0.2)


class Recorder:
    """A channel that raises what it is told to, one a notice, and keeps what it is given."""

    def __init__(self, name: str = "hook", *faults: BaseException | None) -> None:
        self.name = name
        self.faults = list(faults)
        self.sent: list[Notice] = []
        self.times: list[float] = []

    def send(self, notice: Notice) -> None:
        self.times.append(time.monotonic())
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        self.sent.append(notice)

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None: ...


class Stuck(Recorder):
    """Hangs in `send`, and in `close` too, until the test lets it go."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.released = threading.Event()
        self.entered = threading.Event()

    def send(self, notice: Notice) -> None:
        self.entered.set()
        self.released.wait(30)

    def close(self) -> None:
        self.released.wait(30)


def fault(lasting: bool = False) -> NotifyError:
    return NotifyError("hook", "no luck", lasting=lasting)


def hook(receiver: Receiver, name: str = "hook", timeout_seconds: float = 5.0) -> Webhook:
    return Webhook(name, WebhookOptions(receiver.url, timeout_seconds=timeout_seconds))


def states(store: MemoryStore, *numbers: int) -> list[str]:
    return [store.get(number).state for number in numbers]


def threads_left() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith(("channel ", "closing channel ", "post timeout", "mqtt "))]


def test_what_is_stored_is_delivered_at_once(receiver: Receiver) -> None:
    store = MemoryStore()
    store.add()  # before the start
    with Delivery(store, [hook(receiver)]) as delivery:
        wait_until(lambda: states(store, 1) == ["delivered"])
        time.sleep(0.1)
        begin = time.monotonic()
        store.add(id="another")
        delivery.wake()
        wait_until(lambda: len(receiver.got) == 2)
        assert receiver.got[1].at - begin < 0.3
        wait_until(lambda: delivery.status()[0].delivered == 2)
        (status,) = delivery.status()
        assert (status.failed, status.waiting, status.dead, status.last_error) == (0, 0, 0, None)
        assert status.last_delivered_at is not None
        assert abs(status.last_delivered_at - time.time()) < 5
        assert delivery.channels == ("hook",)


def test_a_receiver_that_recovers_gets_it_after_waits_that_double(receiver: Receiver) -> None:
    store = MemoryStore()
    receiver.answers.extend([500, 503, "hang", 429])
    options = DeliveryOptions(first_wait_seconds=0.1, longest_wait_seconds=0.3)
    with Delivery(store, [hook(receiver, timeout_seconds=0.2)], options) as delivery:
        store.add()
        delivery.wake()
        wait_until(lambda: states(store, 1) == ["delivered"])
        wait_until(lambda: delivery.status()[0].delivered == 1)
        assert delivery.status()[0].failed == 4
        assert delivery.status()[0].last_error is None
    assert store.get(1).attempts == 4
    between = [after.at - before.at for before, after in zip(receiver.got, receiver.got[1:], strict=False)]
    for waited, (low, high) in zip(between, [(0.075, 0.1), (0.15, 0.2), (0.425, 0.5), (0.225, 0.3)], strict=True):
        assert low <= waited < high + 0.5
    assert len({got.headers["idempotency-key"] for got in receiver.got}) == 1
    assert len({got.headers["x-streamer-delivery"] for got in receiver.got}) == 5


def test_after_the_last_attempt_it_is_dead_and_can_be_replayed(receiver: Receiver) -> None:
    store = MemoryStore()
    receiver.answers.extend([500] * 4)
    with Delivery(store, [hook(receiver)], QUICK) as delivery:
        store.add()
        delivery.wake()
        wait_until(lambda: states(store, 1) == ["dead"])
        assert len(receiver.got) == 4
        wait_until(lambda: delivery.status()[0].dead == 1)
        assert "answered 500" in str(store.get(1).error)
        assert "answered 500" in str(delivery.status()[0].last_error)
        assert delivery.replay([1, 99]) == 1
        wait_until(lambda: states(store, 1) == ["delivered"])
    assert len(receiver.got) == 5


def test_a_lasting_failure_is_dead_at_once(receiver: Receiver) -> None:
    store = MemoryStore()
    receiver.answers.append(404)
    store.add()
    with Delivery(store, [hook(receiver)], QUICK):
        wait_until(lambda: states(store, 1) == ["dead"])
    assert len(receiver.got) == 1


def test_retry_after_is_heeded() -> None:
    store, channel = MemoryStore(), Recorder("hook", BusyError("hook", "busy", 0.6))
    store.add()
    with Delivery(store, [channel], QUICK):
        wait_until(lambda: channel.sent)
    assert channel.times[1] - channel.times[0] >= 0.6


def test_hanging_and_failing_channels_harm_no_other(receiver: Receiver) -> None:
    store = MemoryStore()
    with Receiver() as hanging:
        hanging.answers.extend(["hang"] * 100)
        channels: list[Channel] = [
            hook(hanging, "hanging", timeout_seconds=30),
            Webhook("absent", WebhookOptions(f"http://127.0.0.1:{free_port()}/")),
            Command("command", CommandOptions((sys.executable, "-c", "import time; time.sleep(60)"))),
            Recorder("broken", *[ValueError("its own words")] * 100),
            hook(receiver, "good"),
        ]
        delivery = Delivery(store, channels)
        for number in range(3):
            for channel in channels:
                store.add(channel.name, id=f"alert {number}")
        begin = time.monotonic()
        delivery.wake()
        wait_until(lambda: len(receiver.got) == 3)
        assert max(got.at for got in receiver.got) - begin < 1
        wait_until(lambda: hanging.got)
        begin = time.monotonic()
        delivery.close()
        assert time.monotonic() - begin < 1
    assert not threads_left()
    assert len([1 for number in range(1, 16) if store.get(number).state == "delivered"]) == 3
    assert store.get(1).attempts == 0  # what was called off counts for nothing
    assert store.get(1).state == "pending"


def test_close_is_in_time_while_a_channel_hangs_in_its_own_close_too(caplog: pytest.LogCaptureFixture) -> None:
    store, stuck, good = MemoryStore(), Stuck("stuck"), Recorder("good")
    store.add("stuck")
    delivery = Delivery(store, [stuck, good])
    assert stuck.entered.wait(5)
    begin = time.monotonic()
    delivery.close()
    assert time.monotonic() - begin < 3
    assert "channel stuck hangs and is left behind" in caplog.text
    stuck.released.set()
    wait_until(lambda: not threads_left())
    delivery.close()


def test_revisions_of_one_alert_stay_in_order_and_others_pass_by() -> None:
    store, channel = MemoryStore(), Recorder("hook", fault(), fault(), None)
    for phase, revision in (("new", 1), ("update", 2), ("update", 3), ("end", 4)):
        store.add("hook", phase, revision, id="slow")  # type: ignore[arg-type]
    store.add(id="other")
    options = DeliveryOptions(first_wait_seconds=0.4, longest_wait_seconds=0.4)
    channel.faults = [fault()]
    with Delivery(store, [channel], options) as delivery:
        wait_until(lambda: [sent.alert for sent in channel.sent] == ["other"])  # while the first one waits
        assert states(store, 1, 5)[0] == "pending"
        wait_until(lambda: states(store, 1, 2, 3, 4, 5) == ["delivered"] * 5)
        wait_until(lambda: delivery.status()[0].delivered == 4)
        assert delivery.status()[0].superseded == 1
    assert [(sent.alert, sent.revision) for sent in channel.sent] == [
        ("other", 1),
        ("slow", 1),
        ("slow", 3),
        ("slow", 4),
    ]


def test_a_dead_one_holds_nothing_up() -> None:
    store, channel = MemoryStore(), Recorder("hook", fault(lasting=True))
    store.add("hook", "new", 1)
    store.add("hook", "end", 2)
    with Delivery(store, [channel], QUICK):
        wait_until(lambda: states(store, 1, 2) == ["dead", "delivered"])


def test_any_exception_is_counted_and_its_words_are_kept_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store, channel = MemoryStore(), Recorder("hook", KeyError("hunter2"), RuntimeError("hunter2"), fault())
    store.add()
    with Delivery(store, [channel], QUICK) as delivery:
        wait_until(lambda: states(store, 1) == ["delivered"])
        wait_until(lambda: delivery.status()[0].delivered == 1)
        assert delivery.status()[0].failed == 3
    assert "KeyError in test_delivery.py, line" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_store_that_fails_is_waited_for_and_nothing_is_sent_twice(receiver: Receiver) -> None:
    store = MemoryStore()

    class Failing(Recorder):
        def send(self, notice: Notice) -> None:
            store.fault = HistoryError("sqlite:///h.db", "the disk is full")
            super().send(notice)

    channel = Failing()
    store.add()
    with Delivery(store, [channel], QUICK) as delivery:
        wait_until(lambda: channel.sent)
        wait_until(lambda: delivery.status()[0].waiting is None)
        assert delivery.status()[0].delivered == 1
        for _ in range(3):
            delivery.wake()
            time.sleep(0.1)
        store.fault = None
        delivery.wake()
        wait_until(lambda: states(store, 1) == ["delivered"])
    assert len(channel.sent) == 1


def test_a_store_that_fails_from_the_start_is_waited_for() -> None:
    store, channel = MemoryStore(), Recorder()
    store.add()
    store.fault = HistoryError("postgresql://me:hunter2@db/h", "no connection")
    with Delivery(store, [channel], QUICK) as delivery:
        time.sleep(0.1)
        assert delivery.status() == (ChannelStatus("hook"),)
        store.fault = None
        wait_until(lambda: channel.sent)  # without being woken


def test_one_that_is_due_is_found_behind_many_that_wait() -> None:
    store, channel = MemoryStore(), Recorder()
    for number in range(600):
        store.add(id=f"waits {number}", due_at=time.time() + 1000)
    with Delivery(store, [channel], QUICK) as delivery:
        store.add(id="due")
        delivery.wake()
        wait_until(lambda: [sent.alert for sent in channel.sent] == ["due"])
        assert delivery.status()[0].waiting == 600


def test_what_is_due_later_comes_then_without_being_woken() -> None:
    store, channel = MemoryStore(), Recorder()
    due_at = time.time() + 0.4
    store.add(due_at=due_at)
    with Delivery(store, [channel], QUICK):
        wait_until(lambda: channel.sent)
        assert due_at <= time.time() < due_at + 0.3


def test_pending_ones_survive_a_restart(receiver: Receiver) -> None:
    store = MemoryStore()
    receiver.answers.append(500)
    store.add()
    with Delivery(store, [hook(receiver)], QUICK):
        wait_until(lambda: store.get(1).attempts == 1)
    with Delivery(store, [hook(receiver)], QUICK):
        wait_until(lambda: states(store, 1) == ["delivered"])


def test_idle_threads_do_not_spin() -> None:
    class Counting(MemoryStore):
        calls = 0

        def due_notices(self, channel: str, now: float, limit: int) -> list[Notice]:
            self.calls += 1
            return super().due_notices(channel, now, limit)

    store = Counting()
    store.add("hook", "new", 1, due_at=time.time() + 1000)
    store.add("hook", "end", 2)  # due, but behind the first
    with Delivery(store, [Recorder()]):
        time.sleep(0.5)
        assert 1 <= store.calls <= 2


def test_no_two_channels_of_one_name() -> None:
    with pytest.raises(OptionError, match="channel: 'a' cannot be used"):
        Delivery(MemoryStore(), [Recorder("a"), Recorder("a")])


@given(st.integers(1, 2000), st.floats(0, 0.999))
def test_waits_double_up_to_the_longest(attempts: int, chance: float) -> None:
    options = DeliveryOptions()
    wait = options.wait_seconds(attempts, chance)
    assert 0.75 <= wait <= 600
    assert wait <= options.wait_seconds(attempts + 1, 0)
    assert 0.75 * 2 ** min(attempts - 1, 9) <= wait or wait >= 450


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"attempts": 0}, "attempts"),
        ({"first_wait_seconds": 0}, "first_wait_seconds"),
        ({"first_wait_seconds": 601}, "first_wait_seconds"),
        ({"longest_wait_seconds": float("inf")}, "first_wait_seconds"),
    ],
)
def test_options_that_cannot_be(changes: dict[str, float], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        DeliveryOptions(**changes)  # type: ignore[arg-type]
