"""A `NoticeStore` in memory, and notices as rules would store them."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from streamer.alerts import Alert, Phase
from streamer.errors import HistoryError
from streamer.geometry import Box
from streamer.notify.base import Notice
from streamer.results import Detection

ALERT = "0192f3a4b5c6d7e8f90a1b2c3d4e5f60"


def alert(phase: Phase = "new", revision: int = 1, id: str = ALERT, **changes: Any) -> Alert:
    values: dict[str, Any] = {
        "id": id,
        "rule": "person at night",
        "stream": "gate",
        "severity": "critical",
        "phase": phase,
        "revision": revision,
        "title": "Somebody is at the gate",
        "started_at": 1764072000.0,
        "updated_at": 1764072000.0 + revision,
        "detections": (Detection("person", Box(0.1, 0.2, 0.3, 0.9), 1),),
        "snapshot": "a b.jpg",
        "faults": {"clip": "the disk is full"},
    }
    return Alert(**{**values, **changes})


def notice(number: int = 1, channel: str = "hook", phase: Phase = "new", revision: int = 1, **changes: Any) -> Notice:
    document = alert(phase, revision, **changes).document()
    return Notice(number, channel, document["id"], revision, json.loads(json.dumps(document)))


class MemoryStore:
    """Keeps notices in a dictionary. While ``fault`` is set every call raises it."""

    def __init__(self) -> None:
        self.fault: HistoryError | None = None
        self._lock = threading.Lock()
        self._notices: dict[int, Notice] = {}

    def add(
        self, channel: str = "hook", phase: Phase = "new", revision: int = 1, due_at: float = 0.0, **changes: Any
    ) -> int:
        with self._lock:
            number = len(self._notices) + 1
            self._notices[number] = replace(notice(number, channel, phase, revision, **changes), due_at=due_at)
            return number

    def get(self, number: int) -> Notice:
        with self._lock:
            return self._notices[number]

    def due_notices(self, channel: str, now: float, limit: int) -> list[Notice]:
        return [each for each in self._all(channel, "pending") if each.due_at <= now][:limit]

    def next_notice_due(self, channel: str) -> float | None:
        return min((each.due_at for each in self._all(channel, "pending")), default=None)

    def notice_delivered(self, id: int) -> None:
        self._change(id, state="delivered")

    def notice_postponed(self, id: int, due_at: float, error: str) -> None:
        self._change(id, due_at=due_at, error=error, attempts=self.get(id).attempts + 1)

    def notice_dead(self, id: int, error: str) -> None:
        self._change(id, state="dead", error=error, attempts=self.get(id).attempts + 1)

    def dead_notices(self, channel: str | None = None, limit: int = 100) -> list[Notice]:
        return self._all(channel, "dead")[::-1][:limit]

    def replay_notices(self, ids: Sequence[int]) -> int:
        dead = [each.id for each in self._all(None, "dead") if each.id in ids]
        for number in dead:
            self._change(number, state="pending", attempts=0, due_at=0.0, error=None)
        return len(dead)

    def _all(self, channel: str | None, state: str) -> list[Notice]:
        with self._lock:
            self._check()
            return [each for each in self._notices.values() if channel in (None, each.channel) and each.state == state]

    def _change(self, number: int, **changes: Any) -> None:
        with self._lock:
            self._check()
            self._notices[number] = replace(self._notices[number], **changes)

    def _check(self) -> None:
        if self.fault is not None:
            raise self.fault
