"""A file job in a process of its own, to be killed: ``python -m tests.annotating OUTPUT GATE FORMATS FILE…``."""

from __future__ import annotations

import sys
from pathlib import Path

from streamer.annotation import AnnotateRun
from streamer.filejob import AnnotateOptions
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.outputs.naming import output_names
from streamer.sampling import Sampling
from streamer.sources.synthetic import read_counter
from streamer.tasks import Task


def says_the_numbers(request: Request) -> str:
    """That are drawn in the pictures; a box where there is an even one."""
    numbers = [read_counter(image) for image in request.images]
    if "output only" not in request.prompt:
        return " ".join(map(str, numbers))
    return '[{"box_2d": [100, 100, 500, 600], "label": "even"}]' if numbers[-1] % 2 == 0 else "[]"


def options(gate: float, formats: tuple[str, ...] = ("jsonl", "srt")) -> AnnotateOptions:
    tasks = (Task.caption(), Task.detect("even"), Task.compare(frames=3))
    chapters = "vtt" in formats
    return AnnotateOptions(tasks, Sampling.every_nth(2), batch=4, gate=gate, formats=formats, summary=chapters)


def main() -> None:
    output, gate, formats, *files = sys.argv[1:]
    model = ScriptedModel(says_the_numbers, seconds=0.02)
    named = list(zip(files, output_names(files), strict=True))
    for event in AnnotateRun(named, model, options(float(gate), tuple(formats.split(","))), output=Path(output)):
        sys.stdout.write(f"{type(event).__name__}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
