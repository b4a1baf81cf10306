"""Every kind of source behind one function."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from streamer.addresses import redact
from streamer.errors import OptionError, SourceError
from streamer.sampling import Sampling, Seconds
from streamer.sources.base import Counters, Picture, Size, SizeFor, Source, SourceInfo, State
from streamer.sources.clipping import Clip
from streamer.sources.decoding import Target
from streamer.sources.finding import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    check_exists,
    check_named,
    expand,
    is_address,
    is_pattern,
    local_path,
    matches,
    videos_and_images,
)
from streamer.sources.images import ImagesSource
from streamer.sources.live import LiveOptions, LiveSource, OnState
from streamer.sources.network import NetworkFeed, network_target, webcam_target
from streamer.sources.paced import PacedFeed
from streamer.sources.ring import PacketRing, Recording
from streamer.sources.sampled import Wanted
from streamer.sources.synthetic import SYNTHETIC, SyntheticFeed, SyntheticOptions, SyntheticSource
from streamer.sources.video import VideoSource

if TYPE_CHECKING:
    from streamer.sources.live import Feed
    from streamer.sources.sampled import SampledSource

__all__ = [
    "Clip",
    "Counters",
    "LiveOptions",
    "PacketRing",
    "Picture",
    "Recording",
    "Size",
    "SizeFor",
    "Source",
    "SourceInfo",
    "State",
    "expand",
    "open_source",
    "stream_name",
]

_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "tcp", "srt", "mms", "mmsh")


def open_source(
    address: str,
    *,
    sampling: Sampling | str | None = None,
    size_for: SizeFor | None = None,
    stream: str | None = None,
    realtime: bool = False,
    loop: bool = False,
    start: Seconds | None = None,
    end: Seconds | None = None,
    hwaccel: str | None = None,
    seconds_per_image: Seconds = 1,
    skip: int = 0,
    live: LiveOptions | None = None,
    on_state: OnState | None = None,
) -> Source:
    """The source at ``address``: a file, folder of pictures, pattern, camera, stream or ``synthetic:``.

    Nothing is opened yet except that local names are looked up; a fault shows at ``info`` or in iteration.

    Args:
        sampling: which pictures ``frames()`` gives; words as `Sampling.parse` reads them. All by default.
        size_for: from the upright source size to the size of ``Frame.image``; the source's own by default.
        stream: name in results; the file's name or the address without passwords by default.
        realtime: a file is a camera that plays at its own pace; ``loop`` starts it again at its end.
        start, end: seconds of media time, [start, end).
        hwaccel: ``cuda``, ``vaapi``, ``videotoolbox``, ``auto``; the CPU steps in where it does not work.
        skip: of a file's sampled frames the first so many are passed over; the others keep their numbers.
        live: how patient a camera's reader is. ``on_state`` hears of its changes, on the decoding thread.

    Raises:
        OptionError: a value that cannot be used.
        SourceError: there is no such file, a folder or pattern is not one source (see `expand`), or an address is none.
    """
    check_named(address)
    if is_address(address) and any(letter <= " " or letter == "\x7f" for letter in address):
        raise SourceError(address, "there is a blank or a control character in it", "write it in percent, as %20")
    if loop and not realtime:
        raise OptionError("loop", loop, "realtime beside it: a loop is a test camera")
    chosen = Sampling.parse(sampling) if isinstance(sampling, str) else sampling or Sampling.all()
    if start is not None or end is not None:
        chosen = chosen.between(start, end)
    opening = _Opening(
        address,
        stream or stream_name(address),
        chosen,
        size_for,
        hwaccel,
        Sampling.every(seconds_per_image).interval or Fraction(1),
        live or LiveOptions(),
        skip,
    )
    feed = opening.feed() if not realtime or opening.is_live() else opening.paced(loop)
    if feed is None:
        return opening.file(chosen)
    return LiveSource(
        feed, stream=opening.stream, sampling=chosen, size_for=size_for, options=opening.live, on_state=on_state
    )


def stream_name(address: str) -> str:
    """How results call the source: a file's name, a camera's address without passwords."""
    if is_address(address):
        return redact(address)
    return local_path(address).name or address


def local_files(address: str) -> list[Path]:
    """The files on this machine that a source is made of: one video, or its pictures in order; none for others."""
    if address.startswith(SYNTHETIC) or is_address(address):
        return []
    path = local_path(address)
    if path.is_dir():
        return videos_and_images(path)[1]
    return matches(address) if is_pattern(address) else [path]


@dataclass(frozen=True, slots=True)
class _Opening:
    """An address on its way to a source."""

    address: str
    stream: str
    sampling: Sampling
    size_for: SizeFor | None
    hwaccel: str | None
    seconds_per_image: Fraction
    live: LiveOptions
    skip: int

    def is_live(self) -> bool:
        return self.feed() is not None

    def feed(self) -> Feed | None:
        """For cameras and live streams; None for files."""
        if self.address.startswith(SYNTHETIC):
            options = SyntheticOptions.parse(self.address)
            return SyntheticFeed(self.address, self.live.stall_seconds) if options.live else None
        if not is_address(self.address):
            return None
        if self.address.startswith(("webcam:", "/dev/video")):
            return NetworkFeed(webcam_target(self.address, self.live), self.live)
        if not self._is_remote_file():
            return NetworkFeed(network_target(self.address, self.live, self.hwaccel), self.live)
        return None

    def _is_remote_file(self) -> bool:
        """HTTP addresses with a video file's ending are files; all others are cameras."""
        try:
            parts = urlsplit(self.address)
        except ValueError as error:
            raise SourceError(self.address, f"it is no address ({error})", "check its brackets") from error
        if parts.scheme in (*_SCHEMES, "http", "https") and not parts.netloc:
            raise SourceError(self.address, "it names no host", f"write {parts.scheme}://HOST/…")
        if parts.scheme in _SCHEMES:
            return False
        if parts.scheme not in ("http", "https"):
            known = ", ".join((*_SCHEMES[:2], "http", "https", "webcam", "synthetic"))
            raise SourceError(self.address, f"{parts.scheme}: is not known", f"use a file or one of {known}")
        suffix = Path(parts.path).suffix.lower()
        return suffix in VIDEO_SUFFIXES - {".mjpg", ".mjpeg"}

    def paced(self, loop: bool) -> PacedFeed:
        window = Sampling.all().between(self.sampling.start, self.sampling.end)

        def make(counters: Counters) -> SampledSource:
            return self.file(window, counters)

        packets = isinstance(self.file(window), VideoSource)  # says at once where there is no such file
        ring = PacketRing(self.live.keep_seconds) if packets and self.live.keep_seconds else None
        return PacedFeed(self.address, make, loop=loop, ring=ring)

    def file(self, sampling: Sampling, counters: Counters | None = None) -> SampledSource:
        wanted = Wanted(self.stream, sampling, self.size_for, counters or Counters(), self.skip)
        if self.address.startswith(SYNTHETIC):
            return SyntheticSource(self.address, wanted)
        if is_address(self.address):
            return VideoSource(Target(self.address, self.address, hwaccel=self.hwaccel), wanted, local=False)
        return self._local(wanted)

    def _local(self, wanted: Wanted) -> SampledSource:
        path = local_path(self.address)
        if is_pattern(self.address) or os.path.isdir(path):
            return self._several(path, wanted)
        if path.suffix.lower() in IMAGE_SUFFIXES:
            return self._images([path], wanted)
        return self._video(path, wanted)

    def _several(self, path: Path, wanted: Wanted) -> SampledSource:
        found = expand([self.address])
        if found != [self.address]:
            if len(found) > 1:
                raise SourceError(self.address, f"these are {len(found)} videos", "open them one by one")
            return self._video(Path(found[0]), wanted)
        return self._images(local_files(self.address), wanted)

    def _images(self, paths: list[Path], wanted: Wanted) -> ImagesSource:
        check_exists(self.address, paths[0])
        return ImagesSource(self.address, paths, wanted, seconds_per_image=self.seconds_per_image)

    def _video(self, path: Path, wanted: Wanted) -> VideoSource:
        check_exists(self.address, path)
        return VideoSource(Target(self.address, f"file:{path}", hwaccel=self.hwaccel), wanted)
