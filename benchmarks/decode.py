"""How quickly sampled pictures of a file come, beside OpenCV, torchcodec, decord and the ffmpeg program.

    python benchmarks/decode.py [--quick] [--json] [--clips FOLDER] [--gops 30,120,250] [--rates 0.1,...,30] [--runs 7]

A 1080p30 H.264 clip of a minute is drawn for each GOP (and kept in FOLDER); each tool gives the pictures shown at
0, 1/rate, 2/rate... seconds as RGB arrays of 528x288, from the file's name to the last picture. Each way of a tool
runs once to look at its pictures; the ways not far behind then run in turn, so that a slow minute of the machine
meets all of them. A tool's row is its quickest way. Columns: median seconds; lowest and highest; ``cpu``: seconds of
processor time; ``ratio``: the median over the rounds of streamer's time by this tool's (streamer's row: by the best
peer of the same round), so above 1 streamer is slower; ``wrong``: pictures whose number, read from their pixels, is
not the one shown at that time; ``identical``: equal in every byte to a full decode scaled as streamer does
(libswscale, bicubic); ``difference``: mean absolute difference from that in 0..255, and ``most`` the largest one.
"""

from __future__ import annotations

import math
import os
import statistics
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from common import arguments, report
from decode_ways import OURS, PEERS, SPARSE, Asked, Image, Way, absent, versions
from numpy.typing import NDArray

from streamer.sources.synthetic import CODE_BITS, read_counter

SIZE = (528, 288)
FPS = 30
FAR_BEHIND = 1.3
"""A peer's way that takes so many times as long as the best one is not run again, and is left at once where another way
of the same tool was as much quicker."""
LOOKED_AT = 8
"""Pictures of each rate whose pixels are compared."""


@dataclass(frozen=True, slots=True)
class Clip:
    size: tuple[int, int]
    seconds: int
    gop: int

    def draw(self, folder: Path) -> Path:
        """The file, drawn unless it is there already: a panned texture with noise, each picture's number on top."""
        path = folder / f"{self.size[1]}p{FPS}_{self.seconds}s_gop{self.gop}.mp4"
        if path.exists():
            return path
        folder.mkdir(parents=True, exist_ok=True)
        print(f"drawing {path}", file=sys.stderr)
        part = path.with_suffix(".part")
        with av.open(str(part), "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=FPS)
            context = stream.codec_context
            context.width, context.height, context.pix_fmt = *self.size, "yuv420p"
            context.gop_size = self.gop
            context.colorspace, context.color_range = int(Colorspace.ITU709), int(ColorRange.MPEG)
            context.options = {"preset": "veryfast", "crf": "23", "sc_threshold": "0", "keyint_min": str(self.gop)}
            for plane in _planes(self.size, self.seconds * FPS):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(plane, format="yuv420p")))
            container.mux(stream.encode(None))
        return part.rename(path)


def _planes(size: tuple[int, int], count: int) -> Iterator[Image]:
    """``(H * 3 / 2, W)`` YUV 4:2:0."""
    width, height = size
    rng = np.random.default_rng(1)
    texture = _texture(rng, (height + 128, width + 1024))
    noise = rng.normal(0, 1.5, (8, height, width)).round().astype(np.int16)
    chroma = _texture(rng, (height // 2 + 64, width + 512)) // 2 + 64
    edges = np.linspace(0, width, CODE_BITS + 1).astype(int)
    for number in range(count):
        x, y = 512 + round(500 * np.sin(number / 90)), 64 + round(60 * np.sin(number / 37))
        luma = texture[y : y + height, x : x + width] + noise[number % len(noise)]
        for thing in range(3):
            left, top = (number * (3 + 2 * thing)) % (width - width // 6), height * (2 + 2 * thing) // 9
            luma[top : top + height // 7, left : left + width // 8] = 60 + 60 * thing
        for bit in range(CODE_BITS):
            luma[: height // 8, edges[bit] : edges[bit + 1]] = 235 if number >> bit & 1 else 16
        coloured = chroma[y // 2 : y // 2 + height // 2, x // 2 : x // 2 + width].copy()
        coloured[: height // 16] = 128
        uv = np.concatenate([coloured[:, : width // 2].reshape(-1), coloured[:, width // 2 :].reshape(-1)])
        plane = np.concatenate([luma.reshape(-1), uv]).clip(16, 235).astype(np.uint8)
        yield plane.reshape(height * 3 // 2, width)


def _texture(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.int16]:
    """Detail at every scale, about as dear to code as a street: amplitudes fall with the frequency."""
    rows, columns = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    amplitude = np.maximum(np.hypot(rows, columns), 1 / max(shape)) ** -1.25
    waves = np.fft.irfft2(amplitude * np.exp(2j * np.pi * rng.random(amplitude.shape)), shape)
    return np.asarray((126 + 40 * waves / waves.std()).clip(20, 230), dtype=np.int16)


@dataclass(slots=True)
class Reference:
    """What a plain decode of the whole file by PyAV gives, scaled with streamer's flags."""

    sums: list[int] = field(default_factory=list)
    images: dict[int, Image] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, kept: set[int]) -> Reference:
        reference, scaler = cls(), VideoReformatter()
        flags = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
        with av.open(str(path)) as container:
            container.streams.video[0].thread_type = "AUTO"
            for index, frame in enumerate(container.decode(video=0)):
                colours = {"src_colorspace": Colorspace.ITU709, "src_color_range": ColorRange.MPEG}
                small = scaler.reformat(
                    frame, *SIZE, "rgb24", interpolation=flags, dst_color_range=ColorRange.JPEG, **colours
                )
                image = np.asarray(small.to_ndarray(), np.uint8)
                reference.sums.append(zlib.crc32(image.data))
                if index in kept:
                    reference.images[index] = image
        return reference


@dataclass(slots=True)
class Tally:
    """What one way gave and how long it took."""

    way: Way
    first_seconds: float = 0.0
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    """Seconds of processor time of each run, all threads and child processes."""
    pictures: int = 0
    wrong: int = 0
    identical: int = 0
    """Pictures equal to the reference in every byte."""
    difference: float = 0.0
    most: int = 0

    @property
    def median(self) -> float:
        return statistics.median(self.seconds or [self.first_seconds])

    def look(self, asked: Asked, reference: Reference, limit: float) -> bool:
        """The first run. Only the time inside the tool counts. False where it was left after ``limit`` seconds."""
        indices, differences = asked.indices, []
        looked_at = set(chosen(indices))
        source, begun = self.way.pictures(asked), time.perf_counter()
        for image in source:
            self.first_seconds += time.perf_counter() - begun
            index = indices[self.pictures] if self.pictures < len(indices) else -1
            self.wrong += read_counter(image) != index
            self.identical += zlib.crc32(np.ascontiguousarray(image).data) == reference.sums[index]
            if index in looked_at:
                apart = np.abs(image.astype(np.int16) - reference.images[index])
                differences.append(float(apart.mean()))
                self.most = max(self.most, int(apart.max()))
            self.pictures += 1
            if self.first_seconds > limit:
                return False
            begun = time.perf_counter()
        self.first_seconds += time.perf_counter() - begun
        self.wrong += max(0, len(indices) - self.pictures)
        self.difference = statistics.mean(differences) if differences else 0.0
        return True

    def run(self, asked: Asked) -> None:
        begun, spent = time.perf_counter(), processor_seconds()
        count = sum(1 for _ in self.way.pictures(asked))
        self.seconds.append(time.perf_counter() - begun)
        self.processor.append(processor_seconds() - spent)
        assert count == self.pictures


def processor_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def chosen(indices: Sequence[int]) -> list[int]:
    """A few, evenly."""
    return list(indices[:: -(-len(indices) // LOOKED_AT)])


def measure(asked: Asked, reference: Reference, ways: Sequence[Way], runs: int) -> list[Tally]:
    """Every way looked at, the promising ones timed ``runs`` times in turn."""
    tallies: list[Tally] = []
    for tally in [Tally(way) for way in ways if not way.sparse_only or asked.rate <= SPARSE]:
        others = [other.first_seconds for other in tallies if other.way.tool == tally.way.tool]
        if tally.look(asked, reference, FAR_BEHIND * min(others, default=math.inf)):
            tallies.append(tally)
    best = min((tally.first_seconds for tally in tallies if tally.way is not OURS), default=0.0)
    timed = [tally for tally in tallies if tally.way is OURS or tally.first_seconds <= FAR_BEHIND * best]
    for number in range(runs):
        for place in range(len(timed)):
            timed[(place + number) % len(timed)].run(asked)
    return tallies


def rows_of(asked: Asked, gop: int, tallies: Sequence[Tally]) -> list[dict[str, Any]]:
    """A row a tool: its quickest way."""
    quickest: dict[str, Tally] = {}
    for tally in sorted(tallies, key=lambda tally: (not tally.seconds, tally.median)):
        quickest.setdefault(tally.way.tool, tally)
    ours = quickest.pop(OURS.tool)
    peers = list(quickest.values())
    rounds = range(len(ours.seconds))
    best = [min((peer.seconds[turn] for peer in peers if peer.seconds), default=0.0) for turn in rounds]
    return [_row(asked, gop, tally, ours, best if tally is ours else tally.seconds) for tally in (ours, *peers)]


def _row(asked: Asked, gop: int, tally: Tally, ours: Tally, against: Sequence[float]) -> dict[str, Any]:
    seconds = tally.seconds or [tally.first_seconds]
    ratios = [mine / other for mine, other in zip(ours.seconds, against, strict=False) if other]
    return {
        "gop": gop,
        "rate": float(asked.rate),
        "tool": tally.way.tool,
        "way": tally.way.name,
        "pictures": tally.pictures,
        "seconds": round(statistics.median(seconds), 4),
        "low": round(min(seconds), 4),
        "high": round(max(seconds), 4),
        "runs": len(seconds),
        "cpu": round(statistics.median(tally.processor), 3) if tally.processor else "-",
        "ratio": round(statistics.median(ratios or [ours.median / seconds[0]]), 3),
        "ratio low": round(min(ratios), 3) if ratios else "-",
        "ratio high": round(max(ratios), 3) if ratios else "-",
        "wrong": tally.wrong,
        "identical": tally.identical,
        "difference": round(tally.difference, 2),
        "most": tally.most,
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--clips", type=Path, default=Path(tempfile.gettempdir()) / "streamer-decode")
    parser.add_argument("--gops", default="30,120,250")
    parser.add_argument("--rates", default="0.1,0.2,0.5,1,2,5,10,30")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    gops, rates = options.gops.split(","), options.rates.split(",")
    if options.quick:
        gops, rates, options.runs = ["30"], ["0.5", "5", "30"], 1
    missing = absent()
    ways = [OURS, *(way for way in PEERS if way.tool not in missing)]
    rows: list[dict[str, Any]] = []
    for gop in map(int, gops):
        clip = Clip((960, 540), 4, gop) if options.quick else Clip((1920, 1080), 60, gop)
        path = clip.draw(options.clips)
        wanted = [Asked(path, clip.seconds, FPS, Fraction(rate), SIZE) for rate in rates]
        reference = Reference.read(path, {index for asked in wanted for index in chosen(asked.indices)})
        for asked in wanted:
            rows += rows_of(asked, gop, measure(asked, reference, ways, options.runs))
            print(f"GOP {gop}, {float(asked.rate):g} a second: measured", file=sys.stderr)
    ours = [row for row in rows if row["tool"] == OURS.tool]
    slower = [f"GOP {row['gop']} at {row['rate']:g}/s: {row['ratio']}" for row in ours if row["ratio"] > 1.05]
    rows += [{**dict.fromkeys(rows[0], "-"), "tool": tool, "way": reason} for tool, reason in missing.items()]
    notes = {"clip": f"{clip.size[0]}x{clip.size[1]}, {clip.seconds} s", "over 5 % slower": slower or "nowhere"}
    report("sampling a file", rows, as_json=options.json, notes=notes, more_versions=versions())


if __name__ == "__main__":
    main()
