"""Video files: every picture or the sampled ones, found by seeking where that is cheaper."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from av.stream import Discard

from streamer.addresses import redact
from streamer.errors import SourceError
from streamer.sampling import Sampling, select
from streamer.sources.base import Counters, Source, SourceInfo
from streamer.sources.decoding import Decoder, Target
from streamer.sources.packets import PacketTable
from streamer.sources.sampled import thumbnail, to_frames
from streamer.sources.seeking import Fetcher, Surprise
from streamer.sources.timeline import Timeline

if TYPE_CHECKING:
    from streamer.frames import Frame
    from streamer.sources.base import SizeFor
    from streamer.sources.picture import VideoPicture

_SPARSE_STEP = 6
"""From one picture wanted in so many, reading the packet table first pays."""

_LONGEST_GAP_SECONDS = Fraction(3600)
"""A longer jump between two pictures of a file of unknown duration is a damaged time."""


class VideoSource(Source):
    """A file, local or by HTTP. Each iteration starts at its beginning, with a decoder of its own.

    Damaged packets are counted in ``counters`` and passed over; where the file ends early or gives no picture at all,
    `SourceError` is raised behind the pictures that could be read.
    """

    def __init__(
        self,
        target: Target,
        *,
        stream: str,
        sampling: Sampling | None = None,
        size_for: SizeFor | None = None,
        local: bool = True,
        counters: Counters | None = None,
    ) -> None:
        self._target, self._stream, self._size_for = target, stream, size_for
        self._sampling = sampling or Sampling.all()
        self._local = local
        self._counters = counters or Counters()
        self._closed = threading.Event()
        self._info: SourceInfo | None = None
        self.seeks = 0
        """Seeks made so far, to see what sampling costs."""

    @property
    def info(self) -> SourceInfo:
        if self._info is None:
            for _ in self._straight(Counters()):  # only the first picture tells how it is turned
                break
        assert self._info is not None
        return self._info

    @property
    def counters(self) -> Counters:
        return self._counters

    def pictures(self) -> Iterator[VideoPicture]:
        return self._straight(self._counters)

    def frames(self) -> Iterator[Frame]:
        return to_frames(self.chosen(), self._stream, self._size_for)

    def close(self) -> None:
        self._closed.set()

    def _remember(self, decoder: Decoder, first: VideoPicture) -> None:
        duration = decoder.duration_seconds
        self._info = SourceInfo(
            address=redact(self._target.address),
            kind="file",
            size=first.source_size,
            duration_seconds=float(duration) if duration else None,
            rate=float(decoder.rate) if decoder.rate else None,
            picture_count=decoder.stream.frames or None,
            codec=decoder.stream.codec_context.name,
        )

    def chosen(self) -> Iterator[VideoPicture]:
        """The sampled pictures, not scaled: by the packet table if there is one, and plainly from where it failed."""
        last: Fraction | None = None
        table = self._table() if self._is_sparse() else None
        if table is not None:
            try:
                for picture in self._fetched(table):
                    last = picture.time
                    yield picture
            except Surprise as surprise:
                self._counters.note(f"{surprise}; decoding the whole file instead")
            else:
                return
        for picture in select(self._straight(self._counters), self._sampling, thumbnail):
            if last is None or picture.time > last:
                yield picture

    def _is_sparse(self) -> bool:
        """Whether few of the pictures are wanted, so that knowing where they are is worth reading the file once."""
        sampling = self._sampling
        if not self._local or sampling.kind == "scene_changes":
            return False
        if sampling.interval is not None:
            rate = self.info.rate or 25.0
            return bool(sampling.start) or sampling.interval * Fraction(rate) >= _SPARSE_STEP
        return sampling.kind in ("at", "key_frames") or sampling.step >= _SPARSE_STEP or bool(sampling.start)

    def _table(self) -> PacketTable | None:
        decoder = Decoder(self._target, Counters())
        try:
            for stream in decoder.container.streams:
                if stream.index != decoder.stream.index:
                    stream.discard = Discard.all
            packets = (packet for packet in decoder.packets() if not self._closed.is_set())
            return PacketTable.build(packets, decoder.stream.time_base)
        except SourceError:
            return None  # the decode that follows meets the same fault and reports it behind the pictures before it
        finally:
            decoder.close()

    def _fetched(self, table: PacketTable) -> Iterator[VideoPicture]:
        decoder = Decoder(self._target, self._counters)
        if decoder.stream.frames > len(table):
            decoder.close()
            raise Surprise("the file ends early")
        fetcher = Fetcher(decoder, table, list(select(table.marks(), self._sampling)))
        try:
            for mark, frame in fetcher:
                if self._closed.is_set():
                    return
                yield decoder.picture(frame, mark.time, mark.index)
        finally:
            self.seeks += fetcher.seeks
            decoder.close()

    def _straight(self, counters: Counters) -> Iterator[VideoPicture]:
        """Every picture. The index counts decoded pictures."""
        decoder = Decoder(self._target, counters)
        longest = max(decoder.duration_seconds or _LONGEST_GAP_SECONDS, Fraction(10))
        timeline = Timeline(decoder.stream.time_base, decoder.rate, longest)
        read = packets = 0
        try:
            for packet in decoder.packets():
                packets += packet.size > 0
                for frame in decoder.decode(packet):
                    if self._closed.is_set():
                        return
                    picture = decoder.picture(frame, timeline.place(frame.pts), read)
                    if read == 0:
                        self._remember(decoder, picture)
                    read += 1
                    yield picture
                if self._closed.is_set():
                    return
            self._check_end(decoder, packets, read)
        except SourceError as error:
            raise SourceError(self._target.address, error.reason, error.remedy, frames_read=read) from error
        finally:
            decoder.close()

    def _check_end(self, decoder: Decoder, packets: int, read: int) -> None:
        promised = decoder.stream.frames
        least = promised if "mov" in decoder.container.format.name else promised * 0.98
        if packets < least:
            reason = f"the file ends early, it promises {promised} pictures"
            raise SourceError(self._target.address, reason, "copy or download it again")
        if read == 0:
            raise SourceError(
                self._target.address, "no picture in it can be decoded", "check that it plays; it may be damaged"
            )
