"""How a file job on a Ray cluster grows with its models: frames a second beside perfect linear.

    python benchmarks/scale.py [--quick] [--json] [--models 1,2,4] [--seconds 20] [--sleep-ms 50] [--address local]

The models are actors that sleep a known time a frame and look at nothing, so that what is measured is the way to them:
decoding at the nodes, blocks of pictures from process to process, rows back in order, the journals. The clip is the
street of the sample videos (1280x720), ten frames a second at budget 70, as many files as it takes, in parts of five
seconds. Without ``--address`` all runs on this machine, decoders, models and job on the same cores.

Columns: ``models``; ``frames/s`` in the middle eight tenths of the rows; ``linear``: so many times what the sleep
alone allows; ``of linear``; ``of one``: by so many times the first row's rate; ``rows``, of which none may be missing.
"""

from __future__ import annotations

import logging
import math
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import ROOT, arguments, report

from streamer.annotation import Answered, Failed
from streamer.cluster.files import SpreadRun
from streamer.cluster.spread import SpreadOptions, spread
from streamer.filejob import AnnotateOptions
from streamer.models.base import Generation, Request
from streamer.models.scripted import ScriptedModel
from streamer.sampling import Sampling

STREET = ROOT / "sample_videos" / "street.mp4"
FRAMES = 200
"""Of the street at ten a second."""
OPTIONS = AnnotateOptions(sampling=Sampling.every("0.1"), budget=70, formats=("jsonl",))


class Sleeper(ScriptedModel):
    """Takes so many seconds a frame."""

    def __init__(self, seconds: float) -> None:
        super().__init__(lambda request: "asleep")
        self._seconds_each = seconds

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        time.sleep(self._seconds_each * len(requests))
        return super().generate(requests)


def measure(address: str, models: int, seconds: float, sleep: float) -> dict[str, Any]:
    files = max(1, math.ceil(seconds * models / sleep / FRAMES))
    with tempfile.TemporaryDirectory() as folder:
        named = []
        for number in range(files):
            (clip := Path(folder) / f"{number}.mp4").symlink_to(STREET)
            named.append((str(clip), clip.stem))
        options = SpreadOptions(address, models=(models, models), part_seconds=5)
        with spread(partial(Sleeper, sleep), options) as model:
            moments = answered(SpreadRun(named, model, OPTIONS, output=Path(folder) / "out"))
    first, last = len(moments) // 10, len(moments) * 9 // 10
    rate = (last - first) / (moments[last] - moments[first])
    return {
        "models": models,
        "frames/s": rate,
        "linear": models / sleep,
        "of linear": rate * sleep / models,
        "rows": f"{len(moments)} of {files * FRAMES}",
    }


def answered(run: SpreadRun) -> list[float]:
    """When each row came. Raises what a file failed of."""
    moments = []
    for event in run:
        if isinstance(event, Failed):
            raise event.error
        if isinstance(event, Answered):
            moments.append(time.monotonic())
    return moments


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--models", default="1,2,4", help="how many, in turn")
    parser.add_argument("--seconds", type=float, default=20.0, help="that a run takes where it is linear")
    parser.add_argument("--sleep-ms", type=float, default=50.0, help="of a model a frame")
    parser.add_argument("--address", default="local", help="of a cluster whose nodes have this folder")
    options = parser.parse_args()
    logging.getLogger("ray").setLevel(logging.ERROR)
    counts = [1, 2] if options.quick else [int(word) for word in options.models.split(",")]
    seconds = 3.0 if options.quick else options.seconds
    rows = [measure(options.address, count, seconds, options.sleep_ms / 1000) for count in counts]
    for row in rows:
        row["of one"] = row["frames/s"] * rows[0]["models"] / (rows[0]["frames/s"] * row["models"])
    notes = {"sleep": f"{options.sleep_ms:g} ms a frame", "cluster": options.address}
    report("a file job on a cluster", rows, as_json=options.json, notes=notes, more_versions={"ray": version("ray")})


if __name__ == "__main__":
    main()
