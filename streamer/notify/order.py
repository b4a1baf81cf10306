"""Which notices of a channel are tried next. Values in, values out.

Within one alert revisions go out in order: a later one waits behind an earlier one that is still pending, also while
that one waits for its next attempt, so that no ``end`` comes before its ``new``. Other alerts are not held up. Of
several pending updates of one alert only the newest goes out, since each document is whole; ``new`` and ``end`` always
do. A notice that is dead holds nothing up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamer.notify.base import Notice


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with the pending notices of one channel."""

    ready: tuple[Notice, ...]
    """To be tried now, in this order, at most one of each alert: those never tried first, the oldest of them first."""
    superseded: tuple[Notice, ...]
    """Updates that a newer pending update makes needless."""
    next_due: float | None
    """Unix seconds when one that is not ready yet can be tried; None if there is none."""


def plan(pending: Sequence[Notice], now: float) -> Plan:
    """``now`` in Unix seconds."""
    alerts: dict[str, list[Notice]] = {}
    for notice in sorted(pending, key=lambda notice: (notice.revision, notice.id)):
        alerts.setdefault(notice.alert, []).append(notice)
    superseded = [old for notices in alerts.values() for old in _superseded(notices)]
    dropped = {notice.id for notice in superseded}
    first = [next(notice for notice in notices if notice.id not in dropped) for notices in alerts.values()]
    ready = sorted((notice for notice in first if notice.due_at <= now), key=lambda n: (n.attempts > 0, n.id))
    later = [notice.due_at for notice in first if notice.due_at > now]
    return Plan(tuple(ready), tuple(superseded), min(later, default=None))


def _superseded(notices: Sequence[Notice]) -> list[Notice]:
    """``notices``: those of one alert by rising revision."""
    updates = [notice for notice in notices if notice.document.get("type") == "update"]
    return updates[:-1]
