"""One picture of a live stream, asked in several ways and of several models, one after the other."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter
from pydantic import Field

from streamer.analyzer import Job
from streamer.display import display_size, encode_jpeg
from streamer.errors import OptionError
from streamer.frames import Frame
from streamer.models.base import BUDGETS
from streamer.server.api.answers import WITH_BODY, problems
from streamer.server.api.context import Context
from streamer.server.api.identity import Api, SeenStream
from streamer.server.api.models import Compared
from streamer.server.api.problems import Refused
from streamer.server.api.tasking import named
from streamer.server.parts import Part, Strict, TaskPart

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from streamer.results import FrameResult
    from streamer.sources.base import Picture
    from streamer.tasks import Task

router = APIRouter(prefix="/streams", tags=["streams"])
T = TypeVar("T")

MOST_VARIANTS = 4
_BUDGET: dict[str, Any] = {"enum": list(BUDGETS)}


class Variant(Strict):
    """A way to ask about the picture."""

    model: Annotated[str, Field(min_length=1, max_length=300)] | None = Field(
        default=None, description="One of the server's models; left out: the one that watches the streams"
    )
    tasks: Annotated[tuple[TaskPart, ...], Field(max_length=4)] = Field(
        default=(), description="About one picture each; a caption where there is none"
    )
    budget: int = Field(default=280, description="Soft tokens for the picture", json_schema_extra=_BUDGET)

    def asked(self) -> tuple[Task, ...]:
        """Of different names. Raises `OptionError`."""
        tasks = [part.task() for part in self.tasks]
        if any(task.frames > 1 for task in tasks):
            raise OptionError("tasks", "compare", "tasks about one picture")
        if self.budget not in BUDGETS:
            raise OptionError("budget", self.budget, "one of " + ", ".join(map(str, BUDGETS)))
        return named(tasks)


class NewComparison(Strict):
    """What to ask of the stream's next picture."""

    variants: Annotated[tuple[Variant, ...], Field(min_length=2, max_length=MOST_VARIANTS)]
    width: Annotated[int, Field(strict=True, ge=64, le=1920)] = Field(
        default=960, description="Of the picture that is sent back, at most"
    )


class Comparison(Part):
    """A picture and what came of each variant, in their order."""

    stream: str
    captured: float = Field(description="Unix seconds of capture")
    media_seconds: float
    index: int | None = Field(description="Place among all pictures of the source, where known")
    picture: str = Field(description="A JPEG in base64", json_schema_extra={"format": "byte"})
    variants: tuple[Compared, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Taken:
    """One picture at all sizes that are needed."""

    picture: Picture
    captured: float
    """Unix seconds."""
    frames: tuple[Frame, ...]
    """A variant each."""
    shown: NDArray[np.uint8]


@router.post("/{stream}/comparisons", responses=problems(404, 504, *WITH_BODY))
async def compare(api: Api, stream: SeenStream, wanted: NewComparison) -> Comparison:
    """Asks about the stream's next picture in two to four ways. At most two comparisons at the same time.

    Each variant is asked alone, so that its timings and passes are its own, but where two have the same model and
    budget the first one looks at the picture for both. A model that cannot be loaded or does not answer is the `error`
    of its variant. The streams' own tasks go on in between; nothing is kept.
    """
    asked = [variant.asked() for variant in wanted.variants]
    models = [variant.model or api.station.further.names[0] for variant in wanted.variants]
    for model in models:
        api.station.further.model(model)
    with api.comparisons.taken() as free:
        if not free:
            raise Refused(429, "enough comparisons are being made", headers={"retry-after": "1"})
        taken = await _next_picture(api, stream, wanted, models)
        jobs = [
            Job(frame, tasks, variant.budget)
            for frame, tasks, variant in zip(taken.frames, asked, wanted.variants, strict=True)
        ]
        results = await _answers(api, jobs, models)
    jpeg = await asyncio.to_thread(encode_jpeg, taken.shown)
    return Comparison(
        stream=stream,
        captured=taken.captured,
        media_seconds=taken.picture.time_seconds,
        index=taken.picture.index,
        picture=base64.b64encode(jpeg).decode(),
        variants=tuple(_compared(api, model, result) for model, result in zip(models, results, strict=True)),
    )


def _compared(api: Context, name: str, result: FrameResult) -> Compared:
    model = api.station.further.model(name)
    return Compared.of(result, model=name, caveat=None if model is None else model.caveat)


async def _next_picture(api: Context, stream: str, wanted: NewComparison, models: Sequence[str]) -> _Taken:
    monitor, further = api.station.monitor, api.station.further

    def take(picture: Picture, captured_at: float) -> _Taken:
        whole = picture.source_size
        # One that is not loaded yet resizes its first picture itself.
        askers = [further.model(model) or monitor.model for model in models]
        sizes = [asker.size_for(whole, variant.budget) for asker, variant in zip(askers, wanted.variants, strict=True)]
        images = {size: picture.scaled(size) for size in set(sizes)}
        frames = tuple(
            Frame(
                image=images[sizes[number]],
                source_size=whole,
                # Answers of one variant are foretold by its own last ones, not by the stream's or another's.
                stream=f"{stream} compared {number} {variant.budget}",
                sequence=picture.index or 0,
                time_seconds=picture.time_seconds,
                captured_at=captured_at,
            )
            for number, variant in enumerate(wanted.variants)
        )
        captured = time.time() - (time.monotonic() - captured_at)
        return _Taken(picture, captured, frames, picture.scaled(display_size(whole, wanted.width)))

    late = Refused(504, "the stream gives no picture now; its state says why")
    future = await asyncio.to_thread(monitor.next_picture, stream, take)
    return await _in_time(future, api.limits.next_picture_seconds, late)


async def _answers(api: Context, jobs: Sequence[Job], models: Sequence[str]) -> list[FrameResult]:
    """One after the other."""
    found = []
    end = time.monotonic() + api.limits.analyze_seconds
    for job, model in zip(jobs, models, strict=True):
        late = Refused(504, f"the model {model} is busy and did not answer in time")
        future, give_up = _asked(api, job, model)
        try:
            found.append(await _in_time(future, end - time.monotonic(), late))
        finally:
            give_up()
    return found


def _asked(api: Context, job: Job, model: str) -> tuple[Future[FrameResult], Callable[[], object]]:
    """The answer to come, and what to call when nobody waits for it any more."""
    further = api.station.further
    if model == further.names[0]:
        future = api.station.monitor.submit(job, alone=True)
        return future, future.cancel
    future = further.submit(model, job)
    return future, lambda: further.give_up(model, future)


async def _in_time(future: Future[T], seconds: float, late: Refused) -> T:
    """What the future gives; nobody waits for it afterwards. Raises ``late``, or 503 where the job ends."""
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            return await asyncio.wrap_future(future)
    except TimeoutError:
        raise late from None
    except asyncio.CancelledError:  # by the job or the server that ends; a page that compares always has one on its way
        raise Refused(503, "the job ends") from None
    finally:
        future.cancel()
