"""Models for the nodes of a cluster, and a file job on it in a process of its own, to be killed:
``python -m tests.cluster.making ADDRESS OUTPUT FILE…``."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path

from streamer.cluster.files import SpreadRun
from streamer.cluster.spread import SpreadOptions, spread
from streamer.errors import ModelError
from streamer.filejob import AnnotateOptions
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.outputs.naming import output_names
from streamer.sampling import Sampling
from tests.annotating import says_the_numbers

SLOW = AnnotateOptions(sampling=Sampling.every("0.2"), formats=("jsonl",), batch=4)


def scripted(seconds: float = 0.0) -> ScriptedModel:
    return ScriptedModel(says_the_numbers, seconds=seconds)


def fails_at(number: str) -> ScriptedModel:
    """Does not answer about one picture."""

    def script(request: Request) -> str:
        said = says_the_numbers(request)
        if said == number:
            raise ModelError("scripted", "it does not like this one")
        return said

    return ScriptedModel(script)


def ends_at(number: str) -> ScriptedModel:
    """Takes its process with it."""

    def script(request: Request) -> str:
        said = says_the_numbers(request)
        if said == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return said

    return ScriptedModel(script)


def cannot_be_loaded() -> ScriptedModel:
    raise ModelError("scripted", "there is no such model", "choose another one")


def main() -> None:
    address, output, *files = sys.argv[1:]
    named = list(zip(files, output_names(files), strict=True))
    options = SpreadOptions(address, models=(2, 2), part_seconds=2, decoders=2)
    with spread(partial(scripted, 0.1), options) as model:
        for event in SpreadRun(named, model, SLOW, output=Path(output)):
            sys.stdout.write(f"{type(event).__name__}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
