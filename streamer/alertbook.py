"""Alerts from their first message to their last: into the history in order, then to channels and to who listens."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streamer.alerts import Alert, Phase
from streamer.errors import HistoryError, OptionError

if TYPE_CHECKING:
    from streamer.history import History

log = logging.getLogger(__name__)

MAX_UNSAVED = 1000
"""Messages of alerts that wait for a history that does not take them; beyond them the oldest is lost, and logged."""

Told = Callable[[Alert], None]
"""Hears of every change of an alert, once it is in the history; on the thread that changed it."""


class AlertBook:
    """The alerts that go on, or that something is still to come for. Called from any thread; owns no history.

    While the history takes nothing, messages wait in their order (`save_again`) and nobody hears of them.
    """

    def __init__(
        self,
        history: History,
        lock: threading.RLock,
        channels: Callable[[str | None], tuple[str, ...]],
        wake: Callable[[], None],
    ) -> None:
        """``lock`` is held for every change, so that its owner can do more in one step. ``channels(rule)``: names of
        the channels that hear of the rule, of all for None; ``wake()`` says that there are new notices for them."""
        self._history, self._lock = history, lock
        self._channels, self._wake_channels = channels, wake
        self._alerts: dict[str, Alert] = {}
        self._heard: dict[str, tuple[str, ...]] = {}
        """Id -> the channels that heard of its beginning, and hear of the rest, whatever becomes of its rule."""
        self._pending: Counter[str] = Counter()
        """Id -> how many updates are still to come."""
        self._unsaved: deque[tuple[Alert, tuple[str, ...]]] = deque(maxlen=MAX_UNSAVED)
        self._stuck = False
        """Whether the history did not take the newest one."""
        self._told: tuple[Told, ...] = ()

    def acknowledge(self, id: str, by: str) -> Alert:
        """A person took note of the alert: in the history when this returns. Raises `OptionError` for an unknown id
        and `HistoryError`."""
        with self._lock:
            alert = self._history.acknowledge(id, by, time.time())
            if id in self._alerts:
                self._alerts[id] = alert
        self._tell(alert)
        return alert

    def find(self, id: str) -> Alert | None:
        """Raises `HistoryError`."""
        with self._lock:
            if id in self._alerts:
                return self._alerts[id]
        try:
            return self._history.alert(id)
        except OptionError:
            return None

    def unacknowledged(self, limit: int) -> list[Alert]:
        """The newest ones that go on or that nobody took note of, oldest first; none where the history fails."""
        try:
            found = {alert.id: alert for alert in self._history.alerts(unacknowledged=True, limit=limit)}
            found |= {alert.id: alert for alert in self._history.open_alerts()}
        except HistoryError as error:
            log.warning("%s", error)
            return []
        return sorted(found.values(), key=lambda alert: alert.started_at)[-limit:]

    def subscribe(self, told: Told) -> Callable[[], None]:
        """Calls ``told`` with every change of an alert from now on; the returned function ends that."""
        with self._lock:
            self._told = (*self._told, told)

        def unsubscribe() -> None:
            with self._lock:
                self._told = tuple(other for other in self._told if other is not told)

        return unsubscribe

    def begin(self, alert: Alert) -> None:
        """Its first message."""
        with self._lock:
            self._heard[alert.id] = self._channels(alert.rule)
            self._publish(alert)

    def expect(self, id: str) -> None:
        """An update of the alert is to `come`."""
        with self._lock:
            self._pending[id] += 1

    def come(self, id: str, changes: dict[str, Any], what: str, fault: str | None) -> None:
        """Something that was to come has come, with a ``fault`` where it is not what it should be."""
        with self._lock:
            self._pending[id] -= 1
            self.change(id, changes, what, fault)

    def change(self, id: str, changes: Mapping[str, Any], what: str = "", fault: str | None = None) -> None:
        """Another message of an alert that goes on; of any other one nothing is said. ``fault``: why ``what`` of it
        could not be had."""
        with self._lock:
            alert = self._alerts.get(id)
            if alert is None:
                return
            faults = alert.faults if fault is None else {**alert.faults, what: fault}
            ended = changes.get("ended_at", alert.ended_at)
            phase: Phase = "update" if ended is None else "end"
            revision, now = alert.revision + 1, time.time()
            changed = replace(alert, **changes, faults=faults, phase=phase, revision=revision, updated_at=now)
            self._publish(changed)

    def end_left_over(self) -> None:
        """Alerts that went on when an earlier run was cut off."""
        now = time.time()
        with self._lock:
            for alert in self._history.open_alerts():
                faults = {**alert.faults, "end": "the program ended before the alert did"}
                revision = alert.revision + 1
                ended = replace(alert, phase="end", ended_at=now, updated_at=now, revision=revision, faults=faults)
                self._heard[alert.id] = self._history.channels_of(alert.id)
                self._publish(ended)

    def save_again(self) -> None:
        """What waits for the history is offered to it again."""
        with self._lock:
            self._save()

    # -- with the lock held, but for `_tell`

    def _publish(self, alert: Alert) -> None:
        known = self._channels(None)
        channels = tuple(name for name in self._heard[alert.id] if name in known)
        self._alerts[alert.id] = alert
        if alert.ended_at is not None and self._pending[alert.id] <= 0:
            del self._alerts[alert.id], self._pending[alert.id], self._heard[alert.id]
        if len(self._unsaved) == MAX_UNSAVED:
            lost = self._unsaved[0][0]
            log.error("the history takes nothing: a message of alert %s of rule %s is lost", lost.id, lost.rule)
        self._unsaved.append((alert, channels))
        self._save()

    def _save(self) -> None:
        """Into the history in order, then to whoever listens."""
        while self._unsaved:
            alert, channels = self._unsaved[0]
            try:
                kept = self._history.put_alert(alert, channels)
            except HistoryError as error:
                if not self._stuck:
                    log.warning("alerts wait for the history, that of rule %s first: %s", alert.rule, error)
                self._stuck = True
                return
            self._stuck = False
            self._unsaved.popleft()
            if alert.id in self._alerts and self._alerts[alert.id].revision <= kept.revision:
                self._alerts[alert.id] = kept
            self._wake_channels()
            self._tell(kept)

    def _tell(self, alert: Alert) -> None:
        for told in self._told:
            try:
                told(alert)
            except Exception:  # a listener's fault is its own
                log.exception("a listener failed on alert %s", alert.id)


def new_id() -> str:
    """32 hexadecimal digits, unique everywhere, rising with time."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
