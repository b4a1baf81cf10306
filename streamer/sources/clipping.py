"""A clip from a camera's own packets: times that a player takes, then a file, without decoding anything.

Only pictures; sound is left out.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import statistics
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import av
from av.packet import Packet

from streamer.errors import OutputError
from streamer.sources.encoded import UNTIMED_BASE
from streamer.sources.timeline import DEFAULT_STEP

if TYPE_CHECKING:
    from av.video.stream import VideoStream

    from streamer.sources.base import Size
    from streamer.sources.encoded import EncodedPacket, Encoding

SUFFIXES = {"mp4": ".mp4", "matroska": ".mkv"}
_LONGEST_GAP_SECONDS = 10.0
"""A longer jump of the camera's clock is believed only if that long passed between the arrivals."""
_PAUSE_SECONDS = 1.0
"""Behind a jump, a shorter wait between the arrivals is taken as the usual step."""
_REMEDY = "is there room, is the folder yours?"


@dataclass(frozen=True, slots=True)
class Clip:
    """A written file."""

    path: Path
    """With the suffix that its container has: ``.mp4``, or ``.mkv`` for codecs that MP4 cannot hold."""
    seconds: float
    """How long it plays."""
    moment_seconds: float
    """Where in it the moment is that it was made for."""
    started_at: float
    """When what its first picture shows happened: Unix time."""
    pictures: int
    size: Size
    """``(width, height)`` as stored."""
    codec: str
    size_bytes: int


class Times(NamedTuple):
    """Of a packet, in units of a time base."""

    pts: int
    """From 0 on."""
    dts: int
    """Rising, never above ``pts``; below 0 at first where pictures are shown in another order than decoded."""
    duration: int


def write_clip(packets: Sequence[EncodedPacket], path: Path, *, at: float, wall: float) -> Clip:
    """Puts ``packets``, all of one `Encoding` and the first one a key frame, into a file that appears when it is whole.

    The suffix of ``path`` becomes the container's own. ``at`` is the moment that the clip is about (`time.monotonic`);
    ``wall`` is what to add to such a moment to get Unix time. Raises `OutputError`.
    """
    if not packets:
        raise OutputError(path, "no packet was kept to write", "is the camera connected, and has it sent a key frame?")
    packets, times = _timed(packets)
    encoding, base = packets[0].encoding, time_base(packets[0].encoding)
    format_ = container_format(encoding)
    path = path.parent / (path.stem if path.suffix in SUFFIXES.values() else path.name)
    path = path.with_name(path.name + SUFFIXES[format_])
    size_bytes = _written(path, format_, packets, times)
    began, last = _began(packets, times, at), max(time.pts for time in times)
    return Clip(
        path=path,
        seconds=float(max(time.pts + time.duration for time in times) * base),
        moment_seconds=min(max(0.0, at - began), float(last * base)),
        started_at=began + wall,
        pictures=len(packets),
        size=encoding.size,
        codec=encoding.codec,
        size_bytes=size_bytes,
    )


def container_format(encoding: Encoding) -> str:
    """FFmpeg's name of the container: ``mp4``, or ``matroska`` for what MP4 cannot hold."""
    with av.open(io.BytesIO(), "w", format="mp4") as trial:
        try:
            trial.add_stream_from_template(encoding.template, opaque=True)
        except ValueError:
            return "matroska"
    return "mp4"


def time_base(encoding: Encoding) -> Fraction:
    """Seconds in a unit of a clip's times."""
    return encoding.time_base if encoding.timed else UNTIMED_BASE


def clip_times(packets: Sequence[EncodedPacket]) -> list[Times]:
    """In order of decoding, whatever the camera says: missing, repeated, jumping and wrapping times are repaired."""
    shown = _shown(packets)
    order = sorted(shown)
    late = max(a - b for a, b in zip(order, shown, strict=True))
    steps = [b - a for a, b in itertools.pairwise(order)]
    steps.append(_usual_step(steps, time_base(packets[0].encoding)))
    return [
        Times(pts - order[0], decoded - late - order[0], step)
        for pts, decoded, step in zip(shown, order, steps, strict=True)
    ]


def _timed(packets: Sequence[EncodedPacket]) -> tuple[list[EncodedPacket], list[Times]]:
    """Without what is shown before the first key frame: it needs pictures that are not there."""
    shown = _shown(packets)
    nexts = (place for place, packet in enumerate(packets) if packet.key and place > 0)
    group = next(nexts, len(packets))
    kept = [packet for place, packet in enumerate(packets) if place >= group or shown[place] >= shown[0]]
    return kept, clip_times(kept)


def _shown(packets: Sequence[EncodedPacket]) -> list[int]:
    """When each packet's picture is shown: rising steps where the camera's clock is believed, each moment once."""
    base = time_base(packets[0].encoding)
    if packets[0].encoding.timed:
        step = _stamp_step(packets, base)
        clock = _Clock(base, step)
        wanted = [clock.place(packet) for packet in packets]
    else:
        step = 1
        wanted = [round((packet.captured_at - packets[0].captured_at) / base) for packet in packets]
    taken: set[int] = set()
    highest = min(wanted)
    for place, moment in enumerate(wanted):
        wanted[place] = highest + step if moment in taken else moment
        taken.add(wanted[place])
        highest = max(highest, wanted[place])
    return wanted


class _Clock:
    """The camera's clock, made to go on where it jumps."""

    def __init__(self, base: Fraction, usual: int) -> None:
        self._base, self._usual = base, usual
        self._shift: int | None = None
        self._last: EncodedPacket | None = None
        self._position = 0

    def place(self, packet: EncodedPacket) -> int:
        """When the picture of the next packet in order of decoding is shown."""
        stamp = _stamp(packet)
        if self._last is None:
            position = 0
        elif stamp is None or self._shift is None:
            position = self._position + self._usual
        elif self._jumped(packet, self._last, stamp + self._shift - self._position):
            waited = packet.captured_at - self._last.captured_at
            position = self._position + (self._usual if waited < _PAUSE_SECONDS else round(waited / self._base))
        else:
            position = stamp + self._shift
        if stamp is not None:
            self._shift = position - stamp
        self._last, self._position = packet, position
        return position if packet.pts is None or self._shift is None else packet.pts + self._shift

    def _jumped(self, packet: EncodedPacket, last: EncodedPacket, step: int) -> bool:
        if packet.dts is not None and last.dts is not None and packet.dts <= last.dts:
            return True
        seconds, waited = float(step * self._base), packet.captured_at - last.captured_at
        return abs(seconds) > _LONGEST_GAP_SECONDS and abs(seconds - waited) > _LONGEST_GAP_SECONDS


def _stamp(packet: EncodedPacket) -> int | None:
    return packet.pts if packet.dts is None else packet.dts


def _stamp_step(packets: Sequence[EncodedPacket], base: Fraction) -> int:
    stamps = [stamp for packet in packets if (stamp := _stamp(packet)) is not None]
    return _usual_step([b - a for a, b in itertools.pairwise(stamps)], base)


def _usual_step(steps: Sequence[int], base: Fraction) -> int:
    sane = [step for step in steps if 0 < step * base <= _LONGEST_GAP_SECONDS]
    return statistics.median_low(sane) if sane else max(1, round(DEFAULT_STEP / base))


def _began(packets: Sequence[EncodedPacket], times: Sequence[Times], at: float) -> float:
    """When the clip's beginning was (`time.monotonic`), reckoned from the packet that had come last at ``at``: the
    first ones of a connection come in one burst."""
    place = max((place for place, packet in enumerate(packets) if packet.captured_at <= at), default=0)
    return packets[place].captured_at - float(times[place].pts * time_base(packets[place].encoding))


def _written(path: Path, format_: str, packets: Sequence[EncodedPacket], times: Sequence[Times]) -> int:
    """Under another name first; how many bytes. Raises `OutputError`."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _mux(part, format_, packets, times)
        size_bytes = part.stat().st_size
        os.replace(part, path)
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(path, f"the clip cannot be written: {reason}", _REMEDY) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
    return size_bytes


def _mux(part: Path, format_: str, packets: Sequence[EncodedPacket], times: Sequence[Times]) -> None:
    encoding = packets[0].encoding
    options = {"movflags": "+faststart"} if format_ == "mp4" else {}
    with av.open(str(part), "w", format=format_, container_options=options) as container:
        stream = container.add_stream_from_template(encoding.template, opaque=True)
        _describe(stream, encoding, format_)
        for packet, time in zip(packets, times, strict=True):
            out = cast("Packet[VideoStream]", Packet(packet.data))
            out.stream, out.time_base, out.is_keyframe = stream, time_base(encoding), packet.key
            out.pts, out.dts, out.duration = time
            container.mux(out)


def _describe(stream: VideoStream, encoding: Encoding, format_: str) -> None:
    """The key frame's own parameters in place of those that the connection began with."""
    context = stream.codec_context
    stream.time_base = time_base(encoding)
    context.width, context.height = encoding.size
    if encoding.extradata:
        context.extradata = encoding.extradata
    if encoding.codec == "hevc" and format_ == "mp4":
        context.codec_tag = "hvc1"  # Apple's players take no other kind
