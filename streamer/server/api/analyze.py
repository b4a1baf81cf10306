"""One picture, one question, now."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from streamer.analyzer import Job
from streamer.errors import ModelError, OptionError, SourceError
from streamer.models.base import BUDGETS
from streamer.results import FrameResult
from streamer.server.api.answers import WITH_BODY, problems
from streamer.server.api.context import Context
from streamer.server.api.gate import PICTURES
from streamer.server.api.identity import Api, Viewer
from streamer.server.api.models import Analysis
from streamer.server.api.problems import Refused
from streamer.server.api.tasking import named
from streamer.server.api.uploads import frame_of
from streamer.server.parts import Strict
from streamer.tasks import Task, parse_task

router = APIRouter(prefix="/analyze", tags=["analyze"])

MAX_TASKS = 8
Word = Annotated[str, Field(min_length=1, max_length=2000)]
_BODY = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in PICTURES},
    }
}


class Question(Strict):
    task: Annotated[list[Word], Field(max_length=MAX_TASKS)] = Field(
        default_factory=list,
        description="caption, read, detect:LABELS, ask:QUESTION or check:QUESTION; several times for several",
    )
    prompt: Word | None = Field(default=None, description="The same as a task ask:PROMPT")
    budget: int = Field(
        default=280, description="Soft tokens for the picture", json_schema_extra={"enum": list(BUDGETS)}
    )

    def tasks(self) -> tuple[Task, ...]:
        """Of different names; a caption where nothing is asked. Raises `OptionError`."""
        asked = [parse_task(text) for text in self.task]
        if self.prompt is not None:
            asked.append(Task.ask(self.prompt))
        if any(task.frames > 1 for task in asked):
            raise OptionError("task", "compare", "a task about one picture")
        if self.budget not in BUDGETS:
            raise OptionError("budget", self.budget, "one of " + ", ".join(map(str, BUDGETS)))
        return named(asked)


@router.post("", responses=problems(*WITH_BODY, 504), openapi_extra=_BODY)
async def analyze(api: Api, access: Viewer, request: Request, question: Annotated[Question, Query()]) -> Analysis:
    """Asks the model about the picture that is the body. At most four at the same time.

    The answers come under the tasks' names; of two of the same name the second is called ``ask-2``. The picture may
    have 20 MiB and 50 million pixels, is turned upright by its EXIF data, and is not kept.
    """
    tasks = question.tasks()
    with api.analyses.taken() as free:
        if not free:
            raise Refused(429, "enough pictures are being looked at", headers={"retry-after": "1"})
        data = await request.body()
        result = await _answered(api, data, tasks, question.budget)
    if result.error is not None and not result.answers:
        raise ModelError(result.model, "it gave no answer")
    return Analysis.of(result, caveat=api.station.monitor.model.caveat)


async def _answered(api: Context, data: bytes, tasks: tuple[Task, ...], budget: int) -> FrameResult:
    monitor = api.station.monitor
    try:
        frame = await run_in_threadpool(frame_of, data, api.limits.picture_pixels, monitor.model, budget)
    except SourceError as error:
        raise Refused(422, f"{error.reason} ({error.remedy})", field="picture") from None
    future = monitor.submit(Job(frame, tasks, budget))
    try:
        async with asyncio.timeout(api.limits.analyze_seconds):
            return await asyncio.wrap_future(future)
    except TimeoutError:
        raise Refused(504, "the model is busy and did not answer in time") from None
    except asyncio.CancelledError:
        if future.cancelled():  # by the job that ends, not by the client that went away
            raise ModelError(monitor.model.name, "the job ends") from None
        raise
    finally:
        future.cancel()
