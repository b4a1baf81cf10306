"""Packets as a camera sent them, copied off the decoder, with all that is needed to put them into a file later."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import av

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

    from streamer.sources.base import Size

UNTIMED_BASE = Fraction(1, 90_000)
"""Unit of times where packets carry none of their own."""
PACKET_OVERHEAD_BYTES = 256
"""What a packet costs beside its payload; a flood of tiny ones is counted too."""
_RAW = frozenset({"rawvideo", "wrapped_avframe", "v210", "bitpacked"})
_START = b"\x00\x00\x01"
_H264_SETS, _HEVC_SETS = {7: "sps", 8: "pps"}, {32: "vps", 33: "sps", 34: "pps"}


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """What the packets of one uninterrupted stretch have in common. Two stretches differ in identity alone."""

    codec: str
    """FFmpeg's name of the format, as ``h264``."""
    size: Size
    """``(width, height)`` as stored, before any turning."""
    time_base: Fraction
    """Seconds in a unit of ``pts`` and ``dts``."""
    timed: bool
    """False where the times were invented by FFmpeg, and only the moment of arrival is worth something."""
    extradata: bytes
    """The decoder's parameters as the container or the key frame states them; may be empty."""
    template: VideoStream
    """A stream of an output that is never begun: PyAV's only way to keep all parameters (colours, rotation, aspect)
    when the camera's own container is gone. Never changed, so any thread may read it."""

    @classmethod
    def of(cls, stream: VideoStream, *, timed: bool = True, extradata: bytes | None = None) -> Encoding:
        """Of an open stream; ``extradata`` in place of the stream's own. Raises `ValueError` for what no file holds."""
        context = stream.codec_context
        keeper = av.open(io.BytesIO(), "w", format="matroska")
        return cls(
            codec=context.codec.canonical_name,
            size=(context.width, context.height),
            time_base=stream.time_base or UNTIMED_BASE,
            timed=timed and stream.time_base is not None,
            extradata=extradata or context.extradata or b"",
            template=keeper.add_stream_from_template(stream, opaque=True),
        )


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPacket:
    """A packet's copy, safe on any thread."""

    encoding: Encoding
    data: bytes
    pts: int | None
    dts: int | None
    key: bool
    """Whether decoding can begin here."""
    captured_at: float
    """When it came (`time.monotonic`)."""
    round: int = 0
    """Which opening of its source it is from: times begin anew with each connection, and each round of a loop."""

    @property
    def cost_bytes(self) -> int:
        return len(self.data) + PACKET_OVERHEAD_BYTES


def keepable(codec: str) -> bool:
    """Whether packets of ``codec`` are small enough to be kept: not those that are bare pixels."""
    return codec not in _RAW


class Tap:
    """Copies the packets of a stream and hands them to ``take``, from the first key frame on.

    Called on the decoding thread with each packet once it was decoded, so that a changed size is known. A new stream,
    as each round of a looped file is, goes on with the `Encoding` before it if it has the same parameters.
    """

    def __init__(
        self, take: Callable[[EncodedPacket], None], clock: Callable[[], float], *, timed: bool = True
    ) -> None:
        self._take, self._clock, self._timed = take, clock, timed
        self.round = 0
        """Of the packets that come."""
        self._stream: VideoStream | None = None
        self._extradata: bytes | None = None
        self._telling: list[bytes] = []
        self._signature: object = None
        self._encoding: Encoding | None = None
        self._begun = False

    def __call__(self, stream: VideoStream, packet: Packet[VideoStream]) -> None:
        if stream is not self._stream:
            self._stream, self._extradata, self._begun = stream, stream.codec_context.extradata, False
        if packet.has_sidedata("new_extradata"):
            self._extradata = bytes(packet.get_sidedata("new_extradata"))
            self._begun = False
        data, key = bytes(packet), packet.is_keyframe
        if key:
            self._compare(stream, data)
        if self._begun and self._encoding is not None:
            self._take(EncodedPacket(self._encoding, data, packet.pts, packet.dts, key, self._clock(), self.round))

    def _compare(self, stream: VideoStream, data: bytes) -> None:
        """Makes another `Encoding` where a key frame is not of the one before it."""
        context = stream.codec_context
        codec = context.codec.canonical_name
        sets = [] if _length_prefixed(self._extradata) else list(parameter_sets(codec, data))
        # An H.264 file may bring other PPS along with its pictures; an HEVC file of the kind that all players take not.
        self._telling = [unit for kind, unit in sets if kind == "sps" or codec == "hevc"] or self._telling
        signature = (codec, context.width, context.height, stream.time_base, self._extradata, self._telling)
        if signature != self._signature:
            self._signature, self._encoding = signature, self._made(stream, codec, sets)
        self._begun = True

    def _made(self, stream: VideoStream, codec: str, sets: list[tuple[str, bytes]]) -> Encoding | None:
        wanted = set(_kinds(codec).values())
        whole = wanted and wanted == {kind for kind, _ in sets}
        units = b"".join(b"\x00" + _START + unit for _, unit in sets)
        try:
            return Encoding.of(stream, timed=self._timed, extradata=units if whole else self._extradata)
        except (ValueError, av.FFmpegError):
            return None


def _length_prefixed(extradata: bytes | None) -> bool:
    """Whether units have their length before them, as in MP4, instead of start codes."""
    return bool(extradata) and extradata is not None and extradata[0] == 1


def _kinds(codec: str) -> dict[int, str]:
    return {"h264": _H264_SETS, "hevc": _HEVC_SETS}.get(codec, {})


def parameter_sets(codec: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """The H.264 or HEVC parameter sets before the first slice of a picture in units with start codes: (kind, unit)."""
    kinds = _kinds(codec)
    start = data.find(_START) if kinds else -1
    while start >= 0:
        start += len(_START)
        number = (data[start] & 31 if codec == "h264" else data[start] >> 1 & 63) if start < len(data) else 0
        if number < 32 if codec == "hevc" else 1 <= number <= 5:
            return
        end = data.find(_START, start)
        if number in kinds:
            yield kinds[number], data[start : end if end >= 0 else None].rstrip(b"\x00")
        start = end
