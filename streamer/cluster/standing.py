"""A stream of a cluster as it stands for those who watch it here, whatever process runs it and on which node."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streamer.addresses import redact
from streamer.cluster.numbering import Numbering
from streamer.cluster.parcels import Answered, Parcel
from streamer.display import EncodedPicture
from streamer.settings import StreamSettings, StreamStatus

if TYPE_CHECKING:
    from streamer.frames import Frame
    from streamer.monitor import Event
    from streamer.results import FrameResult
    from streamer.showing import Shown
    from streamer.sources.base import State

log = logging.getLogger(__name__)


class Standing:
    """Opens parcels: `told(event)` hears of pictures, boxes and states, `heard(result, frame)` of results.

    Everything may be called from any thread, parcels of one process in their order.
    """

    def __init__(
        self,
        name: str,
        number: int,
        address: str,
        settings: StreamSettings,
        group: str,
        *,
        told: Callable[[Event], None],
        heard: Callable[[FrameResult, Frame | None], None],
    ) -> None:
        self._name, self._number = name, number
        self._told, self._heard = told, heard
        self._lock = threading.Lock()
        self._numbering = Numbering()
        self._status = _blank(name, number, redact(address), settings, group)
        self._at = time.monotonic()
        self._seen: int | None = None
        """Revision of the newest status of the process."""
        self._lost = 0
        self._still: EncodedPicture | None = None

    def status(self) -> StreamStatus:
        with self._lock:
            passed, status = time.monotonic() - self._at, self._status
        retry = status.retry_seconds
        return replace(
            status,
            since_seconds=status.since_seconds + passed,
            retry_seconds=None if retry is None else max(0.0, retry - passed),
        )

    @property
    def state(self) -> State:
        return self._status.state

    @property
    def newest(self) -> EncodedPicture | None:
        """The newest picture that came."""
        return self._still

    def there(self, moment: float) -> float:
        """The moment by the clock of the process."""
        with self._lock:
            return self._numbering.clock.there(moment)

    # -- what changes here

    def begin(self) -> None:
        """Another process runs the stream from now on."""
        with self._lock:
            self._numbering.begin()
            self._seen, self._lost = None, 0

    def keep(self, still: EncodedPicture) -> EncodedPicture | None:
        """A picture that the process gave for itself, as it is here."""
        with self._lock:
            shown = self._numbering.shown(still)
            if isinstance(shown, EncodedPicture):
                self._still = shown
            return self._still

    def change(self, **fields: Any) -> None:
        """Settings or group are others now."""
        with self._lock:
            self._status = replace(self._status, revision=self._status.revision + 1, **fields)
        self._told(self.status())

    def wait(self, reason: str, seconds: float) -> None:
        """No process runs the stream, and another one is tried in so many seconds."""
        with self._lock:
            self._numbering.add("reconnects")
            self._status = replace(
                self._status, revision=self._status.revision + 1, state="waiting", reason=reason, since_seconds=0.0,
                analysed_fps=0.0, picture_fps=0.0, reused_fps=0.0, reconnects=self._status.reconnects + 1,
                retry_seconds=seconds,
            )  # fmt: skip
            self._at = time.monotonic()
        self._told(self.status())

    # -- what comes from the process

    def open(self, parcel: Parcel) -> None:
        now = time.monotonic()
        with self._lock:
            self._numbering.clock.read(parcel.at, now)
        if parcel.lost > self._lost:
            log.warning("stream %s: %d results were lost on their way here", self._name, parcel.lost - self._lost)
            self._lost = parcel.lost
        for event in parcel.events:
            match event:
                case Answered():
                    self._hear(event, now)
                case StreamStatus():
                    self._learn(event, now)
                case _:
                    self._show(event)
        self._learn(parcel.status, now)

    def _hear(self, answered: Answered, now: float) -> None:
        with self._lock:
            result = self._numbering.result(answered.result, answered.at, now)
            here = self._numbering.clock.here
        packed = answered.frame
        self._heard(result, None if packed is None else packed.frame(result.sequence, here))

    def _show(self, event: Shown) -> None:
        with self._lock:
            shown = self._numbering.shown(event)
            if isinstance(shown, EncodedPicture):
                self._still = shown
        self._told(shown)

    def _learn(self, status: StreamStatus, now: float) -> None:
        with self._lock:
            changed, before = status.revision != self._seen, self._status
            self._seen = status.revision
            counts = self._numbering.counts({**status.counts, "reconnects": status.reconnects})
            reconnects = counts.pop("reconnects", 0)
            if self._lost:
                counts["undelivered"] = self._lost
            self._status = replace(
                status,
                number=self._number,
                revision=before.revision + changed,
                address=before.address or status.address,
                settings=before.settings,
                group=before.group,
                counts=counts,
                reconnects=reconnects,
            )
            self._at = now
        if changed:
            self._told(self.status())


def _blank(name: str, number: int, address: str, settings: StreamSettings, group: str) -> StreamStatus:
    """Of a stream that no process has yet."""
    return StreamStatus(
        name=name, number=number, revision=0, address=address, state="connecting", reason="", since_seconds=0.0,
        settings=settings, source_size=None, kind="", codec="", analysed_fps=0.0, picture_fps=0.0, counts={},
        reconnects=0, group=group,
    )  # fmt: skip
