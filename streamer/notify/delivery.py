"""Notices on their way: a thread a channel takes them from the store and hands them over until they are delivered.

A channel that fails or hangs holds up no other. What fails is tried again after a wait that doubles each time; after
the last attempt, or at once where trying again cannot help, it is dead, until somebody replays it. Deliveries are at
least once: receivers drop doubles by the message's ``id``. The order within an alert: `streamer.notify.order`.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from streamer.errors import HistoryError, NotifyError, OptionError
from streamer.notify.base import BusyError, Channel, Notice, NoticeStore
from streamer.notify.order import Plan, plan

log = logging.getLogger(__name__)

CLOSE_SECONDS = 2.5
"""How long `Delivery.close` waits for its threads, all together."""
_LOOKED_AT = 500
"""How many pending notices of a channel are looked at at once."""
_FOREVER = 1e11
"""Unix seconds that no notice is due after."""
_LONGEST_SLEEP_SECONDS = 60.0
"""After which the store is asked again though nobody woke the thread: clocks are set, and others write to it too."""
_STORE_WAIT_SECONDS = (0.5, 30.0)
"""After a fault of the store: the first wait and the longest."""
_COUNTED = 1000


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """How often a notice is tried, and when."""

    attempts: int = 30
    """After so many in vain it is dead; by the other defaults that is after about three hours."""
    first_wait_seconds: float = 1.0
    """Before the second attempt; doubled before each further one. Up to a quarter is taken off by chance."""
    longest_wait_seconds: float = 600.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise OptionError("attempts", self.attempts, "1 or more")
        if not 0 < self.first_wait_seconds <= self.longest_wait_seconds < math.inf:
            expected = f"a number above 0, at most longest_wait_seconds = {self.longest_wait_seconds:g}"
            raise OptionError("first_wait_seconds", self.first_wait_seconds, expected)

    def wait_seconds(self, attempts: int, chance: float) -> float:
        """After ``attempts`` in vain, from 1; ``chance`` in [0, 1) keeps many from coming back at once."""
        wait = self.first_wait_seconds * 2.0 ** min(attempts - 1, 60)
        return min(wait, self.longest_wait_seconds) * (1 - chance / 4)


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """How a channel does, since the start but for what is counted in the store."""

    name: str
    delivered: int = 0
    superseded: int = 0
    """Updates that were not sent because a newer one was pending."""
    failed: int = 0
    """Attempts in vain."""
    waiting: int | None = None
    """Pending notices in the store, counted to 1000; None while it cannot be read."""
    dead: int | None = None
    """Dead ones in the store, likewise."""
    last_error: str | None = None
    """Of the newest attempt in vain; None again after a delivery."""
    last_delivered_at: float | None = None
    """Unix seconds."""


class Delivery:
    """Delivers what is in the store until it is closed. Owns the channels and closes them. A context manager."""

    def __init__(self, store: NoticeStore, channels: Sequence[Channel], options: DeliveryOptions | None = None) -> None:
        """Raises `OptionError` where two channels have the same name."""
        names = [channel.name for channel in channels]
        for name in names:
            if names.count(name) > 1:
                raise OptionError("channel", name, "a name that no other channel has")
        self._store = store
        self._couriers = [_Courier(store, channel, options or DeliveryOptions()) for channel in channels]
        for courier in self._couriers:
            courier.thread.start()

    @property
    def channels(self) -> tuple[str, ...]:
        """Their names, which notices are stored under."""
        return tuple(courier.channel.name for courier in self._couriers)

    def wake(self) -> None:
        """Says that notices were stored: they are tried at once. Returns at once, from any thread."""
        for courier in self._couriers:
            courier.wake()

    def replay(self, ids: Sequence[int]) -> int:
        """Makes dead notices pending again and tries them at once; says how many there were."""
        count = self._store.replay_notices(ids)
        self.wake()
        return count

    def status(self) -> tuple[ChannelStatus, ...]:
        """Of each channel, in their order. Reads the store."""
        return tuple(courier.status() for courier in self._couriers)

    def close(self) -> None:
        """Ends within 3 seconds, also where a channel hangs; what was not delivered stays pending."""
        deadline = time.monotonic() + CLOSE_SECONDS
        closers = [courier.closer() for courier in self._couriers]
        for thread in [*closers, *(courier.thread for courier in self._couriers)]:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                log.warning("%s hangs and is left behind", thread.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class _Courier:
    """One channel's thread and its counters."""

    def __init__(self, store: NoticeStore, channel: Channel, options: DeliveryOptions) -> None:
        self.channel = channel
        self.thread = threading.Thread(target=self._work, name=f"channel {channel.name}", daemon=True)
        self._store, self._options = store, options
        self._woken = threading.Event()
        self._closing = False
        self._owed: deque[Callable[[], None]] = deque()
        """What the store has to be told before anything else is done; it could not be told when it happened."""
        self._status = ChannelStatus(channel.name)
        """Written by the thread only."""

    def wake(self) -> None:
        self._woken.set()

    def closer(self) -> threading.Thread:
        """Starts closing; the channel is closed on a thread of its own, since that may hang."""
        self._closing = True
        self.wake()
        thread = threading.Thread(target=self._close_channel, name=f"closing channel {self.channel.name}", daemon=True)
        thread.start()
        return thread

    def status(self) -> ChannelStatus:
        name = self.channel.name
        try:
            waiting = len(self._store.due_notices(name, _FOREVER, _COUNTED))
            dead = len(self._store.dead_notices(name, _COUNTED))
        except HistoryError:
            return self._status
        return replace(self._status, waiting=waiting, dead=dead)

    def _close_channel(self) -> None:
        try:
            self.channel.close()
        except Exception as error:  # noqa: BLE001 - a channel's fault ends nothing but itself
            log.warning("channel %s could not be closed: %s", self.channel.name, _place_of(error))

    def _work(self) -> None:
        store_wait, longest = _STORE_WAIT_SECONDS
        while not self._closing:
            self._woken.clear()
            try:
                sleep, store_wait = self._pass(), _STORE_WAIT_SECONDS[0]
            except Exception as error:  # noqa: BLE001 - whatever the store does, alerts have to go on
                reason = str(error) if isinstance(error, HistoryError) else _place_of(error)
                log.warning("channel %s waits for the history: %s", self.channel.name, reason)
                sleep, store_wait = store_wait, min(2 * store_wait, longest)
                time.sleep(0.05)  # so that somebody who wakes it all the time does not make it spin
            if not self._closing:
                self._woken.wait(sleep)

    def _pass(self) -> float:
        """Tries what is ready; gives the seconds until something else is."""
        while self._owed:
            self._owed[0]()
            self._owed.popleft()
        todo = self._plan()
        for old in todo.superseded:
            self._store.notice_delivered(old.id)
            self._status = replace(self._status, superseded=self._status.superseded + 1)
        for notice in todo.ready:
            if self._closing:
                break
            self._try(notice)
            if self._woken.is_set():
                break  # something new may come before the rest
        if todo.ready:
            return 0.0
        until = _LONGEST_SLEEP_SECONDS if todo.next_due is None else todo.next_due - time.time()
        return min(max(until, 0.01), _LONGEST_SLEEP_SECONDS)

    def _plan(self) -> Plan:
        now = time.time()
        pending = self._store.due_notices(self.channel.name, _FOREVER, _LOOKED_AT)
        if len(pending) < _LOOKED_AT:
            return plan(pending, now)
        seen = {notice.id for notice in pending}  # behind many that wait there may be some that are due
        due = self._store.due_notices(self.channel.name, now, _LOOKED_AT)
        todo = plan([*pending, *(notice for notice in due if notice.id not in seen)], now)
        following = self._store.next_notice_due(self.channel.name)
        times = [max(moment, now + 1.0) for moment in (todo.next_due, following) if moment is not None]
        return replace(todo, next_due=min(times, default=None))

    def _try(self, notice: Notice) -> None:
        try:
            self.channel.send(notice)
        except NotifyError as error:
            self._failed(notice, error)
        except Exception as error:  # noqa: BLE001 - whatever a channel does wrong, alerts have to go on
            # A foreign error's own words may hold secrets.
            self._failed(notice, NotifyError(self.channel.name, f"a fault of the program: {_place_of(error)}"))
        else:
            delivered = self._status.delivered + 1
            self._status = replace(
                self._status, delivered=delivered, last_error=None, last_delivered_at=round(time.time(), 3)
            )
            self._tell(lambda: self._store.notice_delivered(notice.id))

    def _failed(self, notice: Notice, error: NotifyError) -> None:
        if self._closing:
            return  # it was called off, and counts for nothing
        self._status = replace(self._status, failed=self._status.failed + 1, last_error=error.reason)
        attempts = notice.attempts + 1
        if error.lasting or attempts >= self._options.attempts:
            log.warning("%s; alert %s is not tried again until it is replayed", error, notice.alert)
            self._tell(lambda: self._store.notice_dead(notice.id, error.reason))
            return
        wait = self._options.wait_seconds(attempts, random.random())
        if isinstance(error, BusyError):
            wait = max(wait, error.retry_after_seconds)
        log.warning("%s; alert %s is tried again in %.3g s (attempt %d)", error, notice.alert, wait, attempts + 1)
        due_at = time.time() + wait
        self._tell(lambda: self._store.notice_postponed(notice.id, due_at, error.reason))

    def _tell(self, fact: Callable[[], None]) -> None:
        """Tells the store; where it cannot be told, before the next pass, so that nothing is sent twice for that."""
        self._owed.append(fact)
        self._owed[0]()
        self._owed.popleft()


def _place_of(error: BaseException) -> str:
    """What kind of error it is and where it was raised, without its words."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
