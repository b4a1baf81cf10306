"""The process that ``soak.py`` looks at from outside: a live job as ``streamer watch -c`` runs it.

    python soak_job.py STREAMS.TOML scripted|tiny

Its token is in ``STREAMER_TOKEN``. It prints the page's address; for each line of its input a JSON object of what can
only be known from inside, with the line as ``asked``; at the end of its input it ends as the command line would.
Warnings go to standard error.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import logging
import math
import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamer.allocator import keep_what_is_loaded, use_few_arenas
from streamer.configuration import read_configuration
from streamer.models import load
from streamer.models.scripted import ScriptedModel
from streamer.server import Server
from streamer.station import Station

if TYPE_CHECKING:
    from streamer.models.base import Request, VisionModel

MODEL_SECONDS = 0.02
TYPES_KEPT = 200
WORDS = ("a", "car", "bus", "dog", "person", "ladder", "gate", "tree", "night", "rain", "two", "red", "stands", "walks")
LABELS = ("person", "car")


def answer(request: Request) -> str:
    """Words that differ all the time; boxes that come, move and go; yes for some seconds, then no for some."""
    now = time.monotonic()
    if "output only" in request.prompt:
        return json.dumps([_box(place, now) for place in range(int(now / 10) % 4)])
    if request.schema is not None or "yes" in request.prompt.lower():
        return json.dumps({"answer": "yes" if now % 40 < 10 else "no", "reason": f"seen at {now:.0f}"})
    return " ".join(WORDS[int(now * 7 * step) % len(WORDS)] for step in range(1, 9))


def _box(place: int, now: float) -> dict[str, Any]:
    x = round(300 + 250 * math.sin(now / 3 + place))
    y = 200 + 150 * place
    return {"box_2d": [y, x, y + 120, x + 120], "label": LABELS[place % len(LABELS)]}


def model_of(name: str) -> VisionModel:
    if name == "scripted":
        return ScriptedModel(answer, seconds=MODEL_SECONDS, structured=True)
    return load(name, device="cpu")


def insides(station: Station, server: Server, *, objects: bool) -> dict[str, Any]:
    """Threads by name (without numbers), what was lost, and how many objects of each type there are."""
    found: dict[str, Any] = {
        "threads": Counter(re.sub(r"\d+", "N", thread.name) for thread in threading.enumerate()),
        "viewers": server.viewers,
        "history_dropped": station.history.dropped,
        "history_fault": station.history.fault,
        "alerts_dropped": station.alerting.dropped,
        "configuration_fault": station.fault,
        "reloads": station.reloads,
    }
    if objects:
        gc.collect()
        found["objects"] = dict(Counter(type(one).__name__ for one in gc.get_objects()).most_common(TYPES_KEPT))
    return found


def main() -> None:
    use_few_arenas()  # as streamer watch does
    path, name = sys.argv[1:]
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1, all_threads=True)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    logging.captureWarnings(True)
    with model_of(name) as model:
        keep_what_is_loaded()
        configuration = read_configuration(Path(path))
        with (
            Station(model, configuration) as station,
            Server(station.monitor, port=0, token=os.environ["STREAMER_TOKEN"], station=station) as server,
        ):
            print(server.address, flush=True)
            for line in sys.stdin:
                found = insides(station, server, objects="objects" in line)
                print(json.dumps({"asked": line.strip(), **found}), flush=True)


if __name__ == "__main__":
    main()
