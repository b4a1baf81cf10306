"""A decoded picture and how it is scaled: YUV to RGB at the wanted size by libswscale, upright, once per size."""

from __future__ import annotations

import time
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter

from streamer.errors import OptionError
from streamer.sources.base import Picture
from streamer.sources.orientation import UPRIGHT, Orientation
from streamer.sources.tonemap import Transfer, tone_map

if TYPE_CHECKING:
    from collections.abc import Mapping

    from av.sidedata.sidedata import SideData
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

    from streamer.sources.base import Size

HD_HEIGHT = 720
"""From this height on, untagged colours are taken as BT.709; below, as BT.601."""
SIZES = 5
"""To which a source's pictures are scaled at a time without making tables anew."""
_MATRICES = {1: Colorspace.ITU709, 4: Colorspace.FCC, 5: Colorspace.ITU601, 6: Colorspace.SMPTE170M}
_MATRICES |= {7: Colorspace.SMPTE240M, 9: Colorspace.BT2020, 10: Colorspace.BT2020}
_HDR: dict[int, Transfer] = {ColorTrc.SMPTE2084: "pq", ColorTrc.ARIB_STD_B67: "hlg"}
_PLAIN = frozenset({"yuv420p", "yuvj420p"})
_QUALITY = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


class Scaler:
    """Turns decoded frames into RGB arrays; keeps libswscale's tables between frames. Not for two threads at once."""

    def __init__(self, threads: int = 0) -> None:
        """``threads``: libswscale's; 0 is as many as there are cores, which many cameras at once are better without."""
        self._threads = threads
        self._reformatters: dict[Size, tuple[VideoReformatter, VideoReformatter]] = {}

    def scaled(self, frame: VideoFrame, orientation: Orientation, size: Size) -> NDArray[np.uint8]:
        """``(H, W, 3)`` uint8 RGB of ``size`` (W, H), upright. The stored picture is scaled, then turned."""
        if min(size) < 1:
            raise OptionError("picture size", size, "a width and a height of at least 1")
        if frame.interlaced_frame:
            frame = deinterlaced(frame)
        return orientation.apply(self._rgb(frame, orientation.turned(size)))

    def _rgb(self, frame: VideoFrame, size: Size) -> NDArray[np.uint8]:
        """By way of planes: libswscale writes them by vector instructions, and packed RGB pixel by pixel. The bytes
        are the same, in half the time."""
        transfer = _HDR.get(frame.color_trc)
        scaler, packer = self._pair(size)
        converted = scaler.reformat(
            frame,
            *size,
            "gbrp" if transfer is None else "rgb48le",
            src_colorspace=_matrix(frame),
            src_color_range=_range(frame),
            dst_color_range=None if frame.format.is_rgb else ColorRange.JPEG,
            interpolation=_QUALITY,
            threads=self._threads,
        )
        if transfer is None:
            packed = packer.reformat(converted, *size, "rgb24", threads=self._threads)
            return np.asarray(packed.to_ndarray(), dtype=np.uint8)
        return tone_map(np.asarray(converted.to_ndarray(), dtype=np.uint16), transfer)

    def _pair(self, size: Size) -> tuple[VideoReformatter, VideoReformatter]:
        """One for each of the sizes last wanted (analysis and viewers'), as each keeps tables for one size."""
        found = self._reformatters.pop(size, None) or (VideoReformatter(), VideoReformatter())
        self._reformatters[size] = found
        while len(self._reformatters) > SIZES:
            del self._reformatters[next(iter(self._reformatters))]
        return found


def _matrix(frame: VideoFrame) -> int | None:
    if frame.format.is_rgb:
        return None
    fallback = Colorspace.ITU709 if frame.height >= HD_HEIGHT else Colorspace.ITU601
    return int(_MATRICES.get(frame.colorspace, fallback))


def _range(frame: VideoFrame) -> int | None:
    """Untagged YUV is limited range; untagged grey and RGB are left to libswscale, which knows them as full."""
    if frame.color_range in (ColorRange.MPEG, ColorRange.JPEG):
        return int(frame.color_range)
    if frame.format.is_rgb or len(frame.format.components) < 3:
        return None
    return int(ColorRange.JPEG if frame.format.name.startswith("yuvj") else ColorRange.MPEG)


def deinterlaced(frame: VideoFrame) -> VideoFrame:
    """The first field at full height. Done in space alone (``estdif``), not in time as by ``yadif``: the picture must
    not depend on which of its neighbours were decoded, so that seeking gives what a full decode gives."""
    graph = av.filter.Graph()
    size = f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}"
    source = graph.add("buffer", f"{size}:time_base=1/1000:pixel_aspect=1/1")
    filter_, sink = graph.add("estdif", "mode=frame"), graph.add("buffersink")
    source.link_to(filter_)
    filter_.link_to(sink)
    graph.configure()
    graph.vpush(frame)
    graph.vpush(None)
    out = graph.vpull()
    for name in ("colorspace", "color_range", "color_trc", "color_primaries"):
        setattr(out, name, getattr(frame, name))
    return out


def upright_size(frame: VideoFrame, aspect: Fraction | None, orientation: Orientation) -> Size:
    """Size with square pixels: the longer side of the pixel is stretched, so nothing is lost."""
    width, height = frame.width, frame.height
    if aspect and aspect > 1:
        width = max(1, round(width * aspect))
    elif aspect and 0 < aspect < 1:
        height = max(1, round(height / aspect))
    return orientation.turned((width, height))


def orientation_of(frame: VideoFrame) -> Orientation:
    if not frame.rotation and not len(frame.side_data):
        return UPRIGHT
    matrix = cast("Mapping[str, SideData]", frame.side_data).get("DISPLAYMATRIX")  # PyAV's stub knows a few names only
    return Orientation.from_display_matrix(bytes(matrix)) if matrix is not None else UPRIGHT


@dataclass(slots=True, eq=False)
class VideoPicture(Picture):
    """One decoded frame with its exact time. `scaled` may be called until the next picture is long gone."""

    frame: VideoFrame
    scaler: Scaler
    orientation: Orientation
    source_size: Size
    time: Fraction
    """Exact seconds since the start of the source."""
    time_seconds: float
    index: int | None = None
    pts: int | None = None
    time_base: Fraction | None = None
    captured_at: float | None = None
    decode_ms: float = 0.0
    key_frame: bool = False
    round: int = 0

    @property
    def as_sent(self) -> bool:
        plain = self.frame.format.name in _PLAIN and self.frame.color_trc not in _HDR
        return self.orientation is UPRIGHT and plain and not self.frame.interlaced_frame

    def scaled(self, size: Size) -> NDArray[np.uint8]:
        return self.scaler.scaled(self.frame, self.orientation, size)

    @classmethod
    def from_rgb(cls, image: NDArray[np.uint8], scaler: Scaler, time: Fraction, index: int) -> VideoPicture:
        """A picture that was drawn or read as ``(H, W, 3)`` uint8 RGB, upright."""
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        size = (image.shape[1], image.shape[0])
        return cls(frame, scaler, UPRIGHT, size, time, float(time), index=index, key_frame=True)


class Stopwatch:
    """Milliseconds of work between two pictures."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._since = 0.0

    def __enter__(self) -> None:
        self._since = time.perf_counter()

    def __exit__(self, *exc_info: object) -> None:
        self._seconds += time.perf_counter() - self._since

    def take_ms(self) -> float:
        """What has added up since the last call."""
        spent, self._seconds = self._seconds * 1000, 0.0
        return spent
