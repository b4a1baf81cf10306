"""Sixteen cameras on one page: what it costs the browser and the server, minute after minute.

    python benchmarks/wall.py [--quick] [--json] [--minutes 5] [--streams 16] [--fps 10]

Sample videos are played at their pace as cameras, each result with three boxes; Chromium shows the view Wall at
1280x800, all tiles at ``fps`` pictures a second with boxes. The server runs in a process of its own. Rows are spells of
the run. Columns: ``heap`` MiB of the page's JavaScript after a collection; ``nodes`` in the document; ``work p50`` and
``p95``: milliseconds of the page's main thread for a frame of the screen (script, layout, drawing); ``gap p95`` between
two of them; ``pictures/s`` that a tile shows. Notes: the heap's slope over the last two thirds in MiB an hour, and the
CPU of the server's threads by part, per cent of a core.
"""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import psutil
from common import ROOT, arguments, report

from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.monitor import Monitor
from streamer.server import Server
from streamer.settings import StreamSettings
from streamer.sources import LiveOptions, open_source
from streamer.tasks import Task

CLIPS = ("street", "night", "signs")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
WATCH = """() => {
  window.gaps = []; window.works = []; window.drawn = 0;
  let last = performance.now();
  const channel = new MessageChannel();
  let began = 0;
  channel.port1.onmessage = () => window.works.push(performance.now() - began);
  const frame = (now) => {
    window.gaps.push(now - last); last = now; began = performance.now();
    channel.port2.postMessage(0);
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function (...all) { window.drawn++; return draw.apply(this, all); };
}"""
TAKE = """() => {
  const took = [window.gaps, window.works, window.drawn];
  window.gaps = []; window.works = []; window.drawn = 0;
  return took;
}"""


def boxes(request: Request) -> str:
    """Three boxes that say nothing: what they cost to carry, send and draw is asked here."""
    if "output only" not in request.prompt:
        return "A street with a car, a person and a dog."
    places = ((300, 100, 600, 350), (400, 450, 700, 600), (650, 700, 900, 950))
    found = [{"box_2d": place, "label": label} for place, label in zip(places, ("car", "person", "dog"), strict=True)]
    return "```json\n" + json.dumps(found) + "\n```"


def serve(streams: int, fps: float) -> None:
    """Until the end of the input; then each thread's CPU seconds, by name."""
    settings = StreamSettings(tasks=(Task.caption(), Task.detect("car, person, dog")), fps=1, display_fps=fps)
    live = LiveOptions(keep_seconds=0.5)
    with ScriptedModel(boxes) as model, Monitor(model) as monitor, Server(monitor, port=0) as server:
        for number in range(streams):
            clip = str(ROOT / "sample_videos" / f"{CLIPS[number % len(CLIPS)]}.mp4")
            name = f"camera {number + 1}"
            monitor.add(name, partial(open_source, clip, realtime=True, loop=True, live=live), settings)
        say(server.url)
        for _ in sys.stdin:
            say(json.dumps(cpu_by_part()))


def cpu_by_part() -> dict[str, float]:
    """CPU seconds so far. A stream has a thread that reads and decodes, and one that scales, encodes and compares."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    spent: Counter[str] = Counter()
    for thread in psutil.Process().threads():
        name = re.sub(r"decode /.*", "decoding", names.get(thread.id, "others (FFmpeg's, libswscale's)"))
        spent[re.sub(r"decode camera.*", "pictures, carrying", name)] += thread.user_time + thread.system_time
    return dict(spent)


def say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


class Serving:
    """The server's process."""

    def __init__(self, streams: int, fps: float) -> None:
        words = [sys.executable, __file__, "--serve", str(streams), str(fps)]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self._line()

    def cpu(self) -> dict[str, float]:
        assert self._process.stdin is not None
        self._process.stdin.write("cpu\n")
        self._process.stdin.flush()
        spent: dict[str, float] = json.loads(self._line())
        return spent

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the server's process has ended; its last words are above")
        return line.strip()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


@contextmanager
def opened(url: str) -> Iterator[tuple[Any, Any]]:
    """The wall in Chromium, and a way to ask the browser about it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url + "#wall")
        page.wait_for_timeout(3000)
        page.evaluate(WATCH)
        asking = page.context.new_cdp_session(page)
        asking.send("Performance.enable")
        yield page, asking
        browser.close()


def spell(page: Any, asking: Any, seconds: float, streams: int) -> dict[str, float]:
    page.evaluate(TAKE)
    before = time.monotonic()
    page.wait_for_timeout(seconds * 1000)
    gaps, works, drawn = page.evaluate(TAKE)
    lasted = time.monotonic() - before
    asking.send("HeapProfiler.collectGarbage")
    metrics = {one["name"]: one["value"] for one in asking.send("Performance.getMetrics")["metrics"]}
    return {
        "heap": round(metrics["JSHeapUsedSize"] / 2**20, 2),
        "nodes": metrics["Nodes"],
        "work p50": round(statistics.median(works), 1),
        "work p95": round(sorted(works)[int(0.95 * (len(works) - 1))], 1),
        "gap p95": round(sorted(gaps)[int(0.95 * (len(gaps) - 1))], 1),
        "pictures/s": round(drawn / lasted / streams, 1),
    }


def slope(rows: Sequence[dict[str, float]]) -> float:
    """MiB an hour of the heap over the last two thirds: the median of the slopes between all pairs."""
    kept = rows[len(rows) // 3 :]
    pairs = [(a, b) for place, a in enumerate(kept) for b in kept[place + 1 :]]
    found = [3600 * (b["heap"] - a["heap"]) / (b["at s"] - a["at s"]) for a, b in pairs]
    return round(statistics.median(found), 2) if found else 0.0


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--fps", type=float, default=10.0)
    options = parser.parse_args()
    if options.quick:
        options.minutes, options.streams = 0.15, 4
    spells = max(3, round(options.minutes * 4))
    server = Serving(options.streams, options.fps)
    rows: list[dict[str, Any]] = []
    try:
        with opened(server.url) as (page, asking):
            began, spent = time.monotonic(), server.cpu()
            for _ in range(spells):
                row = spell(page, asking, 60 * options.minutes / spells, options.streams)
                rows.append({"at s": round(time.monotonic() - began)} | row)
                print(f"{rows[-1]['at s']} s: measured", file=sys.stderr)
            lasted, after = time.monotonic() - began, server.cpu()
    finally:
        server.close()
    parts = {name: round(100 * (seconds - spent.get(name, 0.0)) / lasted, 1) for name, seconds in after.items()}
    shown = ", ".join(f"{name} {share}" for name, share in sorted(parts.items(), key=lambda part: -part[1]) if share)
    notes = {
        "page": f"{options.streams} tiles at {options.fps:g} pictures a second, 1280x800, Chromium, no GPU",
        "heap's slope, MiB an hour": slope(rows),
        "server's CPU by part, % of a core": shown,
    }
    report("a wall of cameras", rows, as_json=options.json, notes=notes)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(int(sys.argv[2]), float(sys.argv[3]))
    else:
        main()
