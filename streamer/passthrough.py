"""A camera's own H.264, handed on to viewers as it came: nothing decoded or encoded for them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streamer.sources.encoded import parameter_sets

if TYPE_CHECKING:
    from streamer.sources.base import Picture
    from streamer.sources.encoded import EncodedPacket, Encoding
    from streamer.sources.ring import PacketRing

MOST_HELD = 64
"""Packets that wait for the time of their picture; beyond it the oldest goes with an estimate."""
TIMES_KEPT = 64
_PROFILES = frozenset({66, 77, 100})
"""Baseline, Main, High: 8 bits, 4:2:0, which all browsers decode."""
_LENGTH_PREFIXED = 1


@dataclass(frozen=True, slots=True)
class VideoSetup:
    """What a decoder has to know before the first packet."""

    codec: str
    """As WebCodecs and MIME types name it: ``avc1.640028``."""
    description: bytes = field(repr=False)
    """The ``avcC`` record; empty where packets have start codes and bring their parameters along."""
    size: tuple[int, int]
    """``(width, height)`` as coded; shown at the aspect of the stream's source."""


@dataclass(frozen=True, slots=True)
class VideoPacket:
    """An encoded picture of a stream, in order of decoding."""

    stream: str
    number: int
    """Rises by one from packet to packet; a gap, or another ``setup``, can be got over at a key picture only."""
    setup: VideoSetup
    key: bool
    time_seconds: float
    """Media time of its picture, as `Frame.time_seconds`."""
    captured_at: float
    """``time.monotonic()`` when its picture arrived."""
    data: bytes = field(repr=False)


def setup_of(encoding: Encoding) -> VideoSetup | None:
    """None where browsers cannot be relied on to decode it, or its times say nothing."""
    record = encoding.extradata
    if encoding.codec != "h264" or not encoding.timed or len(record) < 5:
        return None
    if record[0] == _LENGTH_PREFIXED:
        profile, description = record[1:4], record
    else:
        sets = [unit for kind, unit in parameter_sets("h264", record) if kind == "sps"]
        profile, description = (sets[0][1:4] if sets else b""), b""
    if len(profile) < 3 or profile[0] not in _PROFILES:
        return None
    return VideoSetup(f"avc1.{profile.hex()}", description, encoding.size)


def payload_of(packet: EncodedPacket) -> bytes:
    """Its data; a key picture with start codes has its parameter sets before it, wherever the camera sent them."""
    record = packet.encoding.extradata
    if not packet.key or record[:1] == bytes([_LENGTH_PREFIXED]):
        return packet.data
    if any(kind == "sps" for kind, _ in parameter_sets("h264", packet.data)):
        return packet.data
    return record + packet.data


@dataclass(frozen=True, slots=True)
class _Shown:
    """A decoded picture."""

    place: tuple[int, int]
    """Its round (see `EncodedPacket.round`) and its ``pts``."""
    time_seconds: float
    captured_at: float


class Passthrough:
    """Of one stream. Each packet waits until its picture was decoded, so that viewers know to which moment it belongs.

    Packets come on the thread that reads the source, pictures on the stream's own; ``told(packet)`` is called on
    either, one at a time.
    """

    def __init__(self, stream: str, told: Callable[[VideoPacket], None]) -> None:
        self._stream, self._told = stream, told
        self._lock = threading.Lock()
        self._ring: PacketRing | None = None
        self._end: Callable[[], None] = lambda: None
        self._held: deque[EncodedPacket] = deque()
        self._shown: deque[_Shown] = deque(maxlen=TIMES_KEPT)
        self._encoding: Encoding | None = None
        self._setup: VideoSetup | None = None
        self._number = 0

    def see(self, picture: Picture, ring: PacketRing | None, captured_at: float) -> None:
        """The next picture of the source, and where its packets are; what waited for it goes out."""
        if not picture.as_sent:
            ring = None
        if ring is not self._ring:
            self.close()
            self._ring, self._end = ring, (lambda: None) if ring is None else ring.listen(self._take)
        if picture.pts is None or ring is None:
            return
        with self._lock:
            self._shown.append(_Shown((picture.round, picture.pts), picture.time_seconds, captured_at))
            newest = self._shown[-1].place
            while self._held and _place(self._held[0]) <= newest:
                self._let_go()

    def close(self) -> None:
        """Takes no more packets until the next `see`; calling it again does nothing."""
        self._end()
        self._end, self._ring = (lambda: None), None
        with self._lock:
            self._held.clear()
            self._shown.clear()

    def _take(self, packet: EncodedPacket) -> None:
        with self._lock:
            if packet.pts is None:
                return
            self._held.append(packet)
            while len(self._held) > MOST_HELD:
                self._let_go()

    # -- with the lock held

    def _let_go(self) -> None:
        packet = self._held.popleft()
        self._number += 1
        if packet.encoding is not self._encoding:
            self._encoding, self._setup = packet.encoding, setup_of(packet.encoding)
        if self._setup is None or not self._shown:
            return
        time_seconds, captured_at = self._moment(packet)
        self._told(
            VideoPacket(
                self._stream, self._number, self._setup, packet.key, time_seconds, captured_at, payload_of(packet)
            )
        )

    def _moment(self, packet: EncodedPacket) -> tuple[float, float]:
        """Of its picture, or where that was lost by the nearest one of its round."""
        place = _place(packet)
        same = [shown for shown in self._shown if shown.place[0] == place[0]] or [self._shown[-1]]
        near = min(same, key=lambda shown: abs(shown.place[1] - place[1]))
        apart = float((place[1] - near.place[1]) * packet.encoding.time_base) if near.place[0] == place[0] else 0.0
        return near.time_seconds + apart, near.captured_at + apart


def _place(packet: EncodedPacket) -> tuple[int, int]:
    return packet.round, packet.pts or 0
