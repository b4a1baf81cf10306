"""The file job: every sampled frame of a file answered, in order, written as it goes. Completeness beats speed."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from streamer.addresses import redact
from streamer.ahead import Ahead
from streamer.analyzer import Analyzer, Job
from streamer.batching import BatchSize
from streamer.errors import OptionError, SourceError, StreamerError
from streamer.gating import Gate, Sight, check_threshold, repeated
from streamer.gemma.budget import check_budget
from streamer.outputs.atomic import check_folder
from streamer.outputs.jsonl import JournalWriter
from streamer.results import FrameResult, Usage
from streamer.sampling import Sampling
from streamer.sources import open_source
from streamer.sources.finding import is_address, is_pattern, local_path
from streamer.tasks import Task

if TYPE_CHECKING:
    from streamer.frames import Frame
    from streamer.models.base import VisionModel
    from streamer.sources.base import Source

Format = Literal["jsonl", "mp4"]
FORMATS: tuple[Format, ...] = ("jsonl", "mp4")


@dataclass(frozen=True, slots=True)
class AnnotateOptions:
    """What is asked of which frames."""

    tasks: tuple[Task, ...] = (Task.caption(),)
    sampling: Sampling = field(default_factory=lambda: Sampling.every(1))
    budget: int = 280
    """Soft tokens per picture, one of `BUDGETS`."""
    batch: int = 16
    """Frames that the model answers together, at most (`streamer.batching`)."""
    formats: tuple[Format, ...] = FORMATS
    box_grid: int = 1000
    hwaccel: str | None = None
    gate: float = 0.0
    """How much a frame must differ from the one analysed last, in 0..1; any other gets its answers again, marked as
    reused. 0 analyses every frame."""

    def __post_init__(self) -> None:
        if not self.tasks or len({task.name for task in self.tasks}) < len(self.tasks):
            raise OptionError("tasks", [task.name for task in self.tasks], "one or more, of different names")
        check_budget(self.budget)
        check_threshold(self.gate)
        if not 1 <= self.batch <= 256:
            raise OptionError("batch", self.batch, "a whole number from 1 to 256")
        for name in self.formats or ("",):
            if name not in FORMATS:
                raise OptionError("format", name, " or ".join(FORMATS))


@dataclass(slots=True)
class Summary:
    """How the job on one file went; complete once the iteration has ended."""

    source: str
    frames: int = 0
    failed: int = 0
    """Frames with an error in their row."""
    reused: int = 0
    """Frames that had not changed and got the answers of the one before them."""
    damaged: int = 0
    """Packets or pictures of the source that could not be decoded and were passed over."""
    media_seconds: float = 0.0
    """Media time of the newest frame."""
    duration_seconds: float | None = None
    answer_seconds: float = 0.0
    """Wall time until the newest answer."""
    wall_seconds: float = 0.0
    """Of everything, the writing of the annotated video included."""
    usage: Usage = field(default_factory=Usage)
    fault: str | None = None
    """Why the source ended early; the frames before it are there."""
    files: list[Path] = field(default_factory=list)
    """What was written."""


class AnnotateJob:
    """One file or folder of pictures, answered frame by frame.

    Iterate over it once; ``summary`` fills as it goes. With ``output`` (a folder) it writes ``NAME.jsonl`` as it goes
    and ``NAME.annotated.mp4`` at the end; ``name`` is the source's own without its ending by default. Does not own the
    model. Raises `SourceError` where nothing can be read at all and for cameras, which have no end, and `OutputError`
    where nothing can be written; a fault after the first frames ends in ``summary.fault``.
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
        self._address, self._model = address, model
        self._options = options or AnnotateOptions()
        self._output = output
        self.on_progress: Callable[[str, float], None] = lambda stage, media_seconds: None
        """Hears the stage (``answers``, ``video``) and the media time reached in seconds."""
        self._analyzer = Analyzer(model, box_grid=self._options.box_grid)
        self._stem = name or output_names([address])[0]
        window = max(task.frames for task in self._options.tasks)
        self._gate = Gate(self._options.gate, window=window)
        self._earlier: deque[Frame] = deque(maxlen=window - 1)
        self._known: FrameResult | None = None
        """The answers that unchanged frames get."""
        self._batch = BatchSize(self._options.batch)
        self._earlier_frames = 0
        """Frames that were taken for batches before this one."""
        self._source = self._open()
        if self._source.live:
            raise SourceError(address, "it is a camera or a live stream, which has no end", "use streamer watch")
        info = self._source.info
        self.summary = Summary(source=info.address, duration_seconds=info.duration_seconds)

    def __iter__(self) -> Generator[FrameResult]:
        started = time.monotonic()
        results: list[FrameResult] = []
        try:
            if self._output is not None:
                check_folder(self._output)  # now, not when hours of answers are there
            with self._source, closing(self._answered_and_kept()) as answers:
                for result in answers:
                    self._count(result, started)
                    if self._writes("mp4"):
                        results.append(result)
                    yield result
            if self._writes("mp4") and results:
                self._write_video(results)
        finally:
            self.summary.damaged = self._source.counters.corrupt
            self.summary.wall_seconds = time.monotonic() - started

    def _open(self) -> Source:
        options = self._options
        return open_source(
            self._address,
            sampling=options.sampling,
            size_for=lambda size: self._model.size_for(size, options.budget),
            hwaccel=options.hwaccel,
        )

    def _writes(self, name: Format) -> bool:
        return self._output is not None and name in self._options.formats

    def _answered_and_kept(self) -> Generator[FrameResult]:
        """The results, each in the journal before anybody sees it."""
        if self._output is None or not self._writes("jsonl"):
            yield from self._answered()
            return
        path = self._output / f"{self._stem}.jsonl"
        with JournalWriter(path, self._facts()) as journal, closing(self._answered()) as answers:
            self.summary.files.append(path)
            for result in answers:
                journal.add(result)
                yield result
            journal.end(frames=self.summary.frames, failed=self.summary.failed, fault=self.summary.fault)

    def _answered(self) -> Generator[FrameResult]:
        """Decoding, the model, and whoever takes the results run side by side, each a bounded way ahead."""
        batch = self._options.batch

        def call_off() -> None:
            frames.close()
            self._model.interrupt()

        with (
            Ahead("decode", self._frames, batch, stop=self._source.close) as frames,
            Ahead("model", lambda: self._answers(iter(frames)), batch, stop=call_off) as answers,
        ):
            yield from answers

    def _frames(self) -> Generator[tuple[Frame, bool]]:
        """Each frame, and whether it is to get the answers of the one before it. On the decoding thread, which also
        does what the model would have to do before it begins."""
        for frame in self._source.frames():
            unchanged = self._unchanged(frame)
            if not unchanged:
                self._model.prepare(frame.image, self._options.budget)
            yield frame, unchanged

    def _unchanged(self, frame: Frame) -> bool:
        if not self._options.gate:
            return False
        sight = Sight.of(frame)
        if not self._gate.look(sight).analyse:
            return True
        self._gate.analysed(sight)
        return False

    def _answers(self, frames: Iterator[tuple[Frame, bool]]) -> Generator[FrameResult]:
        """On the model's thread."""
        while batch := self._next_batch(frames):
            jobs = [(self._job(frame), unchanged) for frame, unchanged in batch]
            changed = [job for job, unchanged in jobs if not unchanged]
            started = time.monotonic()
            answers = iter(self._analyzer.analyze(changed))
            self._batch.observe(len(changed), time.monotonic() - started)
            for job, unchanged in jobs:
                yield self._repeated(job) if unchanged else self._first(next(answers))

    def _job(self, frame: Frame) -> Job:
        tasks = tuple(task for task in self._options.tasks if task.frames <= len(self._earlier) + 1)
        job = Job(frame, tasks, self._options.budget, tuple(self._earlier))
        self._earlier.append(frame)
        return job

    def _first(self, result: FrameResult) -> FrameResult:
        self._known = result
        return result

    def _repeated(self, job: Job) -> FrameResult:
        """The answers before it, unless those were none."""
        if self._known is None or self._known.error is not None:
            return self._first(self._analyzer.analyze([job])[0])
        return repeated(self._known, job.frame)

    def _next_batch(self, frames: Iterator[tuple[Frame, bool]]) -> list[tuple[Frame, bool]]:
        """As many as the model answers together, with the unchanged ones between them; a bounded number of those, so
        that a long standstill is reported as it goes."""
        batch: list[tuple[Frame, bool]] = []
        changed, most = 0, self._batch.current
        while changed < most and len(batch) < 2 * most and self.summary.fault is None:
            try:
                batch.append(next(frames))
                changed += not batch[-1][1]
            except StopIteration:
                break
            except StreamerError as error:
                if not self._earlier_frames and not batch:
                    raise
                self.summary.fault = str(error)
        self._earlier_frames += len(batch)
        return batch

    def _count(self, result: FrameResult, started: float) -> None:
        summary = self.summary
        summary.frames += 1
        summary.failed += result.error is not None
        summary.reused += result.reused
        summary.usage += result.usage
        summary.media_seconds = result.time_seconds
        summary.answer_seconds = summary.wall_seconds = time.monotonic() - started
        self.on_progress("answers", result.time_seconds)

    def _facts(self) -> dict[str, object]:
        """The journal's first row: everything that decides what the answers are."""
        info, options = self._source.info, self._options
        return {
            "streamer": version("streamer"),
            "source": asdict(info),
            "model": self._model.name,
            "caveat": self._model.caveat,
            "tasks": [asdict(task) for task in options.tasks],
            "sampling": str(options.sampling),
            "budget": options.budget,
            "gate": options.gate,
            "box_grid": options.box_grid,
        }

    def _write_video(self, results: list[FrameResult]) -> None:
        from streamer.outputs.video import even_size, write_annotated

        assert self._output is not None
        path = self._output / f"{self._stem}.annotated.mp4"
        window = Sampling.all().between(self._options.sampling.start, self._options.sampling.end)
        with open_source(self._address, sampling=window, size_for=even_size, hwaccel=self._options.hwaccel) as source:
            write_annotated(
                source,
                results,
                path,
                note=self._model.caveat,
                progress=lambda seconds: self.on_progress("video", seconds),
            )
        self.summary.files.append(path)


def output_names(addresses: Sequence[str]) -> list[str]:
    """What the files about each source are called: its name without its ending, and no name twice.

    >>> output_names(["a/street.mp4", "b/street.mov", "b/street.mp4", "pictures/*.png"])
    ['street', 'street (2)', 'street (3)', 'pictures']
    """
    names: list[str] = []
    for address in addresses:
        wanted = _output_name(address)
        name, number = wanted, 2
        while name.casefold() in map(str.casefold, names):
            name, number = f"{wanted} ({number})", number + 1
        names.append(name)
    return names


def _output_name(address: str) -> str:
    if is_address(address):
        name = Path(redact(address).partition("?")[0]).stem
    else:
        path = local_path(address).resolve()
        path = path.parent if is_pattern(address) else path
        name = path.name if path.is_dir() or is_pattern(address) else path.stem
    return re.sub(r"[^\w .()+,@=-]+", "-", name).strip("- .") or "answers"


def annotate(
    address: str,
    model: VisionModel,
    *,
    tasks: tuple[Task, ...] = (Task.caption(),),
    sampling: str | Sampling = "every 1 s",
    budget: int = 280,
    output: str | Path | None = None,
    formats: tuple[Format, ...] = FORMATS,
) -> Iterator[FrameResult]:
    """The answers to ``tasks`` about the sampled frames of a file, as they come.

    ``sampling``: ``every 2 s``, ``2 fps``, ``every 5th``, ``at 1,2.5``, ``keyframes``, ``scenes`` or ``all``.
    With ``output`` (a folder) they are written there too. Raises as `AnnotateJob` does.
    """
    chosen = Sampling.parse(sampling) if isinstance(sampling, str) else sampling
    options = AnnotateOptions(tasks, chosen, budget, formats=formats)
    yield from AnnotateJob(address, model, options, output=Path(output) if output is not None else None)
