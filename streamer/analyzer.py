"""Tasks x frames -> results: one batch of requests for the model, its answers read back."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from streamer.drafts import Draft, Drafts
from streamer.errors import ModelError, ModelInterrupted, StreamerError
from streamer.frames import Frame
from streamer.gemma.budget import check_budget
from streamer.gemma.forms import CHECK_SCHEMA
from streamer.gemma.parsing import parse_detections, parse_yes_no
from streamer.models.base import Generation, Request, VisionModel
from streamer.results import Detection, FrameResult, Timings, Usage
from streamer.tasks import Task

_CHECK_FORM = "Answer yes or no and give the reason in a few words, as JSON with the keys answer and reason."


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A frame and what to ask of it."""

    frame: Frame
    tasks: tuple[Task, ...]
    budget: int = 280
    earlier: tuple[Frame, ...] = ()
    """The sampled frames before it, oldest first; ``compare`` takes as many as it needs."""

    def __post_init__(self) -> None:
        check_budget(self.budget)


class Analyzer:
    """Answers jobs with one model. Used from one thread at a time; does not own the model.

    Remembers the last answer to each task of each stream, which a local model verifies instead of decoding anew.
    """

    def __init__(self, model: VisionModel, *, box_grid: int = 1000) -> None:
        self._model = model
        self._box_grid = box_grid
        self._drafts = Drafts()

    def analyze(self, jobs: Sequence[Job]) -> list[FrameResult]:
        """A result a job, in their order. A fault of the model becomes the ``error`` of the frames it hit."""
        started = time.monotonic()
        slots = [(number, task) for number, job in enumerate(jobs) for task in job.tasks]
        requests = []
        for number, task in slots:
            draft = self._drafts.of(jobs[number].frame.stream, task)
            requests.append(_request(jobs[number], task, draft, structured=self._model.structured))
        answers = self._generate(requests)
        for (number, task), answer in zip(slots, answers, strict=True):
            if isinstance(answer, Generation):
                self._drafts.remember(jobs[number].frame.stream, task, answer)
        per_job: list[list[tuple[Task, Generation | StreamerError]]] = [[] for _ in jobs]
        for (number, task), answer in zip(slots, answers, strict=True):
            per_job[number].append((task, answer))
        finished = time.monotonic()
        return [self._result(job, answered, started, finished) for job, answered in zip(jobs, per_job, strict=True)]

    def _generate(self, requests: list[Request]) -> list[Generation | StreamerError]:
        """All in one batch; where that fails, one by one, so that one bad request costs only its own answer."""
        try:
            return list(self._model.generate(requests)) if requests else []
        except StreamerError as error:
            if len(requests) == 1 or isinstance(error, ModelInterrupted):
                return [error] * len(requests)
        return [answer for request in requests for answer in self._generate([request])]

    def _result(
        self,
        job: Job,
        answered: list[tuple[Task, Generation | StreamerError]],
        started: float,
        finished: float,
    ) -> FrameResult:
        frame = job.frame
        given = [answer for _, answer in answered if isinstance(answer, Generation)]
        result = FrameResult(
            stream=frame.stream,
            sequence=frame.sequence,
            time_seconds=frame.time_seconds,
            source_size=frame.source_size,
            index=frame.index,
            pts=frame.pts,
            budget=job.budget,
            model=self._model.name,
            usage=_usage(given),
            timings=_timings(frame, given, started, finished),
        )
        for task, answer in answered:
            result = self._with_answer(result, task, answer)
        return result

    def _with_answer(self, result: FrameResult, task: Task, answer: Generation | StreamerError) -> FrameResult:
        if isinstance(answer, StreamerError):
            before = f"{result.error}; " if result.error else ""
            return replace(result, error=f"{before}{task.name}: {_reason(answer)}")
        notes = [f"cut off at {answer.output_tokens} tokens"] if answer.finish == "length" else []
        value: Any = answer.text.strip()
        match task.kind:
            case "caption":
                result = replace(result, caption=value if result.caption is None else result.caption)
            case "check" if task.schema is None:
                value = _checked(value)
            case "detect":
                parsed = parse_detections(answer.text, grid=self._box_grid)
                found: tuple[Detection, ...] = parsed.detections
                result = replace(result, detections=result.detections + found)
                if parsed.problem:
                    notes.append(parsed.problem)
        if task.schema is not None:
            value = _document(value)
        if notes:
            result = replace(result, notes={**result.notes, task.name: "; ".join(notes)})
        return replace(result, answers={**result.answers, task.name: value})


def failed(job: Job, model: str, error: str) -> FrameResult:
    """Where there are no answers at all."""
    frame = job.frame
    return FrameResult(
        stream=frame.stream,
        sequence=frame.sequence,
        time_seconds=frame.time_seconds,
        source_size=frame.source_size,
        budget=job.budget,
        model=model,
        error=error,
    )


def _checked(text: str) -> dict[str, Any]:
    """The value of a ``check``: out of a document of `CHECK_SCHEMA`, or of plain words."""
    document = _document(text)
    if isinstance(document, dict) and "answer" in document:
        said, reason = str(document["answer"]), str(document.get("reason") or "")
        words = f"{said.capitalize()}: {reason}" if reason else f"{said.capitalize()}."
        return {"answer": parse_yes_no(said), "reason": reason or None, "text": words}
    return {"answer": parse_yes_no(text), "reason": None, "text": text}


def _document(text: str) -> Any:
    """The JSON document that ``text`` is; the text itself where it is none (a model that knows no schemas)."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _reason(error: StreamerError) -> str:
    """Without the model's name, which every result has."""
    if not isinstance(error, ModelError):
        return str(error)
    return f"{error.reason} ({error.remedy})" if error.remedy else error.reason


def _request(job: Job, task: Task, draft: Draft, *, structured: bool) -> Request:
    frames = (*job.earlier, job.frame)[-task.frames :]
    held = task.kind == "check" and task.schema is None and structured
    return Request(
        images=tuple(frame.image for frame in frames),
        prompt=f"{task.prompt} {_CHECK_FORM}" if held else task.prompt,
        budget=job.budget,
        max_tokens=task.max_tokens,
        draft=draft.draft,
        agreement=draft.agreement,
        likeness=likeness(task),
        ends_with_list=task.kind == "detect",
        schema=CHECK_SCHEMA if held else task.schema,
    )


def likeness(task: Task) -> str:
    """The form of the answer, where it has one."""
    if task.kind != "detect":
        return ""
    rows = [f'  {{"box_2d": [500, 500, 500, 500], "label": "{label}"}}' for label in task.labels or ("object",)]
    return "```json\n[\n" + ",\n".join(rows) + "\n]\n```"


def _usage(answers: list[Generation]) -> Usage:
    return Usage(
        image_tokens=max((answer.image_tokens for answer in answers), default=0),
        prompt_tokens=sum(answer.prompt_tokens for answer in answers),
        output_tokens=sum(answer.output_tokens for answer in answers),
        drafted_tokens=sum(answer.drafted_tokens for answer in answers),
        accepted_tokens=sum(answer.accepted_tokens for answer in answers),
        forwards=max((answer.forwards for answer in answers), default=0),
    )


def _timings(frame: Frame, answers: list[Generation], started: float, finished: float) -> Timings:
    waited_ms = None if frame.captured_at is None else (started - frame.captured_at) * 1000
    total_ms = (finished - started) * 1000
    return Timings(
        decode_ms=frame.decode_ms,
        queue_ms=max(0.0, (waited_ms or 0.0) - frame.decode_ms),
        preprocess_ms=max((answer.preprocess_ms for answer in answers), default=0.0),
        model_ms=max((answer.model_ms for answer in answers), default=0.0),
        total_ms=total_ms,
        age_ms=None if waited_ms is None else waited_ms + total_ms,
    )
