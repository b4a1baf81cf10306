"""What it costs to show a 1080p camera: as JPEGs of two sizes, and as the H.264 that it sends.

    python benchmarks/passthrough.py [--quick] [--json] [--seconds 15] [--runs 3] [--clips FOLDER]

A drawn minute of 1080p30 H.264 is played at its pace, in a loop, by a server in a process of its own; nothing is
analysed. One viewer on the same machine takes what comes. Rows: ``nobody`` looks (decoding alone), ``JPEG 960`` at the
page's usual 12 pictures a second, ``JPEG 1920`` at 30, and ``as sent``, 30 a second at full size. Columns:
``pictures/s``; ``KiB/s``; ``CPU %`` of one core that the server's process takes; ``for it``: that less what it takes
while nobody looks; ``p50`` and ``p99`` milliseconds from the decoded picture to the viewer that has it; ``KiB ratio``
and ``CPU ratio``: by what ``as sent`` takes. The ways take turns; medians of the runs.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import psutil
from common import arguments, report
from decode import Clip

from streamer.client import Client
from streamer.models.scripted import ScriptedModel
from streamer.monitor import Monitor
from streamer.server import Server
from streamer.server.picture import Packet, Picture
from streamer.settings import StreamSettings
from streamer.sources import LiveOptions, open_source

STREAM = "camera"


@dataclass(frozen=True, slots=True)
class Way:
    name: str
    width: int = 0
    """Of the pictures; 0: nobody looks."""
    fps: int = 12
    video: bool = False


WAYS = (Way("nobody"), Way("JPEG 960", 960), Way("JPEG 1920", 1920, 30), Way("as sent", 1920, 30, True))


def serve(clip: str, fps: int) -> None:
    """Until the end of the input."""
    settings = StreamSettings(tasks=(), display_fps=fps, display_width=1920)
    live = LiveOptions(keep_seconds=0.5)
    with ScriptedModel() as model, Monitor(model) as monitor, Server(monitor, port=0) as server:
        monitor.add(STREAM, lambda: open_source(clip, realtime=True, loop=True, live=live), settings)
        sys.stdout.write(server.url + "\n")
        sys.stdout.flush()
        sys.stdin.read()


@contextmanager
def serving(clip: Path, fps: int) -> Iterator[tuple[str, psutil.Process]]:
    words = [sys.executable, __file__, "--serve", str(clip), str(fps)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), psutil.Process(process.pid)
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def measured(way: Way, clip: Path, seconds: float, warm: float) -> dict[str, float]:
    with serving(clip, way.fps) as (url, process), Client(url) as client:
        if way.width:
            client.show([STREAM], width=way.width, video=way.video)
        _take(client, time.monotonic() + warm, way)
        before, began = process.cpu_times(), time.monotonic()
        taken = _take(client, began + seconds, way)
        lasted, after = time.monotonic() - began, process.cpu_times()
    delays = sorted(delay for delay, _ in taken) or [0.0]
    return {
        "pictures/s": len(taken) / lasted,
        "KiB/s": sum(size for _, size in taken) / lasted / 1024,
        "CPU %": 100 * (after.user + after.system - before.user - before.system) / lasted,
        "p50": statistics.median(delays),
        "p99": delays[int(0.99 * (len(delays) - 1))],
    }


def _take(client: Client, until: float, way: Way) -> list[tuple[float, int]]:
    """Delay in milliseconds and bytes of each picture that comes."""
    taken: list[tuple[float, int]] = []
    while (left := until - time.monotonic()) > 0:
        try:
            message = client.receive(timeout_seconds=left)
        except TimeoutError:
            break
        if isinstance(message, Packet if way.video else Picture):
            size = len(message.data) if isinstance(message, Packet) else len(message.jpeg)
            taken.append((1000 * (time.time() - message.captured), size))
    return taken


def rows_of(runs: dict[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    middle = {
        name: {key: statistics.median(run[key] for run in those) for key in those[0]} for name, those in runs.items()
    }
    nobody, sent = middle["nobody"]["CPU %"], middle["as sent"]
    rows = []
    for name, values in middle.items():
        row: dict[str, Any] = {"way": name} | {key: round(value, 1) for key, value in values.items()}
        row["for it"] = round(values["CPU %"] - nobody, 1)
        if name != "nobody":
            row["KiB ratio"] = round(values["KiB/s"] / sent["KiB/s"], 2)
            row["CPU ratio"] = round((values["CPU %"] - nobody) / max(0.1, sent["CPU %"] - nobody), 1)
        rows.append(row)
    return rows


def main(words: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--warm", type=float, default=3.0, help="seconds before it is measured")
    parser.add_argument("--clips", type=Path, default=Path(gettempdir()) / "streamer-decode")
    options = parser.parse_args(words)
    if options.quick:
        options.seconds, options.runs, options.warm = 1.0, 1, 1.0
    clip = Clip((960, 540), 4, 30) if options.quick else Clip((1920, 1080), 60, 30)
    path = clip.draw(options.clips)
    runs: dict[str, list[dict[str, float]]] = {way.name: [] for way in WAYS}
    for _ in range(options.runs):
        for way in WAYS:
            runs[way.name].append(measured(way, path, options.seconds, options.warm))
            print(f"{way.name}: measured", file=sys.stderr)
    notes = {"clip": f"{clip.size[0]}x{clip.size[1]} H.264 at 30/s", "seconds": options.seconds, "runs": options.runs}
    report("one viewer of one camera", rows_of(runs), as_json=options.json, notes=notes)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        main()
