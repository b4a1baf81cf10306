"""Fetches single pictures of a file, by a seek or by decoding on, whichever is cheaper."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import av

from streamer.errors import SourceError
from streamer.sampling import cheaper_to_seek

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from streamer.sources.decoding import Decoder
    from streamer.sources.packets import Key, Mark, PacketTable

_SKIPS_EXACTLY = frozenset({"h264", "hevc", "mpeg2video", "mpeg4"})
"""Codecs whose decoders leave out pictures that no other picture needs without any effect on the rest."""


_READ_PAST = 150
"""So many packets are rather read than sought past: that costs less than a pause of the decoder's threads."""


class Surprise(Exception):
    """The file does not behave as its packet table says: only a plain decode can be trusted."""


class Fetcher:
    """Gives the frames of ``marks``, which rise in time, exactly as a decode of the whole file would."""

    def __init__(
        self, decoder: Decoder, packets: Iterator[Packet[VideoStream]], table: PacketTable, marks: list[Mark]
    ) -> None:
        """``packets`` come from the file's beginning."""
        self._decoder, self._packets, self._table, self._marks = decoder, packets, table, marks
        self._wanted = {mark.pts for mark in marks}
        self._context = decoder.stream.codec_context
        self._may_skip = self._context.name in _SKIPS_EXACTLY
        self._ready: deque[VideoFrame] = deque()
        self._stretches = deque(_stretches(table, marks))
        self._next = self._end = 0
        """Position of the packet that comes next, and of the first one behind the stretch that is decoded now."""
        self._drained = False
        """Whether only a seek makes the decoder take packets again."""
        self.seeks = 0

    def __iter__(self) -> Iterator[tuple[Mark, VideoFrame]]:
        """Raises `Surprise` where the rest has to be decoded plainly."""
        for mark in self._marks:
            yield mark, self._until(mark)

    def _until(self, mark: Mark) -> VideoFrame:
        while True:
            while self._ready:
                frame = self._ready.popleft()
                if frame.pts == mark.pts:
                    return frame
                if frame.pts is None or frame.pts > mark.pts:
                    raise Surprise(f"the picture at pts {mark.pts} does not come out of the decoder")
            if self._next < self._end or self._goes_on():
                packet = self._take()
                if packet is None:
                    raise Surprise(f"the file ends before the picture at pts {mark.pts}")
                self._feed(packet)

    def _goes_on(self) -> bool:
        """To the next stretch. False where the decoder was drained for that: at first its pictures are taken.

        Without draining, a decoder with frame threads gives a picture only some packets later. It is drained before a
        seek, which empties it; past a few packets the file is read on instead, and the threads have no pause."""
        if self._drained or not (self._stretches and self._passed(self._stretches[0].key)):
            if not self._drained:
                self._drained = True
                self._keep(self._decoder.drain)
                return False
            if not self._stretches:
                raise Surprise("a picture does not come out of the decoder")
            self._seek(self._stretches[0].key)
        self._end = self._stretches.popleft().end
        return True

    def _passed(self, key: Key) -> bool:
        """Reads on to ``key``; whether the decoder may take it as it is, because all begins anew there."""
        if key.position == self._next:
            return True
        if self._context.name != "h264" or key.position - self._next > _READ_PAST:
            return False
        while (packet := self._take()) is not None and (position := self._table.position(packet.pts)) is not None:
            if position >= key.position:
                self._packets = _chain(packet, self._packets)
                self._next = position
                self.seeks += 1
                return position == key.position and refreshes(packet, self._context.extradata)
        return False

    def _feed(self, packet: Packet[VideoStream]) -> None:
        """Pictures that nobody wants and no other picture needs are not decoded."""
        if packet.size:
            if self._table.position(packet.pts) != self._next:
                raise Surprise("packets come in another order than before")
            self._next += 1
            self._context.skip_frame = "NONREF" if self._may_skip and packet.pts not in self._wanted else "DEFAULT"
        self._keep(lambda: self._decoder.decode(packet))

    def _keep(self, decode: Callable[[], list[VideoFrame]]) -> None:
        damaged = self._decoder.counters.corrupt
        self._ready.extend(decode())
        if self._decoder.counters.corrupt != damaged:
            raise Surprise("a packet cannot be decoded")

    def _seek(self, key: Key) -> None:
        """To ``key`` exactly; where the container lands behind it, from further back."""
        aim: Key | None = key
        self._ready.clear()
        self._drained = False
        while aim is not None:
            if self._landed(aim, key):
                self._next = key.position
                return
            aim = self._table.previous(aim)
        raise Surprise("the file cannot be searched")

    def _landed(self, aim: Key, key: Key) -> bool:
        """Seeks to ``aim`` and passes over the packets before ``key``; False where the seek went too far."""
        container, stream = self._decoder.container, self._decoder.stream
        by_dts = "mov" in container.format.name and aim.dts is not None
        try:
            container.seek((aim.dts if by_dts else None) or aim.pts, stream=stream)
        except (av.FFmpegError, OSError) as error:
            raise Surprise("the file cannot be searched") from error
        self.seeks += 1
        self._packets = self._decoder.packets()
        for packet in self._packets:
            position = self._table.position(packet.pts)
            if position is None or position > key.position:
                return False
            if position == key.position:
                self._packets = _chain(packet, self._packets)
                return True
        return False

    def _take(self) -> Packet[VideoStream] | None:
        try:
            return next(self._packets, None)
        except SourceError as error:
            raise Surprise("the file cannot be read on") from error


@dataclass(frozen=True, slots=True)
class Stretch:
    """Packets [``key.position``, ``end``) that are decoded one after the other."""

    key: Key
    end: int


def _stretches(table: PacketTable, marks: Iterable[Mark]) -> Iterator[Stretch]:
    """What has to be decoded for ``marks``, without the gaps that are worth a seek."""
    stretch: Stretch | None = None
    for mark in marks:
        key, end = table.key_before(mark.pts), mark.position + 1
        if stretch is None or cheaper_to_seek(stretch.end, key.position):
            if stretch is not None:
                yield stretch
            stretch = Stretch(key, end)
        else:
            stretch = Stretch(stretch.key, max(stretch.end, end))
    if stretch is not None:
        yield stretch


def refreshes(packet: Packet[VideoStream], extradata: bytes | None) -> bool:
    """Whether an H.264 packet of an MP4 or Matroska file holds an IDR picture, before which a decoder forgets all."""
    if not extradata or extradata[0] != 1:
        return False  # not in length-prefixed units
    data, width, place = memoryview(packet), (extradata[4] & 3) + 1, 0
    while place + width < len(data):
        kind = data[place + width] & 31
        if kind in (1, 5):  # a slice of another picture, or of an IDR picture
            return kind == 5
        place += width + int.from_bytes(data[place : place + width], "big")
    return False


def _chain(first: Packet[VideoStream], rest: Iterator[Packet[VideoStream]]) -> Iterator[Packet[VideoStream]]:
    yield first
    yield from rest
