"""Whether a long run keeps its memory: resident memory of the process as frames are answered.

    python benchmarks/memory.py [--quick] [--json] [--frames 600] [--dtype auto]

Frames of street.mp4, over and over as a camera gives them from sixteen streams in turn, two tasks each, by the same
analyzer as live and file jobs. A row a tenth of the run; ``MiB`` is what the process holds at its end. Flat from the
second row on is what is wanted: pictures' features, drafts and grammars that are kept are bounded.
"""

from __future__ import annotations

import gc
from dataclasses import replace

import psutil
from common import ROOT, arguments, report

from streamer.analyzer import Analyzer, Job
from streamer.models import load
from streamer.sources import open_source
from streamer.tasks import Task

STREAMS = 16
TASKS = (Task.caption(), Task.ask("How many cars?"))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--dtype", default="auto", help="bf16 keeps more than fp32 does; auto takes what is faster")
    options = parser.parse_args()
    frames = 20 if options.quick else options.frames
    process = psutil.Process()
    rows = []
    with load("tiny", device="cpu", dtype=options.dtype) as model:
        analyzer = Analyzer(model)
        path = str(ROOT / "sample_videos" / "street.mp4")
        with open_source(path, sampling="4 fps", size_for=lambda size: model.size_for(size, 70)) as source:
            clip = list(source.frames())
        for number in range(frames):
            frame = clip[number % len(clip)]
            # A pixel of its own, so that no picture is one that was seen before.
            image = frame.image.copy()
            image[0, 0] = number % 256, number // 256 % 256, 7
            job = Job(replace(frame, image=image, stream=f"camera {number % STREAMS}", sequence=number), TASKS, 70)
            [result] = analyzer.analyze([job])
            if result.error is not None:
                raise SystemExit(result.error)
            if (number + 1) % max(1, frames // 10) == 0:
                gc.collect()
                rows.append({"frames": number + 1, "MiB": round(process.memory_info().rss / 2**20, 1)})
    notes = {"streams": STREAMS, "budget": 70, "dtype": options.dtype}
    report("memory of a long run", rows, as_json=options.json, notes=notes)


if __name__ == "__main__":
    main()
