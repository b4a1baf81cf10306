"""Does a server say of pictures what the engine here says of them?

    python scripts/verify_server.py URL [--model NAME] [--local MODEL] [--videos PATH …] [--every 2] [--budget 70]
                                        [--device auto] [--dtype auto] [--show 5] [--json]

For whoever runs an OpenAI-compatible server of a checkpoint that is on this machine too. Captions and lists of boxes of
sampled frames of the three sample videos (or of others) are asked of the local engine, and of the server in three ways:
``by default``, as `streamer.connect` sends pictures; ``lossless``, PNG alone; ``jpeg``, JPEG alone. It prints how many
answers are equal for each way, and the first ones that differ. Boxes are compared as read: a list that the server was
held to by a schema may have other blanks.

What a server computes in another number format (``--dtype`` says the one here) differs in near ties; so does what JPEG
has changed. Such differences are findings. The exit code is 1 where the server leaves an answer out, and 2 where there
is no model, server or video. The server's key is read as streamer reads it: STREAMER_MODEL_KEY.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import streamer
from streamer.analyzer import Analyzer, Job
from streamer.errors import StreamerError
from streamer.models.base import VisionModel
from streamer.models.remote import pictures
from streamer.models.remote.model import RemoteModel
from streamer.models.remote.options import RemoteOptions, parse_urls, read_key
from streamer.results import FrameResult
from streamer.sources import open_source
from streamer.tasks import Task

SAMPLES = Path(__file__).resolve().parent.parent / "sample_videos"
VIDEOS = tuple(str(SAMPLES / f"{name}.mp4") for name in ("street", "night", "signs"))
WAYS = ("by default", "lossless", "jpeg")
TASKS = (Task.caption(), Task.detect())
BATCH = 8
"""Frames that are asked about together."""


def main() -> int:
    options = arguments().parse_args()
    try:
        found = verified(options)
    except StreamerError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(found)) if options.json else print_found(found, options.show)
    return 1 if any(way["errors"] for way in found["ways"]) else 0


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", metavar="URL", help="http://gpu:8000/v1")
    parser.add_argument("--model", default="tiny", metavar="NAME", help="its name on the server")
    parser.add_argument("--local", metavar="MODEL", help="the same checkpoint here, where it is called otherwise")
    parser.add_argument("--videos", nargs="+", default=VIDEOS, metavar="PATH")
    parser.add_argument("--every", type=float, default=2.0, metavar="SECONDS")
    parser.add_argument("--budget", type=int, default=70)
    parser.add_argument("--device", default="auto", help="of the local engine")
    parser.add_argument("--dtype", default="auto", help="of the local engine: auto, bf16 or fp32")
    parser.add_argument("--show", type=int, default=5, metavar="COUNT", help="differences of each way that are printed")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    return parser


def verified(options: argparse.Namespace) -> dict[str, Any]:
    """The report. Raises `StreamerError` where there is nothing to compare."""
    with connected(options, WAYS[0]) as remote:  # what is not there is said before a model is loaded
        findings = list(remote.findings)
    local = options.local or options.model
    with streamer.load(local, device=options.device, dtype=options.dtype) as model:
        jobs = list(sampled(options, model))
        here, caveat = asked(model, jobs, "here"), model.caveat
    return {
        "tool": "scripts/verify_server.py",
        "server": options.url,
        "model": options.model,
        "local": {"model": local, "device": options.device, "dtype": options.dtype},
        "notes": [*findings, *([caveat] if caveat else [])],
        "videos": [Path(video).name for video in options.videos],
        "frames": len(jobs),
        "budget": options.budget,
        "ways": [{"way": way} | compared(here, there(options, jobs, way)) for way in WAYS],
    }


def there(options: argparse.Namespace, jobs: Sequence[Job], way: str) -> list[FrameResult]:
    with sending(way), connected(options, way) as remote:
        return asked(remote, jobs, way)


def sampled(options: argparse.Namespace, model: VisionModel) -> Iterator[Job]:
    for video in options.videos:
        with open_source(
            str(video),
            sampling=f"every {options.every} s",
            size_for=lambda size: model.size_for(size, options.budget),
        ) as source:
            for frame in source.frames():
                yield Job(frame, TASKS, options.budget)


def connected(options: argparse.Namespace, way: str) -> RemoteModel:
    if way == "by default":
        return streamer.connect(options.model, options.url)
    wanted = RemoteOptions(parse_urls(options.url), options.model, key=read_key(), lossless=way == "lossless")
    return RemoteModel(wanted)


def sending(way: str) -> AbstractContextManager[object]:
    """PNG is sent where it costs little more. Where it may cost nothing, JPEG alone is left."""
    return patch.object(pictures, "EXACT_COST", 0) if way == "jpeg" else nullcontext()


def asked(model: VisionModel, jobs: Sequence[Job], way: str) -> list[FrameResult]:
    analyzer, results = Analyzer(model), list[FrameResult]()
    for begin in range(0, len(jobs), BATCH):
        print(f"{way}: frame {begin + 1} of {len(jobs)}", file=sys.stderr, flush=True)
        results += analyzer.analyze(jobs[begin : begin + BATCH])
    return results


def compared(here: Sequence[FrameResult], remote: Sequence[FrameResult]) -> dict[str, Any]:
    """How many answers are equal, and what differs."""
    equal, answers, differing, errors = 0, 0, [], []
    for mine, other in zip(here, remote, strict=True):
        errors += [f"{other.stream} at {other.time_seconds:g} s: {other.error}"] if other.error else []
        for task in TASKS:
            answers += 1
            same = alike(mine, other, task)
            equal += same
            if not same:
                said = {"here": mine.answers.get(task.name), "there": other.answers.get(task.name)}
                differing.append({"video": mine.stream, "seconds": mine.time_seconds, "task": task.name} | said)
    return {"equal": equal, "answers": answers, "errors": errors, "differing": differing}


def alike(mine: FrameResult, other: FrameResult, task: Task) -> bool:
    said = other.answers.get(task.name)
    if said is None or said == mine.answers.get(task.name):
        return said is not None
    return task.kind == "detect" and bool(mine.detections) and mine.detections == other.detections


def print_found(found: dict[str, Any], show: int) -> None:
    for line in found["notes"]:
        print(f"note: {line}")
    print(f"{found['frames']} frames of {', '.join(found['videos'])}, budget {found['budget']}, two answers each")
    for way in found["ways"]:
        print(f"{way['way']}: {way['equal']} of {way['answers']} answers are equal")
        for line in way["errors"][:show]:
            print(f"  no answer: {line}")
        for one in way["differing"][:show]:
            print(f"  {one['video']} at {one['seconds']:g} s, {one['task']}")
            print(f"    here:  {flat(one['here'])}\n    there: {flat(one['there'])}")


def flat(answer: str | None) -> str:
    return "nothing" if answer is None else " ".join(answer.split())


if __name__ == "__main__":
    sys.exit(main())
