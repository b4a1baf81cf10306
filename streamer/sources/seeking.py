"""Fetches single pictures of a file, by a seek or by decoding on, whichever is cheaper."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
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


class Surprise(Exception):
    """The file does not behave as its packet table says: only a plain decode can be trusted."""


class Fetcher:
    """Gives the frames of ``marks``, which rise in time, exactly as a decode of the whole file would."""

    def __init__(self, decoder: Decoder, table: PacketTable, marks: list[Mark]) -> None:
        self._decoder, self._table, self._marks = decoder, table, marks
        self._wanted = {mark.pts for mark in marks}
        self._packets: Iterator[Packet[VideoStream]] = decoder.packets()
        self._context = decoder.stream.codec_context
        self._may_skip = self._context.name in _SKIPS_EXACTLY
        self._ready: deque[VideoFrame] = deque()
        self._next = 0
        """Position of the packet that the decoder takes next."""
        self.seeks = 0

    def __iter__(self) -> Iterator[tuple[Mark, VideoFrame]]:
        """Raises `Surprise` where the rest has to be decoded plainly."""
        for mark in self._marks:
            key = self._table.key_before(mark.pts)
            if cheaper_to_seek(self._next, key.position):
                self._seek(key)
            yield mark, self._until(mark)

    def _until(self, mark: Mark) -> VideoFrame:
        while True:
            while self._ready:
                frame = self._ready.popleft()
                if frame.pts == mark.pts:
                    return frame
                if frame.pts is None or frame.pts > mark.pts:
                    raise Surprise(f"the picture at pts {mark.pts} does not come out of the decoder")
            packet = self._take()
            if packet is None:
                raise Surprise(f"the file ends before the picture at pts {mark.pts}")
            self._feed(packet)

    def _feed(self, packet: Packet[VideoStream]) -> None:
        """Pictures that nobody wants and no other picture needs are not decoded."""
        if packet.size:
            if self._table.position(packet.pts) != self._next:
                raise Surprise("packets come in another order than before")
            self._next += 1
            self._context.skip_frame = "NONREF" if self._may_skip and packet.pts not in self._wanted else "DEFAULT"
        damaged = self._decoder.counters.corrupt
        self._ready.extend(self._decoder.decode(packet))
        if self._decoder.counters.corrupt != damaged:
            raise Surprise("a packet cannot be decoded")

    def _seek(self, key: Key) -> None:
        """To ``key`` exactly; where the container lands behind it, from further back."""
        aim: Key | None = key
        self._ready.clear()
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


def _chain(first: Packet[VideoStream], rest: Iterator[Packet[VideoStream]]) -> Iterator[Packet[VideoStream]]:
    yield first
    yield from rest
