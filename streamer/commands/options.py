"""Words that several commands take, and what they mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Literal

import typer

from streamer.errors import OptionError
from streamer.gemma.budget import check_budget
from streamer.models.base import BUDGETS
from streamer.often import sampling_words as sampling_words
from streamer.tasks import Task, parse_task


def known_budget(budget: int | list[int] | None) -> int | list[int] | None:
    """Refuses a budget before a model is loaded for it."""
    for value in budget if isinstance(budget, list) else [budget]:
        if value is not None:
            check_budget(value)
    return budget


def live_budget(text: str) -> int | Literal["auto"]:
    """A budget, or ``auto``. Raises `OptionError` for anything else."""
    if text == "auto":
        return "auto"
    budget = int(text) if text.isdecimal() else text
    if budget not in BUDGETS:
        raise OptionError("budget", budget, "one of " + ", ".join(map(str, (*BUDGETS, "auto"))))
    return int(budget)


Model = Annotated[str, typer.Option(help="Hub id, folder with a checkpoint, or tiny (drawn street scenes only).")]
ModelUrl = Annotated[
    str | None,
    typer.Option(
        envvar="STREAMER_MODEL_URL",
        help="OpenAI-compatible servers that have the model: http://gpu:8000/v1, or several with commas between them.",
    ),
]
CompareWith = Annotated[
    list[str] | None,
    typer.Option(
        "--compare-with",
        metavar="NAME[@URL]",
        help="A further model, for comparisons alone; may be repeated. NAME: where there is --model-url one of those "
        "servers, else a hub id or folder that is loaded at the start and has its memory to the end, with options as "
        "in NAME,quantize=int4,dtype=bf16. NAME@http://gpu:8000/v1: of that server, to which the key is sent too.",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Dtype = Annotated[str, typer.Option(help="auto, bf16, fp32.")]
Quantize = Annotated[str | None, typer.Option(help="int8 or int4.")]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub model.")]
Hwaccel = Annotated[str | None, typer.Option(help="Hardware decoding: auto, cuda, vaapi, videotoolbox.")]
Budget = Annotated[int, typer.Option(help="Image tokens a picture: 70, 140, 280, 560 or 1120.", callback=known_budget)]
LiveBudget = Annotated[
    str, typer.Option(help="Image tokens a picture: 70, 140, 280, 560, 1120, or auto: low while little changes.")
]
OnlyBudgets = Annotated[
    list[int] | None, typer.Option("--budget", help="Only this budget; may be repeated.", callback=known_budget)
]
Detect = Annotated[
    str | None, typer.Option(help='What to find, with commas or "and" between: "person, car"; "all" for everything.')
]
Prompt = Annotated[str | None, typer.Option(help="Your own words instead of the caption's.")]
Tasks = Annotated[
    list[str] | None, typer.Option("--task", help="caption, read, compare, detect:…, ask:…, check:…; may be repeated.")
]
RayAddress = Annotated[
    str | None,
    typer.Option("--ray", help="Work on a Ray cluster: auto, host:port, ray://host:port, or local (docs/scaling.md)."),
]
GpusPerModel = Annotated[
    float | None, typer.Option(help="With --ray: GPUs a loaded model has, such as 0.5; 1 where a node has any.")
]
Models = Annotated[str | None, typer.Option(help="With --ray: loaded models, N or MIN,MAX; as many as fit by default.")]
Part = Annotated[
    float | None, typer.Option(help="With --ray: seconds of a long file that a node decodes in one go; 300 by default.")
]
Json = Annotated[bool, typer.Option("--json", help="JSON lines on standard output, for programs.")]


def tasks_of(texts: list[str] | None, prompt: str | None, detect: str | None) -> tuple[Task, ...]:
    """What ``--task``, ``--prompt`` and ``--detect`` ask for together; a caption where nothing is said."""
    tasks = [parse_task(text) for text in texts or ()]
    if prompt:
        tasks.append(Task.caption(prompt))
    if detect is not None:
        tasks.append(Task.detect(detect))
    return tuple(_distinct(tasks)) or (Task.caption(),)


def _distinct(tasks: list[Task]) -> Iterator[Task]:
    """Two questions of one kind get names of their own: ask, ask-2."""
    seen: dict[str, int] = {}
    for task in tasks:
        seen[task.name] = seen.get(task.name, 0) + 1
        yield task if seen[task.name] == 1 else replace(task, name=f"{task.name}-{seen[task.name]}")
