"""Clips made for tests: each picture says its number, so that what was decoded can be told from its pixels."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from numpy.typing import NDArray

from streamer.sources.synthetic import draw

TIME_BASE = Fraction(1, 1000)


def make_clip(
    path: Path,
    times_ms: Sequence[int],
    *,
    size: tuple[int, int] = (160, 96),
    gop: int = 12,
    b_frames: int = 2,
    codec: str = "libx264",
    aspect: Fraction | None = None,
    picture: Callable[[int, tuple[int, int]], NDArray[np.uint8]] = draw,
) -> Path:
    """A clip whose n-th picture is ``picture(n, size)`` shown at ``times_ms[n]``."""
    with av.open(str(path), "w") as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=30))
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = *size, "yuv420p"
        context.time_base = TIME_BASE
        context.gop_size, context.max_b_frames = gop, b_frames
        if aspect is not None:
            context.sample_aspect_ratio = aspect
        if codec == "libx264":
            context.options = {"preset": "ultrafast", "sc_threshold": "0", "bf": str(b_frames), "threads": "1"}
        for number, moment in enumerate(times_ms):
            frame = av.VideoFrame.from_ndarray(picture(number, size), format="rgb24")
            frame.pts, frame.time_base = moment, TIME_BASE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def even(count: int, fps: int = 10) -> list[int]:
    """Milliseconds of ``count`` pictures at an even rate."""
    return [number * 1000 // fps for number in range(count)]


def set_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Writes into an MP4 that a stored point (x, y) is shown at (ax + cy, bx + dy), each of them -1, 0 or 1."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    data[place : place + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(data)
    return path


def ffmpeg(*arguments: str) -> None:
    """Runs the command line tool; the test is skipped where it is absent."""
    tool = shutil.which("ffmpeg")
    if tool is None:
        pytest.skip("the ffmpeg command is not installed")
    subprocess.run([tool, "-v", "error", "-y", *arguments], check=True, timeout=60, stdin=subprocess.DEVNULL)


def pictures(path: Path) -> list[tuple[float, NDArray[np.uint8]]]:
    """All of a video, each with its time in seconds."""
    with av.open(str(path)) as container:
        return [
            (float(frame.time or 0), np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
            for frame in container.decode(video=0)
        ]
