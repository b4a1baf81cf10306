"""When a failed request is tried again: how long after, and how many in all. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.25, 5.0


def backoff_seconds(attempt: int, chance: float) -> float:
    """Before the attempt behind the ``attempt``-th, from 1; ``chance`` in [0, 1) keeps many from coming at once."""
    wait = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(attempt - 1, 20))
    return wait * (0.5 + chance / 2)


def retry_after_seconds(header: str | None, now: datetime | None = None) -> float | None:
    """What a ``Retry-After`` asks for, in seconds or as a date; None for none and for nonsense.

    >>> retry_after_seconds("2")
    2.0
    """
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            moment = parsedate_to_datetime(header)
        except ValueError:
            return None
        seconds = (moment.astimezone(UTC) - (now or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


class RetryBudget:
    """Retries are a share of requests, and a few beside it, so that a fault does not multiply the load.

    >>> budget = RetryBudget(reserve=1, share=0.5)
    >>> budget.spend(), budget.spend()
    (True, False)
    >>> budget.earn(); budget.earn(); budget.spend()
    True
    """

    def __init__(self, reserve: float = 32.0, share: float = 0.2) -> None:
        self._most = self._left = float(reserve)
        self._share = share

    def earn(self) -> None:
        """A request was made."""
        self._left = min(self._most, self._left + self._share)

    def spend(self) -> bool:
        """Whether one more retry may be made; if so, it counts as made."""
        if self._left < 1:
            return False
        self._left -= 1
        return True
