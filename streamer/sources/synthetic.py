"""``synthetic:`` a drawn test picture whose number can be read back from its pixels, with faults on demand.

``synthetic:?size=640x360&fps=10&seconds=30&live=1&fault=hang@3``. Along the top runs a strip of `CODE_BITS` cells,
white for 1 and black for 0, lowest bit first, that says the picture's number; below it coloured boxes move.

Faults, at so many seconds after the beginning of each connection: ``die@S`` the connection breaks (a file: it ends in
an error), ``gone@S`` it breaks and nothing answers any more, ``hang@S`` it stays and nothing comes, ``resize@S`` the
pictures are half as large from then on, ``jump@S`` the camera's clock leaps by 1000 s. ``refuse`` never answers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import numpy as np

from streamer.buffers import wait_until
from streamer.errors import OptionError, SourceError
from streamer.sources.base import Counters, SourceInfo
from streamer.sources.live import StalledError
from streamer.sources.picture import Scaler, VideoPicture
from streamer.sources.sampled import SampledSource, Wanted
from streamer.sources.timeline import Timeline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from streamer.sources.base import Size
    from streamer.sources.ring import PacketRing

CODE_BITS = 16
TIME_BASE = Fraction(1, 90_000)
SYNTHETIC = "synthetic:"
_LIVE_FAULTS = ("die", "gone", "hang", "resize", "jump", "refuse")
_FILE_FAULTS = ("die", "resize")
_COLOURS = ((220, 40, 40), (40, 180, 60), (60, 90, 230))


@dataclass(frozen=True, slots=True)
class SyntheticOptions:
    """What to draw. Raises `OptionError`."""

    size: Size = (640, 360)
    fps: Fraction = Fraction(10)
    seconds: Fraction | None = None
    """None: 10 s as a file, without end as a camera."""
    live: bool = False
    fault: str = ""
    fault_at: Fraction = Fraction(0)
    """Seconds after the beginning of the connection."""

    @classmethod
    def parse(cls, address: str) -> SyntheticOptions:
        _, _, query = address.partition("?")
        given = dict(parse_qsl(query, keep_blank_values=True))
        unknown = set(given) - {"size", "fps", "seconds", "live", "fault"}
        if unknown:
            raise OptionError("synthetic", sorted(unknown)[0], "size, fps, seconds, live or fault")
        fault, _, moment = given.get("fault", "").partition("@")
        options = cls(
            size=_size(given.get("size", "640x360")),
            fps=_number("fps", given.get("fps", "10")),
            seconds=_number("seconds", given["seconds"]) if "seconds" in given else None,
            live=given.get("live", "0") not in ("0", "", "false"),
            fault=fault,
            fault_at=_number("fault", moment) if moment else Fraction(0),
        )
        known = _LIVE_FAULTS if options.live else _FILE_FAULTS
        if fault and fault not in known:
            raise OptionError("fault", fault, " or ".join(known))
        return options


def draw(number: int, size: Size) -> NDArray[np.uint8]:
    """``(H, W, 3)`` uint8 RGB of ``size`` (W, H)."""
    width, height = size
    image = np.empty((height, width, 3), np.uint8)
    image[:] = np.linspace(70, 150, width, dtype=np.uint8)[None, :, None]
    for box, colour in zip(boxes(number), _COLOURS, strict=True):
        x1, y1, x2, y2 = (round(value * side) for value, side in zip(box, (width, height) * 2, strict=True))
        image[y1:y2, x1:x2] = colour
    edges = np.linspace(0, width, CODE_BITS + 1).astype(int)
    for bit in range(CODE_BITS):
        image[: max(1, height // 8), edges[bit] : edges[bit + 1]] = 255 * (number >> bit & 1)
    return image


def boxes(number: int) -> list[tuple[float, float, float, float]]:
    """Corners ``x1, y1, x2, y2`` of the drawn boxes in 0..1: red, green, blue."""
    found = []
    for row in range(len(_COLOURS)):
        x = (number * (0.01 + 0.005 * row) + 0.3 * row) % 0.8
        y = 0.2 + 0.25 * row
        found.append((x, y, x + 0.2, y + 0.2))
    return found


def read_counter(image: NDArray[np.uint8]) -> int:
    """The number that `draw` wrote, modulo 2 ** `CODE_BITS`, from an RGB picture at any size of at least 64 x 36."""
    height, width = image.shape[:2]
    row = image[max(0, height // 16)].mean(axis=1)
    centres = ((np.arange(CODE_BITS) + 0.5) * width / CODE_BITS).astype(int)
    return int(sum(1 << bit for bit, x in enumerate(centres) if row[x] > 127))


class SyntheticSource(SampledSource):
    """The drawn pictures as a file: all of them, as fast as they are taken."""

    def __init__(self, address: str, wanted: Wanted) -> None:
        super().__init__(wanted)
        self._address, self._options = address, SyntheticOptions.parse(address)
        seconds, rate = self._options.seconds or Fraction(10), self._options.fps
        self._count = int(seconds * rate)
        self._info = SourceInfo(address, "file", self._options.size, float(seconds), float(rate), self._count, "drawn")

    def _read(self, counters: Counters) -> Iterator[VideoPicture]:
        scaler = Scaler()
        for number in range(self._count):
            at = number / self._options.fps
            broken = bool(self._options.fault) and at >= self._options.fault_at
            if self._closed.is_set():
                return
            if broken and self._options.fault == "die":
                raise SourceError(self._address, "it broke as asked", "leave fault= out", frames_read=number)
            counters.decoded += 1
            yield _picture(number, _halved(self._options.size, broken), scaler, at)


class SyntheticFeed:
    """The drawn pictures as a camera. Numbers go on over connections, as time does."""

    comes_back = True
    codec = "drawn"
    ring: PacketRing | None = None

    def __init__(self, address: str, stall_seconds: float) -> None:
        self.address, self._stall_seconds = address, stall_seconds
        self._options = SyntheticOptions.parse(address)
        self.rate: float | None = float(self._options.fps)
        self._timeline = Timeline(TIME_BASE, self._options.fps, 10.0)
        self._began: float | None = None
        self._gone = False

    def pictures(self, stop: threading.Event, counters: Counters) -> Iterator[VideoPicture]:
        options, scaler = self._options, Scaler(threads=1)
        if options.fault == "refuse" or self._gone:
            raise SourceError(self.address, "nothing listens there", "leave fault= out")
        connected = time.monotonic()
        self._began = connected if self._began is None else self._began
        number = int((connected - self._began) * options.fps)
        self._timeline.interrupt(TIME_BASE)
        while options.seconds is None or number < options.seconds * options.fps:
            if wait_until(stop, self._began + number / options.fps):
                return
            broken = bool(options.fault) and time.monotonic() - connected >= options.fault_at
            if broken:
                self._break(stop)
                if stop.is_set():
                    return
            jump = 1000 if broken and options.fault == "jump" else 0
            at = self._timeline.place(int((number / options.fps + jump) / TIME_BASE), 1 / options.fps)
            counters.decoded += 1
            picture = _picture(number, _halved(options.size, broken and options.fault == "resize"), scaler, at)
            picture.captured_at = time.monotonic()
            yield picture
            number += 1

    def _break(self, stop: threading.Event) -> None:
        """Raises what a broken connection raises."""
        if self._options.fault == "hang" and not stop.wait(self._stall_seconds):
            raise StalledError(self.address, f"connected, but nothing came for {self._stall_seconds:g} s")
        if self._options.fault in ("die", "gone"):
            self._gone = self._options.fault == "gone"
            raise SourceError(self.address, "the other side ended the stream", "leave fault= out")


def _picture(number: int, size: Size, scaler: Scaler, at: Fraction) -> VideoPicture:
    picture = VideoPicture.from_rgb(draw(number, size), scaler, at, number)
    picture.pts, picture.time_base = int(at / TIME_BASE), TIME_BASE
    return picture


def _halved(size: Size, halve: bool) -> Size:
    return (size[0] // 2, size[1] // 2) if halve else size


def _size(text: str) -> Size:
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and min(int(width), int(height)) >= 16):
        raise OptionError("size", text, "WIDTHxHEIGHT, each at least 16")
    return int(width), int(height)


def _number(option: str, text: str) -> Fraction:
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise OptionError(option, text, "a number") from error
    if value <= 0:
        raise OptionError(option, text, "a number above 0")
    return value
