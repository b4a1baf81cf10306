"""The newest seconds of a camera as it sent them, and recordings that begin in the past."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from streamer.errors import OptionError
from streamer.sources.clipping import Clip, write_clip

if TYPE_CHECKING:
    from streamer.sources.encoded import EncodedPacket, Encoding

Ended = Literal["complete", "finished", "camera", "changed", "full"]
"""Why a recording takes no more: its time is over, `Recording.finish`, the camera went away, the camera sends with
other parameters (a new connection too), its packets became too many."""

KEEP_BYTES = 64 * 2**20
CLIP_BYTES = 256 * 2**20
_STALE_SECONDS = 1.0
"""What was last shown so long before a recording's beginning is not taken into it."""
_GRACE_SECONDS = 1.0
"""A recording whose time is over by so much is complete, though no packet came to show it."""


@dataclass(slots=True)
class _Group:
    """A key frame and all that came before the next one."""

    packets: list[EncodedPacket] = field(default_factory=list)
    cost_bytes: int = 0

    def add(self, packet: EncodedPacket) -> None:
        self.packets.append(packet)
        self.cost_bytes += packet.cost_bytes


class PacketRing:
    """Whole groups of pictures, each from its key frame on: at least the newest ``seconds``, at most ``max_bytes``.

    The decoding thread puts packets in; any thread may `record`. A camera that sends more than ``max_bytes`` in
    ``seconds`` has a shorter past (``shortened`` counts the groups lost so). Packets of another `Encoding` take the
    place of all before them.
    """

    def __init__(self, seconds: float = 10.0, max_bytes: int = KEEP_BYTES, *, max_clip_bytes: int = CLIP_BYTES) -> None:
        """``max_clip_bytes``: after so many a recording ends. Raises `OptionError`."""
        if not 0 < seconds < float("inf"):
            raise OptionError("keep", seconds, "seconds above 0")
        self.seconds, self.max_bytes, self.max_clip_bytes = seconds, max_bytes, max_clip_bytes
        self.shortened = 0
        self._groups: deque[_Group] = deque()
        self._bytes = 0
        self._encoding: Encoding | None = None
        self._changed = threading.Condition()
        self._recordings: list[Recording] = []
        self._listeners: tuple[Callable[[EncodedPacket], None], ...] = ()
        self._closed = False

    @property
    def held_bytes(self) -> int:
        """What the packets kept here cost, those of recordings not counted."""
        return self._bytes

    @property
    def held_seconds(self) -> float:
        """Between the arrivals of the oldest and the newest packet."""
        with self._changed:
            if not self._groups:
                return 0.0
            return self._groups[-1].packets[-1].captured_at - self._groups[0].packets[0].captured_at

    def packets(self) -> list[EncodedPacket]:
        """All that is kept now, in order of decoding."""
        with self._changed:
            return [packet for group in self._groups for packet in group.packets]

    def put(self, packet: EncodedPacket) -> None:
        """Never waits for long: nothing is written here."""
        with self._changed:
            if self._closed:
                return
            if packet.encoding is not self._encoding:
                self._begin(packet.encoding)
            if packet.key:
                self._groups.append(_Group())
            if self._groups:
                self._groups[-1].add(packet)
                self._bytes += packet.cost_bytes
            for recording in self._recordings:
                recording._take(packet)
            self._recordings = [recording for recording in self._recordings if recording.ended is None]
            self._forget(packet.captured_at)
        for listener in self._listeners:
            listener(packet)

    def listen(self, listener: Callable[[EncodedPacket], None]) -> Callable[[], None]:
        """Calls ``listener`` with every packet from now on, on the decoding thread; the returned function ends that."""
        with self._changed:
            self._listeners = (*self._listeners, listener)

        def unlisten() -> None:
            with self._changed:
                self._listeners = tuple(other for other in self._listeners if other is not listener)

        return unlisten

    def record(
        self, before_seconds: float, after_seconds: float, *, at: float | None = None, max_seconds: float = 120.0
    ) -> Recording:
        """From the key frame at or before ``before_seconds`` before ``at`` on, for ``after_seconds`` behind it.

        ``at`` is the moment that it is about (`time.monotonic`, as ``captured_at``), now by default. What is not kept
        any more is missing. It is never longer than ``max_seconds``. Raises `OptionError`.
        """
        for name, value in (("before", before_seconds), ("after", after_seconds)):
            if not 0 <= value <= max_seconds:
                raise OptionError(name, value, f"seconds from 0 to {max_seconds:g}")
        at = time.monotonic() if at is None else at
        start = at - before_seconds
        with self._changed:
            recording = Recording(self._changed, at, start + max_seconds, after_seconds, self.max_clip_bytes)
            for packet in self._since(start):
                recording._take(packet)
            if self._closed:
                recording._end("camera")
            if recording.ended is None:
                self._recordings.append(recording)
        return recording

    def interrupt(self) -> None:
        """The connection is gone: recordings end with what they have. The past stays until packets come again."""
        with self._changed:
            self._end_all("camera")

    def close(self) -> None:
        """No more packets come. The past stays; calling it again does nothing."""
        with self._changed:
            self._closed = True
            self._end_all("camera")

    def _begin(self, encoding: Encoding) -> None:
        self._end_all("changed")
        self._groups.clear()
        self._bytes, self._encoding = 0, encoding

    def _end_all(self, why: Ended) -> None:
        for recording in self._recordings:
            recording._end(why)
        self._recordings.clear()

    def _forget(self, now: float) -> None:
        while len(self._groups) > 1 and self._groups[1].packets[0].captured_at <= now - self.seconds:
            self._bytes -= self._groups.popleft().cost_bytes
        while self._bytes > self.max_bytes:
            self._bytes -= self._groups.popleft().cost_bytes
            self.shortened += 1

    def _since(self, start: float) -> Iterator[EncodedPacket]:
        earlier = [place for place, group in enumerate(self._groups) if group.packets[0].captured_at <= start]
        for group in list(self._groups)[earlier[-1] if earlier else 0 :]:
            if group.packets[-1].captured_at >= start - _STALE_SECONDS:
                yield from group.packets


class Recording:
    """Packets that become a clip. Made by `PacketRing.record`, which also feeds it; used from any thread.

    Keeps its packets as long as it lives: let it go once it is written.
    """

    def __init__(self, changed: threading.Condition, at: float, latest: float, after: float, max_bytes: int) -> None:
        self.at = at
        """The moment that it is about (`time.monotonic`)."""
        self.ended: Ended | None = None
        self._changed = changed
        self._until, self._latest = min(at + after, latest), latest
        self._packets: list[EncodedPacket] = []
        self._bytes, self._max_bytes = 0, max_bytes
        self._wall = time.time() - time.monotonic()

    def extend(self, seconds: float) -> bool:
        """Lets it go on until ``seconds`` from now at least, as far as its longest length allows; False where it has
        ended."""
        with self._changed:
            if self.ended is None:
                self._until = min(self._latest, max(self._until, time.monotonic() + seconds))
                self._changed.notify_all()
            return self.ended is None

    def finish(self) -> None:
        """Takes no more; calling it again does nothing."""
        with self._changed:
            self._end("finished")

    def wait(self, timeout: float) -> bool:
        """Whether it has ended, waiting for that at most ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while self.ended is None:
                now, over = time.monotonic(), self._until + _GRACE_SECONDS
                if now >= over:
                    self._end("complete")
                elif now >= deadline:
                    return False
                else:
                    self._changed.wait(min(over, deadline) - now)
        return True

    def packets(self) -> list[EncodedPacket]:
        """All so far, in order of decoding; the first one is a key frame."""
        with self._changed:
            return list(self._packets)

    def write(self, path: Path) -> Clip:
        """Ends it and writes the clip; not on the decoding thread. The suffix may become another: see `Clip.path`.

        May be called again, say where there was no room. Raises `OutputError`; then there is nothing at ``path`` that
        was not there before.
        """
        self.finish()
        return write_clip(self.packets(), path, at=self.at, wall=self._wall)

    # -- with the ring's lock held

    def _take(self, packet: EncodedPacket) -> None:
        if self.ended is not None or (not self._packets and not packet.key):
            return
        if packet.captured_at > self._until:
            self._end("complete")
        elif self._bytes + packet.cost_bytes > self._max_bytes:
            self._end("full")
        else:
            self._packets.append(packet)
            self._bytes += packet.cost_bytes

    def _end(self, why: Ended) -> None:
        if self.ended is None:
            self.ended = why
            self._changed.notify_all()
