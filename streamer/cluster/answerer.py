"""Answers frames at a node: an actor that owns one loaded model."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from streamer.analyzer import Analyzer, Job
from streamer.cluster.decoder import Block, Place, place
from streamer.errors import ModelError, StreamerError

if TYPE_CHECKING:
    from streamer.frames import Frame
    from streamer.models.base import Generation, Request, VisionModel
    from streamer.results import FrameResult
    from streamer.tasks import Task

Make = Callable[[], "VisionModel"]
"""Loads the model. It is sent to the nodes, so it must be of a module that they have too."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What `VisionModel` says of itself, and where it runs."""

    name: str
    revision: str | None
    quantize: str | None
    caveat: str | None
    structured: bool
    findings: tuple[str, ...]
    """What servers can do, where they run the model."""
    place: Place


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the frames of a job."""

    tasks: tuple[Task, ...]
    budget: int
    box_grid: int


class Row(NamedTuple):
    """Of a frame."""

    result: FrameResult
    unchanged: bool
    """It has no answers of its own: it is to get those of the frame before it."""


@dataclass(frozen=True, slots=True)
class Answers:
    """To some blocks."""

    rows: tuple[tuple[Row, ...], ...]
    """A row a frame of each block."""
    seconds: float
    """That the model took."""


class Answerer:
    """Loads a model and answers with it. Several calls may run at once; the model has one at a time."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._model: VisionModel | None = None
        self._analyzer: tuple[int, Analyzer] | None = None
        self._turn = threading.Lock()

    def load(self) -> Facts | StreamerError:
        """The error where the model cannot be loaded."""
        if os.environ.get("OMP_NUM_THREADS") == "1":  # Ray's own default; how many threads pay, the model finds out
            del os.environ["OMP_NUM_THREADS"]
        try:
            self._model = model = self._make()
        except StreamerError as error:
            return error
        findings = tuple(getattr(model, "findings", ()))
        return Facts(model.name, model.revision, model.quantize, model.caveat, model.structured, findings, place())

    def size_for(self, size: tuple[int, int], budget: int) -> tuple[int, int]:
        return self._loaded().size_for(size, budget)

    def answer(self, asked: Asked, *blocks: Block) -> Answers:
        """While another call is answered, the pictures of this one are made ready."""
        model = self._loaded()
        blocks = tuple(map(_own, blocks))
        jobs = [_jobs(asked, block) for block in blocks]
        for sampled in (sampled for block in blocks for sampled in block.frames if sampled.state == "new"):
            model.prepare(sampled.frame.image, asked.budget)
        with self._turn:
            started = time.monotonic()
            results = iter(self._analyzer_for(asked).analyze([job for some in jobs for job in some]))
            seconds = time.monotonic() - started
        rows = (tuple(Row(next(results), state == "unchanged") for _, state in block.frames) for block in blocks)
        return Answers(tuple(rows), seconds)

    def answer_one(self, asked: Asked, block: Block, number: int) -> FrameResult:
        """A frame of a block that was taken for unchanged, and has to be answered all the same."""
        block = _own(block)
        frames = tuple(sampled._replace(state="new") for sampled in block.frames)
        with self._turn:
            [row] = self._analyzer_for(asked).analyze([_jobs(asked, replace(block, frames=frames))[number]])
        return row

    def generate(self, requests: Sequence[Request]) -> list[Generation] | StreamerError:
        own = [replace(request, images=tuple(map(np.array, request.images))) for request in requests]
        with self._turn:
            try:
                return self._loaded().generate(own)
            except StreamerError as error:
                return ModelError(self._loaded().name, getattr(error, "reason", str(error)))

    def _analyzer_for(self, asked: Asked) -> Analyzer:
        if self._analyzer is None or self._analyzer[0] != asked.box_grid:
            self._analyzer = asked.box_grid, Analyzer(self._loaded(), box_grid=asked.box_grid)
        return self._analyzer[1]

    def _loaded(self) -> VisionModel:
        assert self._model is not None, "no model is loaded"
        return self._model


def _own(block: Block) -> Block:
    """With pictures of this process: Ray's own lie in shared memory and cannot be written to, which torch warns of."""
    frames = tuple(sampled._replace(frame=_own_frame(sampled.frame)) for sampled in block.frames)
    return Block(tuple(map(_own_frame, block.earlier)), frames)


def _own_frame(frame: Frame) -> Frame:
    return replace(frame, image=np.array(frame.image))


def _jobs(asked: Asked, block: Block) -> list[Job]:
    """A job a frame; without questions where nothing has changed."""
    earlier = deque(block.earlier, maxlen=max(task.frames for task in asked.tasks) - 1)
    jobs = []
    for frame, state in block.frames:
        tasks = tuple(task for task in asked.tasks if task.frames <= len(earlier) + 1)
        jobs.append(Job(frame, tasks if state == "new" else (), asked.budget, tuple(earlier)))
        earlier.append(frame)
    return jobs
