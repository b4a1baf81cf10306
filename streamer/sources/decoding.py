"""One open container and its video stream: packets, frames, and FFmpeg's errors in plain words."""

from __future__ import annotations

import errno
import functools
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import av
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.stream import Disposition

from streamer.errors import OptionError, SourceError
from streamer.sources.base import Counters
from streamer.sources.picture import Scaler, Stopwatch, VideoPicture, orientation_of, upright_size

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from streamer.sources.orientation import Orientation

    Keep = Callable[[VideoStream, Packet[VideoStream]], None]
    """Hears of a stream's packets, each once it was decoded; on the decoding thread, so it is quick."""

log = logging.getLogger(__name__)

_TEXT_CODECS = frozenset({"ansi", "bintext", "xbin", "idf"})
"""FFmpeg draws any text file as terminal art."""


@dataclass(frozen=True, slots=True)
class Target:
    """What to hand to FFmpeg for one address."""

    address: str
    """As the user gave it; only for errors."""
    url: str
    format: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    open_timeout_seconds: float = 20.0
    read_timeout_seconds: float = 20.0
    hwaccel: str | None = None
    threads: Literal["AUTO", "SLICE"] = "AUTO"
    """Frame threads are faster and give each picture some pictures later; a camera does without."""


class Decoder:
    """An open video stream. Used from one thread; closed by it. Opening raises `SourceError`."""

    def __init__(self, target: Target, counters: Counters) -> None:
        self.target, self.counters = target, counters
        self.container = _open(target)
        try:
            self.stream = _video_stream(self.container, target.address)
        except SourceError:
            self.container.close()
            raise
        self.stream.thread_type = target.threads
        self.keep: Keep | None = None
        self.watch = self.reading = Stopwatch()
        """``reading``: what reading packets counts for; a camera's are mostly waited for."""
        self._orientation: Orientation | None = None
        self._rotation = 0
        self._scaler = Scaler(threads=1 if target.threads == "SLICE" else 0)

    @property
    def rate(self) -> Fraction | None:
        """Pictures a second as the container claims; None where the claim is nonsense."""
        rates = (self.stream.guessed_rate, self.stream.average_rate)
        return next((rate for rate in rates if rate and Fraction(1, 10) <= rate <= 240), None)

    @property
    def duration_seconds(self) -> Fraction | None:
        """As the container claims."""
        if self.stream.duration and self.stream.time_base:
            return self.stream.duration * self.stream.time_base
        return Fraction(self.container.duration, 1_000_000) if self.container.duration else None

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """From here to the end, the last one empty (it drains the decoder). Raises `SourceError`."""
        packets = self.container.demux(self.stream)
        while True:
            try:
                with self.reading:
                    packet = next(packets, None)
            except (av.FFmpegError, OSError) as error:
                raise explained(self.target.address, error) from error
            if packet is None:
                return
            if packet.is_corrupt:
                self._fault("a damaged packet", packet)
            yield packet

    def decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """The frames that ``packet`` completes; a packet that cannot be decoded gives none and is counted."""
        try:
            with self.watch:
                return packet.decode()
        except av.FFmpegError as error:
            self._fault(f"a packet that cannot be decoded ({error.strerror})", packet)
            return []
        finally:
            if self.keep is not None and packet.size:
                self.keep(self.stream, packet)

    def drain(self) -> list[VideoFrame]:
        """The frames that are still in the decoder. It takes packets again only after a seek."""
        end = cast("Packet[VideoStream]", av.Packet())
        end.stream = self.stream
        return self.decode(end)

    def picture(self, frame: VideoFrame, at: Fraction, index: int | None) -> VideoPicture:
        orientation = self._orientation_of(frame)
        self.counters.decoded += 1
        self.counters.corrupt += frame.is_corrupt
        return VideoPicture(
            frame,
            self._scaler,
            orientation,
            upright_size(frame, self.stream.sample_aspect_ratio, orientation),
            at,
            float(at),
            index=index,
            pts=frame.pts,
            time_base=frame.time_base,
            decode_ms=self.watch.take_ms(),
            key_frame=frame.key_frame,
        )

    def _orientation_of(self, frame: VideoFrame) -> Orientation:
        """Asked at key frames only, and where the rotation changes: PyAV's frame and its side data, once asked for,
        hold each other, so that the picture's megabytes stay until Python looks for cycles."""
        if self._orientation is None or frame.key_frame or frame.rotation != self._rotation:
            self._orientation, self._rotation = orientation_of(frame), frame.rotation
        return self._orientation

    def close(self) -> None:
        self.container.close()

    def _fault(self, what: str, packet: Packet[VideoStream]) -> None:
        self.counters.corrupt += 1
        where = "" if packet.pts is None else f" at pts {packet.pts}"
        self.counters.note(f"{what}{where}")


def _open(target: Target) -> InputContainer:
    timeout = (target.open_timeout_seconds, target.read_timeout_seconds)
    for device in _hardware(target.hwaccel):
        try:
            accelerated = HWAccel(device, allow_software_fallback=True)
            return av.open(
                target.url, format=target.format, options=dict(target.options), timeout=timeout, hwaccel=accelerated
            )
        except (av.FFmpegError, OSError, RuntimeError, NotImplementedError) as error:
            _warn(device, type(error).__name__)
    begun = time.monotonic()
    try:
        if target.url.startswith("file:"):
            _check_file(target.address, Path(target.url.removeprefix("file:")))
        return av.open(target.url, format=target.format, options=dict(target.options), timeout=timeout)
    except (av.FFmpegError, OSError, ValueError) as error:
        late = time.monotonic() - begun >= 0.9 * target.open_timeout_seconds  # RTSP calls its timeout invalid data
        raise explained(target.address, TimeoutError() if late else error) from error


@functools.cache
def _warn(device: str, reason: str) -> None:
    """Once: a file is opened several times, and a camera again and again."""
    log.warning("no hardware decoding by %s (%s); decoding on the CPU", device, reason)


def _check_file(address: str, path: Path) -> None:
    """Says what FFmpeg's words hide. Raises `OSError` or `SourceError`."""
    if path.is_dir():
        raise IsADirectoryError
    with path.open("rb") as file:
        if path.is_file() and not file.read(1):
            raise SourceError(address, "the file is empty", "copy or download it again")


def _hardware(name: str | None) -> list[str]:
    """Devices to try, best first."""
    if name in (None, "none"):
        return []
    available = hwdevices_available()
    if name == "auto":
        return [device for device in ("cuda", "videotoolbox", "vaapi", "d3d11va", "qsv") if device in available]
    if name not in available:
        raise OptionError("hwaccel", name, f"one of auto, {', '.join(available) or 'none (this FFmpeg has no other)'}")
    return [name]


def _video_stream(container: InputContainer, address: str) -> VideoStream:
    videos = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if any(stream.codec_context is not None and stream.codec_context.name in _TEXT_CODECS for stream in videos):
        raise SourceError(address, "this is text, not a video", "name a video or picture file")
    if not videos:
        kinds = " and ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise SourceError(address, f"there is no video in it, only {kinds}", "name a file with pictures")
    best = container.streams.best("video")
    chosen = next((stream for stream in videos if best is not None and stream.index == best.index), videos[0])
    if chosen.codec_context is None:
        raise SourceError(
            address, "no decoder for its video codec", "convert it to H.264 with ffmpeg -i IN -c:v libx264 OUT.mp4"
        )
    return chosen


def explained(address: str, error: Exception) -> SourceError:
    """FFmpeg's error as what happened and what to do."""
    reason, remedy = _explanation(error, address.partition("://")[0].lower() if "://" in address else "")
    return SourceError(address, reason, remedy)


_NO_FILES = ("rtsp", "rtsps", "rtmp", "rtmps", "srt", "udp", "rtp")
"""Schemes that end at a camera or server: what FFmpeg calls invalid data is mostly a way that leads nowhere."""
_UNREACHED = "it cannot be reached"
_REACH = "check network, address and port"


_EXPLANATIONS: tuple[tuple[tuple[type[BaseException], ...], str, str], ...] = (
    ((FileNotFoundError,), "there is no such file", "check the name"),
    ((PermissionError,), "it may not be read", "give this user the right to read it"),
    ((IsADirectoryError,), "it is a folder", "name the files in it"),
    (
        (av.HTTPUnauthorizedError, av.HTTPForbiddenError),
        "the camera or server refuses the login",
        "check user and password",
    ),
    ((av.HTTPNotFoundError,), "the server knows no such address", "check the path in the address"),
    ((av.HTTPError,), "the server answers with an error", "open the address in a browser or player to see why"),
    ((ConnectionRefusedError,), "nothing listens there", "check that it is switched on, and the port"),
    ((TimeoutError, av.ExitError), "it does not answer in time", "check network, address and port"),
    ((av.ProtocolNotFoundError,), "this kind of address is not known", "use a file, rtsp://, http(s):// or a webcam"),
    ((av.DecoderNotFoundError,), "no decoder for its video codec", "convert it to H.264 with ffmpeg"),
    ((av.InvalidDataError, av.EOFError), "it cannot be read as a video", "check that it is a whole, playable video"),
)


def _explanation(error: Exception, scheme: str) -> tuple[str, str]:
    """``scheme``: of the address, empty for a file."""
    if scheme in _NO_FILES and isinstance(error, av.InvalidDataError):
        return _UNREACHED, _REACH
    for kinds, reason, remedy in _EXPLANATIONS:
        if isinstance(error, kinds):
            return reason, remedy
    words = error.strerror if isinstance(error, OSError | av.FFmpegError) else None
    number = error.errno if isinstance(error, OSError) else None
    text = words or (os.strerror(number) if number else str(error) or type(error).__name__)
    if scheme not in ("", "file"):
        return _UNREACHED if number == errno.EIO else f"{_UNREACHED}: {text}", _REACH
    return f"it cannot be read: {text}", "check the address"
