"""The file job: every sampled frame of every file answered, in order, written as it goes. Completeness beats speed.

Decoding, the model, and the writing of what is made of the journal run side by side: while the model is at one file,
the next ones are decoded and the one before it is encoded. A batch of the model may hold frames of several files.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamer.addresses import redact
from streamer.ahead import Ahead
from streamer.analyzer import Analyzer, Job
from streamer.batching import BatchSize
from streamer.cluster.spread import run_class
from streamer.errors import StreamerError
from streamer.filejob import AnnotateOptions, FileJob, Summary
from streamer.marking import Sampled
from streamer.outputs.naming import output_names
from streamer.results import FrameResult
from streamer.sampling import Sampling
from streamer.sources.finding import Search
from streamer.tasks import Task

if TYPE_CHECKING:
    from streamer.models.base import VisionModel

Progress = Callable[[Summary, str, float], None]
"""Hears of a file, the stage it is in (``answers`` or the name of a format) and the media time reached in seconds."""


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """A frame has its row."""

    summary: Summary
    result: FrameResult


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """All that was asked of a file is written; ``error`` says what of it could not be."""

    summary: Summary
    error: StreamerError | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Failed:
    """Nothing can be had of a file, or nothing more; what its journal has stays."""

    address: str
    """Without passwords."""
    error: StreamerError


@dataclass(frozen=True, slots=True, eq=False)
class Resumed:
    """An earlier run has answered a part of a file already."""

    summary: Summary
    known: list[FrameResult]


Event = Resumed | Answered | Finished | Failed


@dataclass(slots=True, eq=False)
class Open:
    """A file that is being answered."""

    job: FileJob
    stop: Callable[[], None]
    """From any thread: no more of its frames are wanted."""
    came: int = 0
    """Frames so far."""
    began: float = field(default_factory=time.monotonic)
    """When the model came to it."""
    lost: StreamerError | None = None
    """Why it is given up."""


@dataclass(slots=True, eq=False, kw_only=True)
class _Decoded(Open):
    """It is decoded here."""

    frames: Ahead[Sampled]


@dataclass(slots=True, eq=False)
class _Item:
    """A frame on its way through the model's thread."""

    open: _Decoded
    sampled: Sampled
    job: Job

    @property
    def new(self) -> bool:
        return self.sampled.state == "new"


@dataclass(frozen=True, slots=True, eq=False)
class End:
    """All frames of a file have come; behind the model: all have their rows."""

    open: Open


class _CalledOff(Exception):
    """Ends an export that nobody waits for any more. No `OSError`, which writers would take for a full disk."""


class AnnotateRun:
    """Files, answered one after the other. Iterate over it once, for what happens as it happens.

    With ``output`` (a folder) each file has its ``NAME.jsonl`` there as it goes, and the other formats at its end. A
    journal of the same job that is there is continued. A file that fails does not stop the others. Does not own the
    model.
    """

    def __init__(
        self,
        files: Sequence[tuple[str, str]],
        model: VisionModel,
        options: AnnotateOptions | None = None,
        *,
        output: Path | None = None,
        progress: Progress = lambda summary, stage, seconds: None,
    ) -> None:
        """``files``: addresses with the names of their outputs (`output_names`)."""
        self._waiting = deque(files)
        self._model, self._options = model, options or AnnotateOptions()
        self._output, self._progress = output, progress
        self._analyzer = Analyzer(model, box_grid=self._options.box_grid)
        self._batch = BatchSize(self._options.batch)
        self._stopped = threading.Event()
        self._opened: list[_Decoded] = []
        """Those that are being decoded, the model's own first."""
        self._alive: set[FileJob] = set()
        """Those that are not closed."""

    def __iter__(self) -> Generator[Event]:
        exporting: deque[tuple[Open, Future[StreamerError | None]]] = deque()
        with (
            ExitStack() as closing_all,
            ThreadPoolExecutor(1, "export") as exporter,
            ExitStack() as stopping,
            Ahead("model", self._events, self._options.batch, stop=self._call_off) as events,
        ):
            stopping.callback(self._stopped.set)
            closing_all.callback(self._close_all)
            for event in events:
                if isinstance(event, End):
                    exporting.append((event.open, exporter.submit(self._export, event.open.job)))
                else:
                    yield event
                while exporting and (len(exporting) > 1 or exporting[0][1].done()):
                    yield self._finished(*exporting.popleft())
            while exporting:
                yield self._finished(*exporting.popleft())

    def _finished(self, one: Open, written: Future[StreamerError | None]) -> Finished:
        error = written.result()
        self._close(one.job)
        one.job.summary.wall_seconds = time.monotonic() - one.began
        return Finished(one.job.summary, error)

    def _close(self, job: FileJob) -> None:
        job.close()
        self._alive.discard(job)

    def _close_all(self) -> None:
        for job in list(self._alive):
            self._close(job)

    def _call_off(self) -> None:
        """From the thread of whoever iterates."""
        self._stopped.set()
        for one in list(self._opened):
            one.stop()
            one.job.stop()
        self._model.interrupt()

    def _export(self, job: FileJob) -> StreamerError | None:
        """On the exporting thread."""

        def progress(stage: str, seconds: float) -> None:
            if self._stopped.is_set():
                raise _CalledOff(stage)
            self._progress(job.summary, stage, seconds)

        try:
            job.export(progress)
        except StreamerError as error:
            return error
        except _CalledOff:
            return None
        return None

    # -- on the model's thread

    def _events(self) -> Generator[Event | End]:
        with closing(self._items()) as items:
            while (batch := self._next_batch(items)) and not self._stopped.is_set():
                yield from self._answered(batch)

    def _items(self) -> Generator[_Item | End | Resumed | Failed]:
        """The frames of one file after the other, and each file's end."""
        try:
            while (self._waiting or self._opened) and not self._stopped.is_set():
                yield from self._open_more()
                if self._opened:
                    yield from self._of_file(self._opened[0])
                    self._closed(self._opened[0])
        finally:
            for one in list(self._opened):
                self._closed(one)

    def _of_file(self, one: _Decoded) -> Generator[_Item | End]:
        one.began = time.monotonic()
        try:
            for sampled in one.frames:
                one.came += 1
                yield _Item(one, sampled, one.job.job(sampled.frame))
        except StreamerError as error:
            if one.came:
                one.job.summary.fault = str(error)
            else:
                one.lost = error
        if not self._stopped.is_set():
            yield End(one)

    def _open_more(self) -> Generator[Resumed | Failed]:
        """Starts to decode as many files as ``workers`` allows."""
        while self._waiting and len(self._opened) < self._options.workers and not self._stopped.is_set():
            address, name = self._waiting.popleft()
            try:
                job = FileJob(address, self._model, self._options, output=self._output, name=name)
                self._alive.add(job)
                job.begin()
            except StreamerError as error:
                yield Failed(redact(address), error)
                continue
            if job.known:
                yield Resumed(job.summary, job.known)
            frames = Ahead("decode", job.frames, self._options.batch, stop=job.stop)
            one = _Decoded(job, frames.close, frames=frames)
            one.frames.__enter__()
            self._opened.append(one)

    def _closed(self, one: _Decoded) -> None:
        """Decoding it is over; its journal is not."""
        one.frames.__exit__()
        self._opened.remove(one)

    def _next_batch(self, items: Generator[_Item | End | Resumed | Failed]) -> list[_Item | End | Resumed | Failed]:
        """Until there are as many new frames as the model answers together; a bounded number of others between them, so
        that a long standstill is reported as it goes."""
        batch: list[_Item | End | Resumed | Failed] = []
        new, most = 0, self._batch.current
        while new < most and len(batch) < 2 * most and (item := next(items, None)) is not None:
            batch.append(item)
            new += isinstance(item, _Item) and item.new
        return batch

    def _answered(self, batch: list[_Item | End | Resumed | Failed]) -> Generator[Event | End]:
        new = [item.job for item in batch if isinstance(item, _Item) and item.new]
        started = time.monotonic()
        answers = iter(self._analyzer.analyze(new))
        if self._stopped.is_set():
            return
        self._batch.observe(len(new), time.monotonic() - started)
        for item in batch:
            if isinstance(item, End):
                yield self._ended(item.open)
            elif not isinstance(item, _Item):
                yield item
            elif item.sampled.state != "known":
                result = next(answers) if item.new else item.open.job.repeated(item.job)
                yield from self._taken(item.open, result or self._analyzer.analyze([item.job])[0])

    def _taken(self, one: Open, result: FrameResult) -> Generator[Event]:
        """Into the journal; a file whose journal cannot be written is given up."""
        if one.lost is not None:
            return
        try:
            one.job.take(result)
        except StreamerError as error:
            one.lost = error
            one.stop()
            return
        summary = one.job.summary
        summary.answer_seconds = summary.wall_seconds = time.monotonic() - one.began
        self._progress(summary, "answers", result.time_seconds)
        yield Answered(summary, result)

    def _ended(self, one: Open) -> End | Failed:
        try:
            if one.lost is None:
                one.job.summarise(self._analyzer, self._stopped.is_set)
                if self._stopped.is_set():
                    return End(one)
                one.job.end()
        except StreamerError as error:
            one.lost = error
        if one.lost is None:
            return End(one)
        self._close(one.job)
        return Failed(redact(one.job.address), one.lost)


class AnnotateJob:
    """One file, answered frame by frame, as `AnnotateRun` does it. Iterate over it once, for the new results.

    ``name`` is that of its outputs, the source's own without its ending by default; ``summary`` fills as it goes,
    ``known`` are the results of an earlier run, from the first new one on. Iteration raises `SourceError` where nothing
    can be read at all and for cameras, which have no end, and `OutputError` where something cannot be written; a fault
    after the first frames ends in ``summary.fault``.
    """

    def __init__(
        self,
        address: str,
        model: VisionModel,
        options: AnnotateOptions | None = None,
        *,
        output: Path | None = None,
        name: str | None = None,
    ) -> None:
        self._address, self._model, self._options = address, model, options or AnnotateOptions()
        self._output, self._name = output, name or output_names([address], output)[0]
        self.summary = Summary(redact(address))
        self.known: list[FrameResult] = []
        self.on_progress: Callable[[str, float], None] = lambda stage, media_seconds: None
        """Hears the stage (``answers``, or the name of a format) and the media time reached in seconds."""

    def __iter__(self) -> Generator[FrameResult]:
        files = [(self._address, self._name)]
        run = run_class(self._model)(files, self._model, self._options, output=self._output, progress=self._progress)
        with closing(iter(run)) as events:
            for event in events:
                if isinstance(event, Failed):
                    raise event.error
                self.summary = event.summary
                match event:
                    case Resumed(known=known):
                        self.known = known
                    case Answered(result=result):
                        yield result
                    case Finished(error=error) if error is not None:
                        raise error

    def _progress(self, summary: Summary, stage: str, seconds: float) -> None:
        self.summary = summary
        self.on_progress(stage, seconds)


def annotate(
    sources: str | Path | Iterable[str | Path],
    model: VisionModel,
    *,
    tasks: tuple[Task, ...] = (Task.caption(),),
    sampling: str | Sampling = "every 1 s",
    budget: int = 280,
    output: str | Path | None = None,
    formats: tuple[str, ...] = ("jsonl", "mp4"),
    recursive: bool = False,
    restart: bool = False,
    **more: Any,
) -> Iterator[FrameResult]:
    """The answers to ``tasks`` about the sampled frames of files, as they come: each file's in order, with its name as
    ``stream``; those of several files may come in turns.

    ``sources``: a file, a folder, a pattern (``clips/*.mp4``), or several; ``recursive`` takes folders with all that is
    below. ``sampling``: ``every 2 s``, ``2 fps``, ``every 5th``, ``at 1,2.5``, ``keyframes``, ``scenes`` or ``all``.
    With ``output`` (a folder) they are written there too, in the formats of `streamer.exporting.FORMATS`; answers that
    an earlier run has left there are given first, and not asked for again. ``more``: what else `AnnotateOptions` has
    (``gate``, ``track``, ``summary``, ``workers``, ``batch``, ``hwaccel``).

    Raises `SourceError` for a name that means nothing, before anything is asked. A file that fails does not stop the
    others: its `StreamerError` is raised when all others are done, with those of further files as its notes.
    """
    chosen = Sampling.parse(sampling) if isinstance(sampling, str) else sampling
    options = AnnotateOptions(tasks, chosen, budget, formats=formats, restart=restart, **more)
    search = Search(recursive)
    for one in [sources] if isinstance(sources, str | Path) else sources:
        search.add(str(one))
    folder = Path(output) if output is not None else None
    files = [(one.address, name) for one, name in zip(search.found, output_names(search.found, folder), strict=True)]
    errors: list[StreamerError] = []
    with closing(iter(run_class(model)(files, model, options, output=folder))) as events:
        for event in events:
            match event:
                case Resumed(known=known):
                    yield from known
                case Answered(result=result):
                    yield result
                case Failed(error=error) | Finished(error=StreamerError() as error):
                    errors.append(error)
    if errors:
        for other in errors[1:]:
            errors[0].add_note(str(other))
        raise errors[0]
