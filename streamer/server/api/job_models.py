"""The documents of file jobs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from streamer.errors import OptionError
from streamer.jobfolder import Order
from streamer.jobs import JobStatus
from streamer.models.base import BUDGETS
from streamer.often import sampling_words
from streamer.results import FrameResult
from streamer.sampling import Sampling
from streamer.server.api.models import Answers
from streamer.server.api.tasking import named
from streamer.server.parts import Part, Strict, TaskPart
from streamer.tasks import parse_task

MAX_TASKS = 8
Word = Annotated[str, Field(min_length=1, max_length=2000)]
MediaSeconds = Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)]
JobState = Literal["waiting", "running", "done", "failed"]


class JobWishes(Strict):
    """What is to be done with a file; it stands in the address, because the body is the file."""

    name: str = Field(default="file", min_length=1, max_length=200, description="To be shown; nothing else goes by it")
    task: Annotated[list[Word], Field(max_length=MAX_TASKS)] = Field(
        default_factory=list,
        description="caption, read, compare, detect:LABELS, ask:QUESTION or check:QUESTION; several times for several",
    )
    every: str = Field(
        default="1s", max_length=200, description="1s, 2 fps, every 5th, at 1,2.5, keyframes, scenes, all"
    )
    budget: int = Field(default=280, description="Soft tokens for a picture", json_schema_extra={"enum": list(BUDGETS)})
    start: MediaSeconds | None = Field(default=None, alias="from", description="Seconds to begin at")
    end: MediaSeconds | None = Field(default=None, alias="to", description="Seconds to end before")
    format: Annotated[list[str], Field(max_length=32)] = Field(
        default_factory=list, description="As streamer annotate takes them; the journal (jsonl) is always written"
    )

    def order(self, by: str) -> Order:
        """Raises `OptionError`."""
        tasks = named([parse_task(text) for text in self.task])
        Sampling.parse(sampling_words(self.every))
        if self.budget not in BUDGETS:
            raise OptionError("budget", self.budget, "one of " + ", ".join(map(str, BUDGETS)))
        formats = tuple(dict.fromkeys(("jsonl", *self.format)))
        return Order(
            title=self.name, tasks=tasks, every=sampling_words(self.every), budget=self.budget, start=self.start,
            end=self.end, formats=formats, by=by,
        )  # fmt: skip


class MadePart(Part):
    name: str = Field(description="Under /api/v1/jobs/{job}/files")
    format: str
    bytes: int


class JobPart(Part):
    """A file and what becomes of it."""

    id: str
    title: str = Field(description="How the file was called where it came from")
    kind: Literal["picture", "video"]
    width: int
    height: int
    bytes: int = Field(description="Of the file")
    duration_seconds: float | None
    state: JobState
    error: str | None = Field(description="Why it failed, or what of it could not be made")
    fault: str | None = Field(description="Why the file ended early")
    tasks: tuple[TaskPart, ...]
    every: str
    budget: int
    start: float | None
    end: float | None
    formats: tuple[str, ...]
    by: str = Field(description="Name of the token of whoever handed it in")
    created_at: float = Field(description="Unix seconds")
    finished_at: float | None
    before: int = Field(description="Jobs that come before it")
    stage: str = Field(description="answers, or the format that is being written; empty unless it runs")
    media_seconds: float | None = Field(description="Reached in that stage")
    frames: int = Field(description="Answered so far")
    expected: int | None = Field(description="Frames in all, about; null where nobody knows before")
    failed: int = Field(description="Frames without an answer")
    frames_per_second: float | None
    left_seconds: float | None = Field(description="Until the last answer, by the pace so far")
    files: tuple[MadePart, ...] = Field(description="What can be taken away")

    @classmethod
    def of(cls, status: JobStatus) -> JobPart:
        record, order = status.record, status.record.order
        return cls(
            id=record.id, title=order.title, kind=record.kind, width=record.size[0], height=record.size[1],
            bytes=record.bytes, duration_seconds=record.duration_seconds, state=record.state, error=record.error,
            fault=record.fault, tasks=tuple(map(TaskPart.of, order.tasks)), every=order.every, budget=order.budget,
            start=order.start, end=order.end, formats=order.formats, by=order.by, created_at=record.created_at,
            finished_at=record.finished_at, before=status.before, stage=status.stage,
            media_seconds=status.media_seconds, frames=status.frames, expected=record.expected, failed=status.failed,
            frames_per_second=status.frames_per_second, left_seconds=status.left_seconds,
            files=tuple(MadePart(name=made.name, format=made.format, bytes=made.bytes) for made in record.made),
        )  # fmt: skip


class JobList(Part):
    jobs: tuple[JobPart, ...] = Field(description="Newest first")
    upload_bytes: int = Field(description="That one file may have")
    formats: tuple[str, ...] = Field(description="That there are")


class JobResult(Answers):
    """The answers about one picture of the file."""

    sequence: int
    media_seconds: float
    reused: bool

    @classmethod
    def of_row(cls, result: FrameResult) -> JobResult:
        return cls.of(result, sequence=result.sequence, media_seconds=result.time_seconds, reused=result.reused)


class JobResults(Part):
    results: tuple[JobResult, ...] = Field(description="In order of time")
    next: str = Field(description="The cursor of what comes behind them, now or later")
    more: bool = Field(description="Whether more are there already")
