"""What the gate makes of noise, light, small things and videos, and what a look costs.

    python benchmarks/gating.py [--quick] [--json] [--clips FOLDER] [--threshold 0.03] [--cells 64x36]

Differences are those of `streamer.gating`: of the cell that differs most, in parts of full brightness; least, median
and largest of all pairs. ``analysed`` says how many of them the gate lets through to the model. What is ``the same``
should not be, what has ``changed`` should. The pictures are the sample videos' own, or made of them: fresh noise,
other light, squares that appear, x264. All are at budget 280 but the squares, which are put on 1280 x 720.

Videos go through the gate at 1 and 2 frames a second, so that each frame is compared with the one analysed last: the
sample videos, and those of ``--clips`` that last ten seconds or more.

``ms`` is the processor time of a look on one thread (thumbnail and comparison), beside ``cv2.absdiff`` of the full
picture, which alone decides nothing yet, and beside its largest value taken too. Medians of rounds in turn.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from common import ROOT, arguments, report
from numpy.typing import NDArray

from streamer import gating
from streamer.errors import SourceError
from streamer.frames import Frame
from streamer.gating import THRESHOLD, Gate, Look, Sight, difference, thumbnail
from streamer.gemma.budget import size_for
from streamer.sources import open_source

Image = NDArray[np.uint8]
Pair = tuple[Image, Image]
Row = dict[str, Any]

BUDGET = 280
HD = (1280, 720)
VIDEO_RATES = (1, 2)
LONG_SECONDS = 10.0
SAMPLES = ("night", "signs", "street")
NOISE = (4, 8, 16)
SQUARES = ((40, 12, 12), (40, 16, 32), (40, 24, 24), (20, 16, 32), (20, 24, 24), (20, 40, 40))
"""``(contrast, width, height)``"""
LIGHTS: dict[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "3 % lighter or darker": lambda picture: picture * 1.03,
    "5 % lighter or darker": lambda picture: picture * 1.05,
    "10 levels lighter or darker": lambda picture: picture + 10,
    "20 levels lighter or darker": lambda picture: picture + 20,
}


def main() -> None:
    options = parsed()
    width, height = (int(side) for side in options.cells.split("x"))
    gating.CELLS = (width, height)
    rows = [*same_rows(options), *changed_rows(options), *video_rows(options), *cost_rows(quick=options.quick)]
    notes = {"threshold": options.threshold, "cells": options.cells, "budget": BUDGET}
    report("the gate", rows, as_json=options.json, notes=notes, more_versions={"cv2": cv2.__version__})


def parsed() -> argparse.Namespace:
    parser = arguments(__doc__)
    parser.add_argument("--clips", type=Path, metavar="FOLDER", help="videos beside the sample videos")
    parser.add_argument("--threshold", type=float, default=THRESHOLD)
    parser.add_argument(
        "--cells", default="x".join(map(str, gating.CELLS)), metavar="WIDTHxHEIGHT", help="of thumbnails"
    )
    return parser.parse_args()


# --- pairs of pictures --------------------------------------------------------------------------------------------


def same_rows(options: argparse.Namespace) -> Iterator[Row]:
    """What must not count."""
    noise, still = Noise(), frames("night", "at 0", BUDGET)[0].image
    count = 4 if options.quick else 20
    pairs = moments("night", 6 if options.quick else 30)
    yield pair_row("the same: night.mp4 a second apart", (pair for pair, moved in pairs if not moved), options)
    for sigma in NOISE:
        fresh = ((noise.on(still, sigma), noise.on(still, sigma)) for _ in range(count))
        yield pair_row(f"the same: fresh noise, sigma {sigma}", fresh, options)
    for rate, sigma in itertools.product((23, 32, 40), (0, 5, 10)):
        coded = x264(noise, still, sigma, rate, pictures=5 if options.quick else 50)
        yield pair_row(f"the same: noise of sigma {sigma} by x264 at CRF {rate}", coded, options)
    yield pair_row("the same: at budgets 70 and 280", budgets(), options)
    for name, change in LIGHTS.items():
        yield pair_row(f"the same: {name}", lit(still, change), options)


def changed_rows(options: argparse.Namespace) -> Iterator[Row]:
    """What must count."""
    seconds = 6 if options.quick else 30
    moved = (pair for pair, moved in moments("night", seconds) if moved)
    yield pair_row("changed: night.mp4 a second apart", moved, options)
    yield pair_row("changed: street.mp4 a second apart", (pair for pair, _ in moments("street", seconds)), options)
    noise, [picture] = Noise(), frames("night", "at 0")
    for contrast, width, height in SQUARES:
        pairs = squares(picture.image, noise, contrast, (width, height), 4 if options.quick else 40)
        yield pair_row(
            f"changed: a square of {width} x {height}, contrast {contrast}, noise of sigma 4", pairs, options
        )


def pair_row(name: str, pairs: Iterable[Pair], options: argparse.Namespace) -> Row:
    gaps, let_through = [], 0
    for before, after in pairs:
        gate = Gate(options.threshold)
        gate.analysed(Sight(thumbnail(before), 0.0))
        look = gate.look(Sight(thumbnail(after), 1.0))
        gaps.append(look.difference)
        let_through += look.analyse
    return row(name, gaps, let_through)


def row(name: str, gaps: Sequence[float], analysed: int, of: int | None = None) -> Row:
    """``of``: how many frames there were, where the first had nothing to be compared with."""
    numbers = [round(number, 4) for number in (min(gaps), statistics.median(gaps), max(gaps))] if gaps else ["-"] * 3
    found = dict(zip(("least", "median", "largest"), numbers, strict=True))
    return {"pictures": name, **found, "analysed": f"{analysed} of {of or len(gaps)}", "ms": "-", "x absdiff": "-"}


def frames(name: str, sampling: str, budget: int | None = None) -> list[Frame]:
    return video_frames(ROOT / "sample_videos" / f"{name}.mp4", sampling, budget)


def video_frames(path: Path, sampling: str, budget: int | None = None) -> list[Frame]:
    """At the budget's size, or at their own. Raises `SourceError`."""
    scale = None if budget is None else lambda size: size_for(size, budget)
    with open_source(str(path), sampling=sampling, size_for=scale) as source:
        return list(source.frames())


def moments(name: str, seconds: float) -> Iterator[tuple[Pair, bool]]:
    """Frames of a sample video a second apart, five pairs a second, and whether anything has moved in between."""
    told = json.loads((ROOT / "sample_videos" / f"{name}.json").read_text())["frames"]
    taken = [frame for frame in frames(name, "5 fps", BUDGET) if frame.time_seconds < seconds]
    for before, after in zip(taken, taken[5:], strict=False):
        objects = [told[frame.index or 0]["objects"] for frame in (before, after)]
        yield (before.image, after.image), objects[0] != objects[1]


class Noise:
    """A sensor's, of a pixel and channel; a few fields, used again shifted, as drawing them takes long."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(1)
        self._fields = [self._rng.standard_normal((*HD[::-1], 3), dtype=np.float32) for _ in range(4)]

    def on(self, picture: Image, sigma: float) -> Image:
        field = self._fields[self._rng.integers(len(self._fields))]
        shift = self._rng.integers(0, HD[1]), self._rng.integers(0, HD[0])
        height, width = picture.shape[:2]
        return clipped(picture + sigma * np.roll(field, shift, (0, 1))[:height, :width])


def clipped(picture: NDArray[Any]) -> Image:
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)


def lit(still: Image, change: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Iterator[Pair]:
    """There and back: what has become lighter becomes darker."""
    lighter = clipped(change(still.astype(np.float32)))
    yield still, lighter
    yield lighter, still


def budgets() -> Iterator[Pair]:
    for name in SAMPLES:
        several = zip(frames(name, "every 4 s", 70), frames(name, "every 4 s", 280), strict=True)
        yield from ((one.image, other.image) for one, other in several)


def squares(picture: Image, noise: Noise, contrast: int, size: tuple[int, int], count: int) -> Iterator[Pair]:
    """A lighter square where there was none."""
    rng = np.random.default_rng(2)
    for _ in range(count):
        x, y = rng.integers(0, HD[0] - size[0]), rng.integers(0, HD[1] - size[1])
        there = picture.astype(np.int16)
        there[y : y + size[1], x : x + size[0]] += contrast
        yield noise.on(picture, 4), noise.on(clipped(there), 4)


def x264(noise: Noise, still: Image, sigma: float, rate: int, pictures: int) -> Iterator[Pair]:
    """The picture with fresh noise, coded and decoded, a key frame every 20; each with the first one."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": str(rate), "g": "20"})
        stream.height, stream.width = still.shape[:2]
        stream.pix_fmt = "yuv420p"
        for _ in range(pictures):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise.on(still, sigma), format="rgb24")))
        container.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, "r") as coded:
        first, *later = (as_rgb(picture) for picture in coded.decode(video=0))
    yield from ((first, picture) for picture in later)


def as_rgb(picture: av.VideoFrame) -> Image:
    return np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)


# --- videos -------------------------------------------------------------------------------------------------------


def video_rows(options: argparse.Namespace) -> Iterator[Row]:
    names = SAMPLES[:1] if options.quick else SAMPLES
    paths = [ROOT / "sample_videos" / f"{name}.mp4" for name in names]
    if options.clips:
        paths += sorted(path for path in options.clips.iterdir() if path.is_file())
    for path in paths:
        for rate in VIDEO_RATES:
            try:
                looks = list(looked(video_frames(path, f"{rate} fps", BUDGET), options.threshold))
            except SourceError:  # no video, or a damaged one
                break
            if len(looks) >= rate * LONG_SECONDS:
                analysed = sum(look.analyse for look in looks)
                gaps = [look.difference for look in looks[1:]]
                yield row(f"{path.name}, {rate} a second", gaps, analysed, len(looks))


def looked(several: Iterable[Frame], threshold: float) -> Iterator[Look]:
    gate = Gate(threshold)
    for frame in several:
        sight = Sight.of(frame)
        look = gate.look(sight)
        if look.analyse:
            gate.analysed(sight)
        yield look


# --- cost ---------------------------------------------------------------------------------------------------------


def cost_rows(*, quick: bool) -> Iterator[Row]:
    cv2.setNumThreads(1)
    for budget in (70, BUDGET):
        one, other = (frame.image for frame in frames("street", "at 0, 1", budget))
        ways: dict[str, Callable[[], object]] = {
            "a look of the gate": partial(gate_look, thumbnail(one), other),
            "cv2.absdiff": partial(cv2.absdiff, one, other),
            "cv2.absdiff and its largest": partial(largest, one, other),
        }
        times = in_turn(ways, 5 if quick else 200)
        size = f"{one.shape[1]} x {one.shape[0]}"
        for name, ms in times.items():
            cost = {"ms": round(ms, 3), "x absdiff": round(ms / times["cv2.absdiff"], 2)}
            yield {"pictures": f"{name}, {size}", "least": "-", "median": "-", "largest": "-", "analysed": "-", **cost}


def gate_look(kept: Image, picture: Image) -> float:
    return difference(kept, thumbnail(picture))


def largest(before: Image, after: Image) -> int:
    return int(cv2.absdiff(before, after).max())


def in_turn(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Milliseconds of this thread, the median of so many."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _, (name, way) in itertools.product(range(rounds), ways.items()):
        began = time.thread_time()
        way()
        taken[name].append(1000 * (time.thread_time() - began))
    return {name: statistics.median(several) for name, several in taken.items()}


if __name__ == "__main__":
    main()
