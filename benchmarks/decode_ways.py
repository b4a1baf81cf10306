"""How each tool gives sampled pictures of a file, as its users would do it: RGB arrays of one size, in order of time.

Each way starts from the file's name, so opening and searching are part of what it costs.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamer.sampling import Sampling
from streamer.sources import open_source

Image = NDArray[np.uint8]
BATCH = 64
"""Pictures asked for at once where a tool gives batches: a minute at 30 a second would be 800 MB."""
SPARSE = 1
"""Pictures a second up to which searching for each picture is tried."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The pictures shown at 0, 1 / ``rate``, 2 / ``rate``... seconds."""

    path: Path
    seconds: int
    fps: int
    """Of the clip, a multiple of ``rate``."""
    rate: Fraction
    size: tuple[int, int]
    """(width, height) of the pictures wanted."""

    @property
    def times(self) -> list[Fraction]:
        return [number / self.rate for number in range(int(-(-self.seconds * self.rate // 1)))]

    @property
    def step(self) -> int:
        """From one picture wanted to the next one."""
        return int(self.fps / self.rate)

    @property
    def indices(self) -> list[int]:
        return list(range(0, self.seconds * self.fps, self.step))


@dataclass(frozen=True, slots=True)
class Way:
    tool: str
    name: str
    pictures: Callable[[Asked], Iterator[Image]]
    sparse_only: bool = False


def streamer_frames(asked: Asked) -> Iterator[Image]:
    with open_source(str(asked.path), sampling=Sampling.fps(asked.rate), size_for=lambda _: asked.size) as source:
        for frame in source.frames():
            yield frame.image


def opencv_grab(asked: Asked) -> Iterator[Image]:
    capture = cv2.VideoCapture(str(asked.path))
    number = 0
    while capture.grab():
        if number % asked.step == 0:
            yield _opencv_picture(capture.retrieve()[1], asked.size)
        number += 1
    capture.release()


def opencv_seek(asked: Asked) -> Iterator[Image]:
    capture = cv2.VideoCapture(str(asked.path))
    for index in asked.indices:
        capture.set(cv2.CAP_PROP_POS_FRAMES, index)
        yield _opencv_picture(capture.read()[1], asked.size)
    capture.release()


def _opencv_picture(picture: Any, size: tuple[int, int]) -> Image:
    small: Image = cv2.cvtColor(cv2.resize(picture, size), cv2.COLOR_BGR2RGB)
    return small


def torchcodec_played_at(asked: Asked, seek_mode: str) -> Iterator[Image]:
    decoders = importlib.import_module("torchcodec.decoders")
    transforms = importlib.import_module("torchcodec.transforms")
    width, height = asked.size
    decoder = decoders.VideoDecoder(
        str(asked.path),
        dimension_order="NHWC",
        num_ffmpeg_threads=0,
        seek_mode=seek_mode,
        transforms=[transforms.Resize((height, width))],
    )
    for times in _batches([float(time) for time in asked.times]):
        yield from decoder.get_frames_played_at(times).data.numpy()


def torchcodec_exact(asked: Asked) -> Iterator[Image]:
    return torchcodec_played_at(asked, "exact")


def torchcodec_approximate(asked: Asked) -> Iterator[Image]:
    return torchcodec_played_at(asked, "approximate")


def decord_batch(asked: Asked) -> Iterator[Image]:
    decord = importlib.import_module("decord")
    reader = decord.VideoReader(str(asked.path), width=asked.size[0], height=asked.size[1], num_threads=0)
    for indices in _batches(asked.indices):
        yield from reader.get_batch(indices).asnumpy()


def ffmpeg_filter(asked: Asked) -> Iterator[Image]:
    """One process. Rounding up makes a picture hold until the next one, as a player does."""
    width, height = asked.size
    graph = f"fps={asked.rate}:round=up:start_time=0,scale={width}:{height}"
    yield from _piped(["-i", str(asked.path), "-an", "-vf", graph], asked.size)


def ffmpeg_seek(asked: Asked) -> Iterator[Image]:
    """A process a picture."""
    width, height = asked.size
    for time in asked.times:
        ends = ["-ss", f"{float(time):.6f}", "-i", str(asked.path), "-an", "-frames:v", "1"]
        yield from _piped([*ends, "-vf", f"scale={width}:{height}"], asked.size)


def _piped(arguments: list[str], size: tuple[int, int]) -> Iterator[Image]:
    command = ["ffmpeg", "-v", "error", "-nostdin", *arguments, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    length = size[0] * size[1] * 3
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=length) as process:
        assert process.stdout is not None
        try:
            while len(data := process.stdout.read(length)) == length:
                yield np.frombuffer(data, np.uint8).reshape(size[1], size[0], 3)
        except GeneratorExit:
            process.kill()
            raise
    if process.returncode:
        raise RuntimeError(f"ffmpeg ended with {process.returncode}")


def _batches(items: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


OURS = Way("streamer", "frames()", streamer_frames)
PEERS = (
    Way("OpenCV", "seek, read", opencv_seek, sparse_only=True),
    Way("OpenCV", "grab, retrieve", opencv_grab),
    Way("torchcodec", "played_at, approximate", torchcodec_approximate),
    Way("torchcodec", "played_at, exact", torchcodec_exact),
    Way("decord", "get_batch", decord_batch),
    Way("ffmpeg", "-ss for each", ffmpeg_seek, sparse_only=True),
    Way("ffmpeg", "-vf fps", ffmpeg_filter),
)


def absent() -> dict[str, str]:
    """The tools that do not run here, with the reason."""
    reasons = {}
    for tool, module in (("torchcodec", "torchcodec.decoders"), ("decord", "decord")):
        try:
            importlib.import_module(module)
        except (ImportError, OSError, RuntimeError) as error:
            reasons[tool] = f"absent: {str(error).strip().splitlines()[0]}"
    if shutil.which("ffmpeg") is None:
        reasons["ffmpeg"] = "absent: no ffmpeg command in PATH"
    return reasons


def versions() -> dict[str, str]:
    """Of the peers that are here."""
    found = {"opencv": str(cv2.__version__)}
    for name in ("torchcodec", "decord"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    if shutil.which("ffmpeg"):
        said = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True).stdout
        matched = re.match(r"ffmpeg version (\S+)", said)
        found["ffmpeg"] = matched[1] if matched else "unknown"
    else:
        found["ffmpeg"] = "absent"
    return found
