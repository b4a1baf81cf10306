"""What a channel is, and what is kept of every message that has to reach one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

from streamer.errors import NotifyError

NoticeState = Literal["pending", "delivered", "dead"]


@dataclass(frozen=True, slots=True)
class Notice:
    """One change of an alert on its way to one channel. Kept on disk until it is delivered, so that it survives."""

    id: int
    channel: str
    """Name of the channel, as the user gave it."""
    alert: str
    """`Alert.id`."""
    revision: int
    """`Alert.revision`."""
    document: dict[str, Any]
    """`Alert.document` as it stood then."""
    attempts: int = 0
    """How often it was tried in vain."""
    due_at: float = 0.0
    """Unix seconds before which it is not tried (again)."""
    state: NoticeState = "pending"
    error: str | None = None
    """Why the newest attempt failed; without secrets."""


class NoticeStore(Protocol):
    """Where notices are kept; every call is durable when it returns. Called from any thread."""

    def due_notices(self, channel: str, now: float, limit: int) -> list[Notice]:
        """Pending ones of that channel that may be tried, oldest first."""

    def next_notice_due(self, channel: str) -> float | None:
        """Unix seconds when the next pending one may be tried; None if there is none."""

    def notice_delivered(self, id: int) -> None: ...

    def notice_postponed(self, id: int, due_at: float, error: str) -> None:
        """One more attempt was in vain."""

    def notice_dead(self, id: int, error: str) -> None:
        """It is not tried any more, until somebody replays it."""

    def dead_notices(self, channel: str | None = None, limit: int = 100) -> list[Notice]:
        """Newest first."""

    def replay_notices(self, ids: Sequence[int]) -> int:
        """Makes dead ones pending again, with no attempts; says how many there were."""


class BusyError(NotifyError):
    """The receiver asks to be left alone for ``retry_after_seconds``."""

    def __init__(self, channel: str, reason: str, retry_after_seconds: float) -> None:
        super().__init__(channel, reason)
        self.retry_after_seconds = retry_after_seconds


class Channel(Protocol):
    """A way out for alerts. Used by one thread at a time. A context manager."""

    name: str

    def send(self, notice: Notice) -> None:
        """Delivers it, within the channel's own timeout. Raises `streamer.errors.NotifyError` where it cannot."""

    def close(self) -> None:
        """Ends what it holds open; calling it again does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None: ...
