"""The clips of alerts: recordings of cameras' packets that are written when they are complete."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamer.errors import StreamerError

if TYPE_CHECKING:
    from streamer.history import History
    from streamer.sources.ring import PacketRing, Recording

log = logging.getLogger(__name__)

MAX_RECORDINGS = 32
"""At once; each keeps its packets in memory until it is written."""
CLOSE_SECONDS = 2.0
_POLL_SECONDS = 0.25

Done = Callable[[str, str | None, str | None], None]
"""Called on the clips' thread with the alert's id, the clip's name, and why there is none."""


@dataclass(frozen=True, slots=True)
class ClipOptions:
    """How much of the video is kept with an alert."""

    before_seconds: float = 5.0
    after_seconds: float = 10.0
    max_seconds: float = 120.0
    """Of one clip, however long the alert goes on."""

    @property
    def wanted(self) -> bool:
        return self.before_seconds > 0 or self.after_seconds > 0


@dataclass(frozen=True, slots=True)
class _Open:
    alert: str
    stream: str
    at: float
    recording: Recording


class ClipWriter:
    """Writes clips into the history's folder on a thread of its own. A running alert's clip goes on with `extend`.

    At most 32 recordings at once; further ones are refused with the reason.
    """

    def __init__(self, history: History, done: Done, options: ClipOptions | None = None) -> None:
        self.options = options or ClipOptions()
        self._history, self._done = history, done
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}
        self._wake, self._closing = threading.Event(), False
        self._thread = threading.Thread(target=self._work, name="clips", daemon=True)
        self._thread.start()

    def begin(self, alert: str, stream: str, ring: PacketRing | None, at: float, moment: float | None) -> str | None:
        """Starts the clip of an alert; why there will be none. ``at``: Unix seconds; ``moment``: the same as
        `time.monotonic`."""
        if ring is None:
            return "this source has no packets to keep"
        with self._lock:
            if self._closing or len(self._open) >= MAX_RECORDINGS:
                return f"there were {MAX_RECORDINGS} other clips at once"
            options = self.options
            recording = ring.record(
                options.before_seconds, options.after_seconds, at=moment, max_seconds=options.max_seconds
            )
            self._open[alert] = _Open(alert, stream, at, recording)
        self._wake.set()
        return None

    def extend(self, alert: str) -> None:
        """The alert goes on."""
        with self._lock:
            one = self._open.get(alert)
        if one is not None:
            one.recording.extend(self.options.after_seconds)

    def close(self) -> None:
        """Writes what there is of running clips, and ends within 2 s; calling it again does nothing."""
        with self._lock:
            self._closing = True
        self._wake.set()
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            log.warning("the thread that writes clips is still busy")

    def _work(self) -> None:
        while True:
            with self._lock:
                running, closing = tuple(self._open.values()), self._closing
            for one in running:
                if closing or one.recording.wait(0):
                    self._write(one)
                    with self._lock:
                        del self._open[one.alert]
            if closing and not self._open:
                return
            self._wake.wait(_POLL_SECONDS if running else None)
            self._wake.clear()

    def _write(self, one: _Open) -> None:
        """Whatever happens, the alert hears of it."""
        try:
            name, path = self._history.new_clip_path(one.stream, one.at)
            clip = one.recording.write(path)
            name = name.removesuffix(path.suffix) + clip.path.suffix
            self._history.keep_clip(name, clip.started_at)  # the page plays it with the boxes of its time
            self._done(one.alert, name, None)
        except StreamerError as error:
            self._done(one.alert, None, str(error))
        except Exception as error:  # one clip's fault is its own
            log.exception("the clip of an alert on %s failed", one.stream)
            self._done(one.alert, None, f"{type(error).__name__}")
