"""The sound of a source, beside its annotated pictures: copied where MP4 can hold it, else as AAC."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Self

import av

log = logging.getLogger(__name__)

COPIED = frozenset(("aac", "mp3", "ac3", "eac3", "opus", "flac", "alac"))
"""Codecs that MP4 holds and players know there."""

TIMEOUT_SECONDS = 30.0
"""After which a server that says nothing is given up."""


class Sound:
    """The first audio stream of ``url``, muxed into ``container`` bit by bit. A context manager.

    ``origin``: the media time in the source's own clock, seconds, that is 0 in the container. A source without sound,
    or with one that cannot be read, gives none, and a warning says so.
    """

    def __init__(self, url: str, container: Any, origin: Fraction) -> None:
        self._container, self._origin = container, origin
        self._input: Any = None
        self._packets: Iterator[Any] = iter(())
        self._next: Any = None
        self._copy: Any = None
        self._encoder: Any = None
        try:
            self._input = av.open(url, metadata_errors="ignore", timeout=TIMEOUT_SECONDS)
            if self._input.streams.audio:
                self._begin(self._input.streams.audio[0])
        except (av.FFmpegError, ValueError) as error:
            log.warning("the sound of %s is left out: %s", url, error)

    def until(self, seconds: float) -> None:
        """Muxes what is heard before that time of the container."""
        try:
            while self._next is not None and self._seconds(self._next) < seconds:
                self._take(self._next)
                self._advance()
        except av.FFmpegError as error:
            log.warning("the sound ends early: %s", error)
            self._next = None

    def end(self) -> None:
        """What the encoder still holds."""
        if self._encoder is not None:
            self._container.mux(self._encoder.encode(None))

    def close(self) -> None:
        if self._input is not None:
            self._input.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _begin(self, stream: Any) -> None:
        if stream.codec_context.name in COPIED:
            self._copy = self._container.add_stream_from_template(stream)
            self._packets = (packet for packet in self._input.demux(stream) if packet.pts is not None and packet.size)
        else:
            context = stream.codec_context
            self._encoder = self._container.add_stream("aac", rate=context.sample_rate, layout=context.layout.name)
            self._packets = (frame for frame in self._input.decode(stream) if frame.pts is not None)
        self._advance()

    def _advance(self) -> None:
        self._next = next(self._packets, None)

    def _seconds(self, one: Any) -> Fraction:
        return Fraction(one.pts * one.time_base) - self._origin

    def _take(self, one: Any) -> None:
        """A packet or a decoded frame; what lies before the container's beginning is left out."""
        if self._seconds(one) < 0:
            return
        shift = round(self._origin / Fraction(one.time_base))
        one.pts -= shift
        if self._copy is not None:
            one.dts = one.pts
            one.stream = self._copy
            self._container.mux(one)
        else:
            self._container.mux(self._encoder.encode(one))
