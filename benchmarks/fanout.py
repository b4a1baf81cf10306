"""What many viewers of one stream get, beside a bare `websockets` broadcast of the same bytes.

    python benchmarks/fanout.py [--quick] [--json] [--viewers 1,50,200] [--seconds 15] [--runs 3] [--fps 10]

One drawn stream of 640x360; from two viewers on one of them is stuck: it asks for pictures and reads nothing. The
server is a process of its own, in both ways with the same job that draws and encodes the pictures, so that only the way
to the viewers differs. All viewers are asyncio clients in one more process, on the same machine: with many of them that
process is as busy as the server, and a picture's delay is also its place in that process's queue, in both ways alike.

Columns: ``viewers`` in all; ``pictures/s`` that a reading viewer got, the mean and the worst; ``p50``, ``p99`` and
``max`` milliseconds from the encoded picture to a viewer that has it; ``CPU %`` of one core and ``MiB`` (the most it
held) of the server's process, ``viewers' %`` of theirs; ``lost``: pictures that readers did not get; ``KiB`` a picture;
``p99 ratio`` and ``CPU ratio``: this way by streamer's. The ways take turns; medians of the runs.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from common import arguments, report

WAYS = ("streamer", "bare")
PROGRAM = str(Path(__file__).with_name("fanout_ways.py"))
WARM_SECONDS = 3.0
"""In which what the systems hold for the stuck viewer fills up."""
AFTER_SECONDS = 0.5
"""For the last pictures to arrive in."""
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of one way."""

    rates: list[float]
    """Pictures a second of each reading viewer."""
    delays: list[float]
    """Milliseconds of each picture received."""
    cpu: float
    """Per cent of a core."""
    mib: float
    viewers_cpu: float
    lost: int
    kib: float
    """Of a picture."""


class Process:
    """A part of the benchmark in a process of its own; ended with the block."""

    def __init__(self, *words: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, PROGRAM, *map(str, words)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.seen = psutil.Process(self._process.pid)

    def line(self) -> str:
        """What it says next. Raises `SystemExit` where it has ended or says nothing for a minute."""
        assert self._process.stdout is not None
        killer = threading.Timer(PATIENCE_SECONDS, self._process.kill)
        killer.start()
        line = self._process.stdout.readline()
        killer.cancel()
        if not line:
            raise SystemExit("a process of the benchmark has ended; its last words are above")
        return line.strip()

    def result(self) -> Any:
        """What it has to tell at the end of its input."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return json.loads(self.line())

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def watched(server: Process, viewers: Process) -> Iterator[dict[str, float]]:
    """CPU per cent of both while the block runs, and the most that the server held."""
    found: dict[str, float] = {"mib": 0.0}
    stop = threading.Event()

    def sample() -> None:
        while True:
            found["mib"] = max(found["mib"], server.seen.memory_info().rss / 2**20)
            if stop.wait(0.2):
                return

    sampler = threading.Thread(target=sample, name="memory")
    sampler.start()
    before, begun = (_cpu(server), _cpu(viewers)), time.monotonic()
    try:
        yield found
        took = time.monotonic() - begun
        for name, process, at in (("cpu", server, before[0]), ("viewers", viewers, before[1])):
            found[name] = 100 * (_cpu(process) - at) / took
    finally:
        stop.set()
        sampler.join()


def _cpu(process: Process) -> float:
    times = process.seen.cpu_times()
    return float(times.user + times.system)


def measure(way: str, viewers: int, seconds: float, fps: float, warm_seconds: float = WARM_SECONDS) -> Measured:
    stuck = int(viewers > 1)
    with Process(way, fps) as server, Process("view", way, server.line(), viewers - stuck, stuck) as audience:
        assert audience.line() == "there"
        time.sleep(warm_seconds)
        begin = time.monotonic()
        with watched(server, audience) as used:
            time.sleep(seconds)
        end = time.monotonic()
        time.sleep(AFTER_SECONDS)
        received = audience.result()
        told = server.result()
    made = {int(number): at for number, at in told["times"].items() if begin <= at < end}
    return judged(made, received, end - begin, used | {"kib": told["kib"]})


def judged(
    made: dict[int, float], received: Sequence[Sequence[Sequence[float]]], seconds: float, used: dict[str, float]
) -> Measured:
    """Of the pictures of the measured time alone. ``received``: (number, moment) of each reader."""
    delays = [[1000 * (at - made[int(number)]) for number, at in one if int(number) in made] for one in received]
    counts = [len(one) for one in delays]
    return Measured(
        rates=[count / seconds for count in counts],
        delays=[delay for one in delays for delay in one],
        cpu=used["cpu"],
        mib=used["mib"],
        viewers_cpu=used["viewers"],
        lost=len(made) * len(received) - sum(counts),
        kib=used["kib"],
    )


def row(viewers: int, way: str, runs: Sequence[Measured]) -> dict[str, Any]:
    def middle(values: Iterator[float]) -> float:
        return float(statistics.median(values))

    def delay(quantile: float) -> float:
        return middle(float(np.percentile(run.delays, quantile)) if run.delays else float("nan") for run in runs)

    return {
        "viewers": viewers,
        "way": way,
        "pictures/s": middle(statistics.mean(run.rates) for run in runs),
        "worst": middle(min(run.rates) for run in runs),
        "p50": delay(50),
        "p99": delay(99),
        "max": delay(100),
        "CPU %": middle(run.cpu for run in runs),
        "MiB": middle(run.mib for run in runs),
        "viewers' %": middle(run.viewers_cpu for run in runs),
        "lost": sum(run.lost for run in runs),
        "KiB": middle(run.kib for run in runs),
    }


def with_ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ours = {one["viewers"]: one for one in rows if one["way"] == WAYS[0]}
    ratios = (("p99 ratio", "p99"), ("CPU ratio", "CPU %"))
    return [
        one | {name: one[column] / (ours[one["viewers"]][column] or float("nan")) for name, column in ratios}
        for one in rows
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument(
        "--viewers", default="1,50,200", help="how many at once, one of them stuck where there are more"
    )
    parser.add_argument("--seconds", type=float, default=15.0, help="measured a run")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--fps", type=float, default=10.0)
    options = parser.parse_args()
    counts = [3] if options.quick else [int(word) for word in options.viewers.split(",")]
    seconds, runs, warm = (1.0, 1, 0.5) if options.quick else (options.seconds, options.runs, WARM_SECONDS)
    rows: list[dict[str, Any]] = []
    for viewers in counts:
        done: dict[str, list[Measured]] = {way: [] for way in WAYS}
        for _ in range(runs):
            for way in WAYS:
                done[way].append(measure(way, viewers, seconds, options.fps, warm))
                print(row(viewers, way, done[way][-1:]), file=sys.stderr)
        rows += [row(viewers, way, done[way]) for way in WAYS]
    notes = {"stream": f"640x360 at {options.fps:g}/s", "seconds": seconds, "runs": runs}
    notes["processes"] = "the server in one, all viewers in another, on the same cores"
    report(
        "viewers of one stream",
        with_ratios(rows),
        as_json=options.json,
        notes=notes,
        more_versions={"websockets": version("websockets"), "uvicorn": version("uvicorn")},
    )


if __name__ == "__main__":
    main()
