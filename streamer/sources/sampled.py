"""What files of every kind have in common: some of their pictures are chosen and become frames."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from streamer.frames import Frame
from streamer.sampling import THUMBNAIL_SIZE, Sampling, select
from streamer.sources.base import Counters, Source, SourceInfo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from streamer.sources.base import SizeFor
    from streamer.sources.decoding import Keep
    from streamer.sources.picture import VideoPicture


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of a file's pictures are wanted, and how."""

    stream: str
    """Its name in results."""
    sampling: Sampling = field(default_factory=Sampling.all)
    size_for: SizeFor | None = None
    """None: at the source's own size."""
    counters: Counters = field(default_factory=Counters)
    """Where to count what becomes of them."""
    skip: int = 0
    """So many of the sampled ones, from the first on, are passed over; the others keep their numbers."""


class SampledSource(Source):
    """A source that ends. Each iteration starts at its beginning."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._closed = threading.Event()
        self._info: SourceInfo | None = None
        self.keep: Keep | None = None
        """Hears of the packets, where there are any, of iterations that begin from now on."""

    @property
    def info(self) -> SourceInfo:
        if self._info is None:
            for _ in self._read(Counters()):  # only the first picture tells how it is turned
                break
        assert self._info is not None
        return self._info

    @property
    def counters(self) -> Counters:
        return self._wanted.counters

    def pictures(self) -> Iterator[VideoPicture]:
        return self._read(self.counters)

    def chosen(self) -> Iterator[VideoPicture]:
        """The sampled pictures behind those to skip, not scaled."""
        return islice(select(self.pictures(), self._wanted.sampling, thumbnail), self._wanted.skip, None)

    def frames(self) -> Iterator[Frame]:
        return to_frames(self.chosen(), self._wanted.stream, self._wanted.size_for, first=self._wanted.skip)

    def close(self) -> None:
        self._closed.set()

    @abstractmethod
    def _read(self, counters: Counters) -> Iterator[VideoPicture]:
        """Every picture; ``_info`` is known from the first one on. Raises as `pictures` does."""


def thumbnail(picture: VideoPicture) -> NDArray[np.uint8]:
    """For scene changes."""
    return picture.scaled(THUMBNAIL_SIZE)


def to_frames(
    chosen: Iterator[VideoPicture], stream: str, size_for: SizeFor | None, *, first: int = 0
) -> Iterator[Frame]:
    """A frame a picture, the ``first`` one's number given. For files the time to get it counts as decoding; for
    cameras, that is mostly waiting."""
    since = time.perf_counter()
    for sequence, picture in enumerate(chosen, first):
        if picture.captured_at is not None:
            since = time.perf_counter() - picture.decode_ms / 1000
        size = picture.source_size if size_for is None else size_for(picture.source_size)
        image = picture.scaled(size)
        yield Frame(
            image=image,
            source_size=picture.source_size,
            stream=stream,
            sequence=sequence,
            time_seconds=picture.time_seconds,
            index=picture.index,
            pts=picture.pts,
            time_base=picture.time_base,
            captured_at=picture.captured_at,
            decode_ms=(time.perf_counter() - since) * 1000,
        )
        since = time.perf_counter()
