"""Cameras: a thread of their own keeps the newest picture, and they come back by themselves."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from streamer.addresses import redact
from streamer.buffers import Closed, LatestSlot
from streamer.errors import OptionError, SourceError, StreamerError
from streamer.sampling import Due, Sampling, select
from streamer.sources.base import Counters, Source, SourceInfo, State
from streamer.sources.sampled import thumbnail, to_frames

if TYPE_CHECKING:
    from streamer.frames import Frame
    from streamer.sources.base import SizeFor
    from streamer.sources.picture import VideoPicture
    from streamer.sources.ring import PacketRing

OnState = Callable[[State, str], None]
"""Called with the new state and what is known of it, without passwords; on the decoding thread, so be quick."""
_CLOSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """How patient a camera's reader is. Raises `OptionError`."""

    transport: Literal["tcp", "udp"] = "tcp"
    """For RTSP."""
    connect_timeout_seconds: float = 10.0
    stall_seconds: float = 5.0
    """Silence after which the connection is given up and made anew."""
    first_delay_seconds: float = 0.5
    """Before the first try to reconnect; doubled with each one that fails."""
    longest_delay_seconds: float = 30.0
    jitter: float = 0.25
    """Part of the delay that is left to chance, so that many cameras do not come back at one moment."""
    attempts: int | None = None
    """Failures in a row after which `SourceError` is raised; None tries forever."""
    keep_seconds: float = 0.0
    """How much of a camera's past is kept as it was sent (`Source.ring`); 0 keeps nothing."""

    def __post_init__(self) -> None:
        if self.transport not in ("tcp", "udp"):
            raise OptionError("transport", self.transport, "tcp or udp")
        for name in ("connect_timeout_seconds", "stall_seconds", "first_delay_seconds", "longest_delay_seconds"):
            if not getattr(self, name) > 0:
                raise OptionError(name.removesuffix("_seconds"), getattr(self, name), "seconds above 0")
        if not (self.keep_seconds >= 0 and math.isfinite(self.keep_seconds)):
            raise OptionError("keep", self.keep_seconds, "seconds from 0 (off)")

    def delay_seconds(self, failures: int, chance: float) -> float:
        """Before the next try, after so many failures in a row (from 1); ``chance`` in [0, 1)."""
        delay = min(self.longest_delay_seconds, self.first_delay_seconds * 2.0 ** min(failures - 1, 30))
        return float(delay * (1 + self.jitter * (2 * chance - 1)))


class StalledError(SourceError):
    """The camera is connected and sends nothing."""


class Feed(Protocol):
    """Where live pictures come from: one call of `pictures` is one connection."""

    address: str
    comes_back: bool
    """Whether to connect again after a fault."""
    codec: str
    rate: float | None
    ring: PacketRing | None
    """Where its packets go, if there are any and they are kept."""

    def pictures(self, stop: threading.Event, counters: Counters) -> Iterator[VideoPicture]:
        """As they come, with ``captured_at``; ends at ``stop`` or at the end of the stream. Raises `SourceError`."""


class LiveSource(Source):
    """Iteration gives the newest picture each time; those that nobody took in time are counted as dropped."""

    live = True

    def __init__(
        self,
        feed: Feed,
        *,
        stream: str,
        sampling: Sampling | None = None,
        size_for: SizeFor | None = None,
        options: LiveOptions | None = None,
        on_state: OnState | None = None,
    ) -> None:
        self._feed, self._stream, self._size_for = feed, stream, size_for
        self._sampling = sampling or Sampling.all()
        self._options, self._on_state = options or LiveOptions(), on_state
        self._counters = Counters()
        self._slot: LatestSlot[VideoPicture] = LatestSlot()
        self._stop = threading.Event()
        self._known = threading.Event()
        self._info: SourceInfo | None = None
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self.state: State = "connecting"

    @property
    def info(self) -> SourceInfo:
        """Waits for the first picture. Raises `SourceError` where none comes."""
        self._start()
        self._known.wait(self._options.connect_timeout_seconds + self._options.stall_seconds)
        if self._info is None:
            reason = self._counters.faults[-1] if self._counters.faults else "no picture comes"
            raise SourceError(self._feed.address, reason, "check the camera and its address")
        return self._info

    @property
    def counters(self) -> Counters:
        return self._counters

    @property
    def over(self) -> bool:
        """Whether its thread has ended after `close`, which FFmpeg may put off until its own timeout."""
        return self._stop.is_set() and (self._thread is None or not self._thread.is_alive())

    @property
    def ring(self) -> PacketRing | None:
        return self._feed.ring

    def pictures(self) -> Iterator[VideoPicture]:
        self._start()
        while not self._stop.is_set():
            try:
                picture = self._slot.get()
            except Closed:
                return
            yield picture

    def frames(self) -> Iterator[Frame]:
        """Sampled by the clock on the wall: ``every`` takes the first picture after each moment of its grid."""
        return to_frames(self._chosen(), self._stream, self._size_for)

    def close(self) -> None:
        self._stop.set()
        self._known.set()
        self._slot.close()
        self._close_ring()
        with self._starting:  # a thread that is just being started cannot be joined yet
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_CLOSE_SECONDS)

    def _close_ring(self) -> None:
        ring = self._feed.ring
        if ring is not None:
            ring.close()

    def _chosen(self) -> Iterator[VideoPicture]:
        if self._sampling.interval is None:
            return select(self.pictures(), self._sampling, thumbnail)
        due = Due(self._sampling.interval)
        return (picture for picture in self.pictures() if due(picture.captured_at or 0.0))

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._stop.is_set():
                # A daemon: FFmpeg may sit in a system call until its own timeout, and must not hold up the exit.
                name = f"decode {redact(self._feed.address)}"
                self._thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._thread.start()

    # -- on the decoding thread

    def _work(self) -> None:
        fault: BaseException | None = RuntimeError("the decoding thread broke")
        try:
            fault = self._follow()
        finally:
            self._slot.close(fault)
            self._known.set()
            self._close_ring()

    def _follow(self) -> StreamerError | None:
        """Until the end (None), or a fault that nobody waits out."""
        failures = 0
        while not self._stop.is_set():
            self._enter("connecting", "")
            before = self._counters.decoded
            try:
                self._deliver()
            except Closed:
                break
            except OptionError as error:  # hardware decoding that this FFmpeg has not
                self._enter("failed", str(error))
                return error
            except SourceError as error:
                failures = failures + 1 if self._counters.decoded == before else 1
                if self._gives_up(error, failures):
                    error.frames_read = self._counters.decoded
                    return error
                continue
            break
        self._enter("ended", "")
        return None

    def _deliver(self) -> None:
        """One connection."""
        for picture in self._feed.pictures(self._stop, self._counters):
            if self._info is None or self._info.size != picture.source_size:
                self._learn(picture)
            if self.state != "live":
                self._enter("live", "")
            self._slot.put(picture)
            self._counters.dropped = self._slot.replaced

    def _gives_up(self, error: SourceError, failures: int) -> bool:
        """After the wait for the next try, unless there is none."""
        self._counters.note(error.reason)
        if isinstance(error, StalledError):
            self._counters.stalls += 1
            self._enter("stalled", error.reason)
        if not self._feed.comes_back or failures == self._options.attempts:
            self._enter("failed", error.reason)
            return True
        delay = self._options.delay_seconds(failures, random.random())
        self.retry_at = time.monotonic() + delay
        self._enter("waiting", f"{error.reason}; next try in {delay:.1f} s")
        if not self._stop.wait(delay):
            self._counters.reconnects += 1
        self.retry_at = None
        return False

    def _learn(self, picture: VideoPicture) -> None:
        address, rate = redact(self._feed.address), self._feed.rate
        self._info = SourceInfo(address, "live", picture.source_size, rate=rate, codec=self._feed.codec)
        self._known.set()

    def _enter(self, state: State, detail: str) -> None:
        if self._stop.is_set() and state != "ended":
            return
        self.state = state
        if self._on_state is not None:
            self._on_state(state, redact(detail))
