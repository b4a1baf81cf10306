"""A file as a test camera: at its own pace, once or in a loop."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from streamer.buffers import wait_until
from streamer.sources.encoded import Tap, keepable
from streamer.sources.timeline import DEFAULT_STEP

if TYPE_CHECKING:
    from streamer.sources.base import Counters
    from streamer.sources.encoded import EncodedPacket
    from streamer.sources.picture import VideoPicture
    from streamer.sources.ring import PacketRing
    from streamer.sources.sampled import SampledSource

_LATE_SECONDS = 1.0
"""Lag after which the clock is set back instead of catching up."""
_MOST_AHEAD = 256
"""Packets that a decoder with frame threads reads before the picture shown now: far fewer."""


class PacedFeed:
    """Pictures at the moments that their times say.

    In a loop ``time`` keeps rising, each round following on from the one before it, while ``index`` and ``pts`` stay
    those of the file.
    """

    comes_back = False

    def __init__(
        self,
        address: str,
        make: Callable[[Counters], SampledSource],
        *,
        loop: bool,
        ring: PacketRing | None = None,
    ) -> None:
        self.address, self._make, self._loop, self.ring = address, make, loop, ring
        self.codec = ""
        self.rate: float | None = None

    def pictures(self, stop: threading.Event, counters: Counters) -> Iterator[VideoPicture]:
        source = self._make(counters)
        self.codec, self.rate = source.info.codec, source.info.rate
        ahead = self._ahead(source)
        shift, gap = Fraction(0), DEFAULT_STEP
        last: Fraction | None = None
        clock = 0.0
        round_ = 0
        while True:
            round_ += 1
            if ahead is not None:
                ahead.tap.round = round_
            for number, picture in enumerate(source.chosen()):
                if last is None:
                    clock = time.monotonic() - picture.time_seconds
                elif number == 0:
                    shift = last + gap - picture.time
                else:
                    gap = picture.time + shift - last
                last = picture.time = picture.time + shift
                picture.time_seconds = float(last)
                if wait_until(stop, clock + picture.time_seconds):
                    return
                picture.captured_at, picture.round = time.monotonic(), round_
                late = picture.captured_at - clock - picture.time_seconds
                clock += late if late > _LATE_SECONDS else 0.0
                if ahead is not None:
                    ahead.show(picture)
                yield picture
            if ahead is not None:
                ahead.finish()
            if not self._loop or stop.is_set():
                return

    def _ahead(self, source: SampledSource) -> _Ahead | None:
        if self.ring is None or not keepable(self.codec):
            self.ring = None
            return None
        ahead = _Ahead(self.ring)
        source.keep = ahead.tap
        return ahead


class _Ahead:
    """Packets that were read already, kept back until their pictures are shown, as a camera would send them."""

    def __init__(self, ring: PacketRing) -> None:
        self._ring = ring
        self._packets: deque[EncodedPacket] = deque()
        self._gone: deque[int | None] = deque(maxlen=_MOST_AHEAD)
        self.tap = Tap(self.add, time.monotonic)
        """What the source hands its packets to."""

    def add(self, packet: EncodedPacket) -> None:
        self._packets.append(packet)
        if len(self._packets) > _MOST_AHEAD:
            self._ring.put(self._packets.popleft())

    def show(self, picture: VideoPicture) -> None:
        """Lets go, in order of decoding, what had to be decoded for ``picture``; one where its packet is not told."""
        now = picture.captured_at or time.monotonic()
        if any(packet.pts == picture.pts for packet in self._packets):
            while self._put(now).pts != picture.pts:
                pass
        elif self._packets and picture.pts not in self._gone:
            self._put(now)

    def finish(self) -> None:
        """At the end of a round."""
        while self._packets:
            self._put(time.monotonic())
        self._gone.clear()

    def _put(self, now: float) -> EncodedPacket:
        packet = replace(self._packets.popleft(), captured_at=now)
        self._ring.put(packet)
        self._gone.append(packet.pts)
        return packet
