"""Video files: every picture or the sampled ones, found by seeking where that is cheaper."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from av.stream import Discard

from streamer.addresses import redact
from streamer.errors import SourceError
from streamer.sampling import select
from streamer.sources.base import Counters, SourceInfo
from streamer.sources.decoding import Decoder, Target
from streamer.sources.packets import PacketTable
from streamer.sources.sampled import SampledSource, Wanted
from streamer.sources.samples import sample_table
from streamer.sources.seeking import Fetcher, Surprise
from streamer.sources.timeline import Timeline

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

    from streamer.sources.picture import VideoPicture

_SPARSE_STEP = 6
"""From one picture wanted in so many, reading all packets to know where the pictures are pays."""

_DENSE_STEP = Fraction(3, 2)
"""From one picture wanted in so many, knowing where they are pays if it costs nothing."""

_LONGEST_GAP_SECONDS = Fraction(3600)
"""A longer jump between two pictures of a file of unknown duration is a damaged time."""


class VideoSource(SampledSource):
    """A file, local or by HTTP. Each iteration starts at its beginning, with a decoder of its own.

    Damaged packets are counted in ``counters`` and passed over; where the file ends early or gives no picture at all,
    `SourceError` is raised behind the pictures that could be read.
    """

    def __init__(self, target: Target, wanted: Wanted, *, local: bool = True) -> None:
        super().__init__(wanted)
        self._target, self._local = target, local
        self.seeks = 0
        """Jumps made so far, by a seek or by reading past what is not wanted."""

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
            start_seconds=_late_by(decoder, first),
        )

    def chosen(self) -> Iterator[VideoPicture]:
        """The sampled pictures, not scaled: by the packet table if there is one, and plainly from where it failed."""
        last: Fraction | None = None
        searched = self._searched() if self._may_search() else None
        if searched is not None:
            try:
                for picture in self._fetched(*searched):
                    last = picture.time
                    yield picture
            except Surprise as surprise:
                self.counters.note(f"{surprise}; decoding the whole file instead")
            else:
                return
        for picture in super().chosen():
            if last is None or picture.time > last:
                yield picture

    def _may_search(self) -> bool:
        """Whether some pictures may not be wanted, and which ones can be told without seeing them."""
        sampling = self._wanted.sampling
        return self._local and (sampling.kind not in ("all", "scene_changes") or bool(sampling.start))

    def _step(self, rate: Fraction | None) -> Fraction:
        """From about how many pictures one is wanted."""
        sampling = self._wanted.sampling
        if sampling.start or sampling.kind in ("at", "key_frames"):
            return Fraction(_SPARSE_STEP)
        return Fraction(sampling.step) if sampling.interval is None else sampling.interval * (rate or 25)

    def _searched(self) -> tuple[Decoder, Iterator[Packet[VideoStream]], PacketTable] | None:
        """An open decoder, the packets from the file's beginning and their table, where a table pays."""
        decoder = Decoder(self._target, Counters())
        step, packets = self._step(decoder.rate), decoder.packets()
        try:
            first = next(packets) if step >= _DENSE_STEP else None
            if first is not None and (table := self._sample_table(decoder, first)) is not None:
                decoder.counters = self.counters
                return decoder, itertools.chain([first], packets), table
            table = None if first is None or step < _SPARSE_STEP else self._table(decoder, first, packets)
        except SourceError:
            table = None  # the decode that follows meets the same fault and reports it behind the pictures before it
        decoder.close()
        if table is None:
            return None
        decoder = Decoder(self._target, self.counters)
        return decoder, decoder.packets(), table

    def _sample_table(self, decoder: Decoder, first: Packet[VideoStream]) -> PacketTable | None:
        if "mov" not in decoder.container.format.name:
            return None
        return sample_table(self._target.url.removeprefix("file:"), decoder.stream, first)

    def _table(
        self, decoder: Decoder, first: Packet[VideoStream], rest: Iterator[Packet[VideoStream]]
    ) -> PacketTable | None:
        for stream in decoder.container.streams:
            if stream.index != decoder.stream.index:
                stream.discard = Discard.all
        packets = (packet for packet in itertools.chain([first], rest) if not self._closed.is_set())
        return PacketTable.build(packets, decoder.stream.time_base)

    def _fetched(
        self, decoder: Decoder, packets: Iterator[Packet[VideoStream]], table: PacketTable
    ) -> Iterator[VideoPicture]:
        if decoder.stream.frames > len(table):
            decoder.close()
            raise Surprise("the file ends early")
        marks = list(select(table.marks(), self._wanted.sampling))[self._wanted.skip :]
        decoder.keep = self.keep
        fetcher = Fetcher(decoder, packets, table, marks)
        try:
            for mark, frame in fetcher:
                if self._closed.is_set():
                    return
                picture = decoder.picture(frame, mark.time, mark.index)
                if self._info is None:
                    self._remember(decoder, picture)
                yield picture
        finally:
            self.seeks += fetcher.seeks
            decoder.close()

    def _read(self, counters: Counters) -> Iterator[VideoPicture]:
        """Every picture. The index counts decoded pictures."""
        decoder = Decoder(self._target, counters)
        decoder.keep = self.keep
        longest = max(decoder.duration_seconds or _LONGEST_GAP_SECONDS, Fraction(10))
        timeline = Timeline(decoder.stream.time_base, decoder.rate, longest)
        read = packets = slots = 0
        try:
            for packet in decoder.packets():
                packets += packet.size > 0
                slots = max(slots, (packet.dts or 0) + 1)
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
            self._check_end(decoder, max(packets, slots) if _has_slots(decoder) else packets, read)
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


def _late_by(decoder: Decoder, picture: VideoPicture) -> float:
    """Seconds from the container's start to the first picture, by what one of the first pictures says."""
    if picture.pts is None or picture.time_base is None or decoder.container.start_time is None:
        return 0.0
    first = picture.pts * picture.time_base - picture.time
    return round(max(0.0, float(first - Fraction(decoder.container.start_time, 1_000_000))), 6)


def _has_slots(decoder: Decoder) -> bool:
    """AVI has a place for a picture at each tick, and counts those that it leaves empty too."""
    return "avi" in decoder.container.format.name
