"""How quickly a file job gets through a long video, beside the same loop over OpenCV.

    python benchmarks/annotate.py [--quick] [--json] [--clips FOLDER] [--gops 30,250] [--minutes 10] [--runs 3]
                                  [--without-tiny] [--without-formats]

A 1080p30 H.264 minute is drawn for each GOP and repeated by copying its packets. Every way asks a caption of one
picture a second and appends a JSON line for each. Rows: a scripted model that takes no time, so that what remains is
decoding, scaling and writing; then tiny at budget 70, the same engine in every row. The loops over OpenCV, as anybody
would write them: ``grab`` decodes on and converts the wanted pictures, ``seek`` sets the position for each, and both
scale with INTER_AREA to the model's size and ask one picture after the other. Columns: seconds of video a second
(median of the runs), its lowest and highest, and ``ratio``: streamer's job by this way, the median over the rounds.
``srt+vtt+csv+coco`` also writes those formats from the journal, ``mp4`` the annotated video (every picture of the clip
decoded, drawn and encoded), which have no peer row of their own.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from common import arguments, report
from decode import FPS, Clip
from numpy.typing import NDArray

from streamer.annotation import AnnotateRun, Failed, Finished
from streamer.filejob import AnnotateOptions
from streamer.models import load
from streamer.models.base import Request, VisionModel
from streamer.models.scripted import ScriptedModel
from streamer.sampling import Sampling
from streamer.tasks import CAPTION_PROMPT, Task

BUDGET = 70


@dataclass(frozen=True, slots=True)
class Way:
    name: str
    run: Callable[[Path, VisionModel, Path], int]
    """(clip, model, folder for the output) -> rows written."""


def repeated(minute: Path, minutes: int, gop: int) -> Path:
    """The clip so many times, one behind the other, its packets as they are."""
    path = minute.with_name(f"{minute.stem}_x{minutes}.mp4")
    if path.exists():
        return path
    part = path.with_suffix(".part")
    with av.open(str(part), "w", format="mp4") as out:
        stream, shift = None, 0
        for _ in range(minutes):
            with av.open(str(minute)) as container:
                source = container.streams.video[0]
                stream = stream or out.add_stream_from_template(source)
                for packet in container.demux(source):
                    if packet.pts is None or packet.dts is None:
                        continue
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                    out.mux(packet)
                assert source.duration is not None
                shift += source.duration
    return part.rename(path)


def job(*formats: str) -> Callable[[Path, VisionModel, Path], int]:
    def run(clip: Path, model: VisionModel, folder: Path) -> int:
        options = AnnotateOptions((Task.caption(),), Sampling.every(1), BUDGET, formats=("jsonl", *formats))
        rows = 0
        for event in AnnotateRun([(str(clip), "clip")], model, options, output=folder):
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Finished):
                if event.error is not None:
                    raise event.error
                rows = event.summary.frames
        return rows

    return run


def _grabbed(clip: Path) -> Iterator[tuple[int, NDArray[Any]]]:
    capture = cv2.VideoCapture(str(clip))
    number = 0
    while capture.grab():
        if number % FPS == 0:
            yield number, capture.retrieve()[1]
        number += 1
    capture.release()


def _sought(clip: Path) -> Iterator[tuple[int, NDArray[Any]]]:
    capture = cv2.VideoCapture(str(clip))
    for number in range(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), FPS):
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        yield number, capture.read()[1]
    capture.release()


def loop(pictures: Callable[[Path], Iterator[tuple[int, NDArray[Any]]]]) -> Callable[[Path, VisionModel, Path], int]:
    def run(clip: Path, model: VisionModel, folder: Path) -> int:
        rows = 0
        with (folder / "clip.jsonl").open("w") as file:
            for number, picture in pictures(clip):
                size = model.size_for((picture.shape[1], picture.shape[0]), BUDGET)
                small = cv2.cvtColor(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
                request = Request((np.asarray(small, np.uint8),), CAPTION_PROMPT, budget=BUDGET, max_tokens=128)
                [answer] = model.generate([request])
                file.write(json.dumps({"index": number, "time": number / FPS, "caption": answer.text}) + "\n")
                file.flush()
                rows += 1
        return rows

    return run


PLAIN = [Way("streamer", job()), Way("OpenCV, grab", loop(_grabbed)), Way("OpenCV, seek", loop(_sought))]
MORE = [Way("streamer, srt+vtt+csv+coco", job("srt", "vtt", "csv", "coco")), Way("streamer, mp4", job("mp4"))]


def measured(ways: list[Way], clip: Path, model: VisionModel, seconds: int, runs: int) -> dict[str, list[float]]:
    """Seconds each way took, the ways in turn."""
    took: dict[str, list[float]] = {way.name: [] for way in ways}
    for _ in range(runs):
        for way in ways:
            with tempfile.TemporaryDirectory() as folder:
                begun = time.perf_counter()
                rows = way.run(clip, model, Path(folder))
                took[way.name].append(time.perf_counter() - begun)
            if rows != seconds:
                raise SystemExit(f"{way.name}: {rows} rows of {seconds}")
            print(f"{clip.stem} {model.name} {way.name}: {took[way.name][-1]:.2f} s", file=sys.stderr)
    return took


def rows_of(took: dict[str, list[float]], seconds: int, gop: int, model: str) -> list[dict[str, Any]]:
    ours = took["streamer"]
    return [
        {
            "model": model,
            "gop": gop,
            "way": name,
            "video s/s": seconds / statistics.median(times),
            "low": seconds / max(times),
            "high": seconds / min(times),
            "ratio": statistics.median(time / mine for time, mine in zip(times, ours, strict=False)),
        }
        for name, times in took.items()
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--clips", type=Path, default=Path(tempfile.gettempdir()) / "streamer-decode")
    parser.add_argument("--gops", default="30,250")
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--without-tiny", action="store_true")
    parser.add_argument("--without-formats", action="store_true", help="only the journal: the video takes minutes")
    options = parser.parse_args()
    size, minute = ((960, 540), 4) if options.quick else ((1920, 1080), 60)
    minutes, runs = (2, 1) if options.quick else (options.minutes, options.runs)
    seconds = minute * minutes
    rows: list[dict[str, Any]] = []
    for gop in map(int, options.gops.split(",")):
        clip = repeated(Clip(size, minute, gop).draw(options.clips), minutes, gop)
        with ScriptedModel(lambda request: "a street") as scripted:
            took = measured(PLAIN, clip, scripted, seconds, runs)
            if not options.without_formats:
                took |= measured(MORE, clip, scripted, seconds, 1)
            rows += rows_of(took, seconds, gop, "none")
        if not options.without_tiny and gop == int(options.gops.split(",")[0]):
            with load("tiny", device="cpu") as tiny:
                rows += rows_of(measured(PLAIN, clip, tiny, seconds, runs), seconds, gop, "tiny")
    notes = {"clip": f"{size[0]}x{size[1]} at {FPS}/s, {seconds} s", "asked": "a caption a second", "budget": BUDGET}
    report("file job", rows, as_json=options.json, notes=notes)


if __name__ == "__main__":
    main()
