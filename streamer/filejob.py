"""One file of a file job: its frames on the way to the model, its answers on the way to the journal."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from streamer.analyzer import Analyzer, Job
from streamer.errors import OptionError, SourceError
from streamer.exporting import check_formats, export
from streamer.fingerprint import fingerprint
from streamer.gating import check_threshold, repeated
from streamer.gemma.budget import check_budget
from streamer.marking import Marking, Sampled
from streamer.outputs.atomic import check_folder, remove_leftovers
from streamer.outputs.base import Segment, incomplete
from streamer.outputs.jsonl import JournalWriter
from streamer.outputs.naming import source_path
from streamer.outputs.targets import check_outputs, newer, others_left, targets
from streamer.results import FrameResult, Timings, Usage
from streamer.sampling import Sampling
from streamer.segments import PROMPT, Stretch, stretches
from streamer.sources import local_files, open_source
from streamer.tasks import Task

if TYPE_CHECKING:
    from streamer.frames import Frame
    from streamer.identify import Track
    from streamer.models.base import VisionModel
    from streamer.sources.base import Source, SourceInfo


@dataclass(frozen=True, slots=True)
class AnnotateOptions:
    """What is asked of which frames, and what is written."""

    tasks: tuple[Task, ...] = (Task.caption(),)
    sampling: Sampling = field(default_factory=lambda: Sampling.every(1))
    budget: int = 280
    """Soft tokens per picture, one of `BUDGETS`."""
    batch: int = 16
    """Frames that the model answers together, at most (`streamer.batching`)."""
    formats: tuple[str, ...] = ("jsonl", "mp4")
    """Names of `streamer.exporting.FORMATS`; the journal (``jsonl``) is written whether it is named or not."""
    box_grid: int = 1000
    hwaccel: str | None = None
    gate: float = 0.0
    """How much a frame must differ from the one analysed last, in 0..1; any other gets its answers again, marked as
    reused. 0 analyses every frame."""
    track: Track = "flow"
    """How the formats' boxes get ids that last from frame to frame (`streamer.export`)."""
    restart: bool = False
    """Begin anew where a journal is there already, instead of going on with it."""
    summary: bool = False
    """Also make chapters: stretches that say the same, each in a sentence of the model."""
    workers: int = 2
    """Files that are decoded at once: the one that the model is at, and those behind it."""

    def __post_init__(self) -> None:
        if not self.tasks or len({task.name for task in self.tasks}) < len(self.tasks):
            raise OptionError("tasks", [task.name for task in self.tasks], "one or more, of different names")
        check_budget(self.budget)
        check_threshold(self.gate)
        if not 1 <= self.batch <= 256:
            raise OptionError("batch", self.batch, "a whole number from 1 to 256")
        if not 1 <= self.workers <= 64:
            raise OptionError("workers", self.workers, "a whole number from 1 to 64")
        check_formats(self.formats)


@dataclass(slots=True)
class Summary:
    """How the job on one file went; complete once the iteration has ended."""

    source: str
    frames: int = 0
    """Rows in the journal, those of an earlier run included."""
    resumed: int = 0
    """Rows that an earlier run had written."""
    failed: int = 0
    """Frames with an error in their row."""
    incomplete: int = 0
    """Frames whose answer with boxes was cut off or could not be read; they are in no dataset."""
    reused: int = 0
    """Frames that had not changed and got the answers of the one before them."""
    damaged: int = 0
    """Packets or pictures of the source that could not be decoded and were passed over."""
    media_seconds: float = 0.0
    """Media time of the newest frame."""
    begun_seconds: float = 0.0
    """Media time from which this run went on."""
    duration_seconds: float | None = None
    answer_seconds: float = 0.0
    """Wall time of this run until the newest answer."""
    wall_seconds: float = 0.0
    """Of everything, the writing of the other formats included."""
    usage: Usage = field(default_factory=Usage)
    """Of this run."""
    timings: Timings = field(default_factory=Timings)
    """Of this run, added up frame by frame."""
    fault: str | None = None
    """Why the source ended early; the frames before it are there."""
    segments: list[Segment] = field(default_factory=list)
    """Chapters, where they were asked for."""
    files: list[Path] = field(default_factory=list)
    """What was written."""
    there_already: list[Path] = field(default_factory=list)
    """What an earlier run had written from the same rows."""
    left: list[Path] = field(default_factory=list)
    """Files of the job that this one took the place of, in formats that were not asked for now."""
    complete: bool = False
    """Whether an earlier run had answered all."""
    outstanding: list[str] = field(default_factory=list)
    """Formats that are to be written then."""

    @property
    def answered(self) -> int:
        """Frames of this run."""
        return self.frames - self.resumed


class FileJob:
    """One source, from its frames to its files. The model is somebody else's.

    `begin`, then `frames` on a decoding thread, `job` and `take` for each of them on the model's thread, `end`, and
    `export`; `close` in any case. Raises `SourceError` where nothing can be read at all and for cameras, which have no
    end, and `OutputError` where nothing can be written.
    """

    def __init__(
        self, address: str, model: VisionModel, options: AnnotateOptions, *, output: Path | None, name: str
    ) -> None:
        self.address, self.name = address, name
        self._model, self._options, self._output = model, options, output
        self._window = max(task.frames for task in options.tasks)
        self._earlier: deque[Frame] = deque(maxlen=self._window - 1)
        self.journal: JournalWriter | None = None
        self._results: list[FrameResult] = []
        """All of them, where there are to be chapters."""
        self.last: FrameResult | None = None
        """The newest answers of the model, which unchanged frames get."""
        self._source = self._open()
        if self._source.live:
            raise SourceError(address, "it is a camera or a live stream, which has no end", "use streamer watch")
        info = self._source.info
        self.summary = Summary(source=info.address, duration_seconds=info.duration_seconds)

    @property
    def path(self) -> Path | None:
        """Of the journal."""
        return None if self._output is None else self._output / f"{self.name}.jsonl"

    @property
    def info(self) -> SourceInfo:
        """Of the source. Raises `SourceError` where it cannot be opened."""
        return self._source.info

    @property
    def known(self) -> list[FrameResult]:
        """What an earlier run has answered."""
        return [] if self.journal is None else self.journal.known

    @property
    def complete(self) -> bool:
        """Whether an earlier run has answered all."""
        return self.journal is not None and self.journal.complete

    def begin(self) -> None:
        """Opens the journal, before anything is asked of the model."""
        if self._output is None or self.path is None:
            return
        options = self._options
        check_outputs(self._output, self.name, options.formats)
        remove_leftovers(targets(self._output, self.name, options.formats))
        check_folder(self.path.parent)
        facts, had = self._facts(), self.path.exists()
        self.journal = JournalWriter(self.path, facts, restart=options.restart, segments=options.summary)
        if options.restart and had:
            self.summary.left += others_left(self._output, self.name, options.formats)
        if self.journal.complete:
            self._look_for_formats()
        self.summary.segments += self.journal.segments
        for result in self.known:
            self._count(result)
        self.summary.resumed = len(self.known)
        self.summary.begun_seconds = self.summary.media_seconds
        self.last = next((result for result in reversed(self.known) if not result.reused), None)

    def _look_for_formats(self) -> None:
        """What a finished job has written need not be written again, where it is newer than its rows."""
        assert self.path is not None and self._output is not None  # noqa: PT018 - there is a journal
        summary = self.summary
        summary.complete = True
        for name in self._options.formats:
            there = [] if name == "jsonl" else newer(self._output, self.name, name, self.path)
            summary.there_already += [path for path in there if path not in summary.there_already]
            summary.outstanding += [] if there or name == "jsonl" else [name]

    def frames(self) -> Generator[Sampled]:
        """On the decoding thread, which also does what the model would have to do before it begins."""
        if self.complete:
            return
        if skip := self.first_needed():
            self._source.close()
            self._source = self._open(skip)
        marking = Marking(self._options.gate, window=self._window, known=len(self.known))
        with self._source:
            for frame in self._source.frames():
                sampled = marking.of(frame)
                if sampled.state == "new":
                    self._model.prepare(frame.image, self._options.budget)
                yield sampled

    def job(self, frame: Frame) -> Job:
        """What is to be asked about it."""
        tasks = tuple(task for task in self._options.tasks if task.frames <= len(self._earlier) + 1)
        job = Job(frame, tasks, self._options.budget, tuple(self._earlier))
        self._earlier.append(frame)
        return job

    def repeated(self, job: Job) -> FrameResult | None:
        """The answers of the frame before it; None where there are none."""
        if self.last is None or self.last.error is not None:
            return None
        return repeated(self.last, job.frame)

    def take(self, result: FrameResult) -> None:
        """Into the journal, before anybody sees it."""
        if not result.reused:
            self.last = result
        if self.journal is not None:
            self.journal.add(result)
        self._count(result)
        self.summary.usage += result.usage
        self.summary.timings += result.timings

    def found_damaged(self, parts: int) -> None:
        """So many could not be decoded by somebody else, who decodes for this job."""
        self._source.counters.corrupt += parts

    def summarise(self, analyzer: Analyzer, stopped: Callable[[], bool]) -> None:
        """On the model's thread, once all frames are answered: chapters, where they are wanted and not there yet."""
        if not self._options.summary or self.complete:
            return
        for stretch in stretches(self._results):
            segment = self._segment(stretch, analyzer)
            if stopped():
                return
            self.summary.segments.append(segment)
            if self.journal is not None:
                self.journal.add_segment(segment)

    def _segment(self, stretch: Stretch, analyzer: Analyzer) -> Segment:
        """Its pictures are decoded again: nobody knew before which ones it would take."""
        results, places = self._results, stretch.places()
        behind = stretch.last + 1
        start = results[stretch.first].time_seconds
        end = results[behind].time_seconds if behind < len(results) else self._end_seconds()
        try:
            frames = list(self._frames_at([results[place].time_seconds for place in places]))
            if not frames:
                raise SourceError(self.address, "its pictures are not there any more", "has the file changed?")
        except SourceError as error:
            return Segment(start, max(start, end or start), "", str(error))
        task = Task.ask(PROMPT, name="segment") if len(frames) == 1 else Task.compare(PROMPT, frames=len(frames))
        [result] = analyzer.analyze([Job(frames[-1], (task,), self._options.budget, tuple(frames[:-1]))])
        self.summary.usage += result.usage
        said = result.answers.get(task.name, "")
        return Segment(start, max(start, end or start), said if isinstance(said, str) else "", result.error)

    def _end_seconds(self) -> float | None:
        """Of what is looked at."""
        ends = (self._options.sampling.end, self.summary.duration_seconds)
        return min((float(end) for end in ends if end is not None), default=None)

    def _frames_at(self, seconds: list[float]) -> Generator[Frame]:
        """The pictures shown then; a little later, so that no rounding makes it the one before."""
        sampling = Sampling.at([moment + 0.0005 for moment in seconds])
        with self._open(sampling=sampling) as source:
            yield from source.frames()

    def end(self) -> None:
        """All frames are answered. Raises `SourceError` where none was to be had."""
        summary = self.summary
        if not summary.frames and summary.fault is None:
            raise self._nothing()
        summary.damaged = self._source.counters.corrupt
        if self.journal is not None and not self.journal.complete:
            self.journal.end(frames=summary.frames, failed=summary.failed, fault=summary.fault)

    def _nothing(self) -> SourceError:
        """Says why no picture was chosen; a journal of no rows is of no use."""
        if self.journal is not None:
            self.journal.discard()
        start, length = self._options.sampling.start, self.summary.duration_seconds
        reason = "no picture of it is among those asked for"
        if start is not None and length is not None and start >= length:
            reason = f"it ends at {length:.2f} s, before the first picture asked for ({float(start):g} s)"
        return SourceError(self.address, reason, "see --every, --from and --to")

    def export(self, progress: Callable[[str, float], None]) -> None:
        """Writes the other formats from the journal, those left out that an earlier run has made of the same rows."""
        if self.path is None or self._output is None:
            return
        options, summary = self._options, self.summary
        summary.files.append(self.path)
        formats = summary.outstanding if summary.complete else [name for name in options.formats if name != "jsonl"]
        if formats and summary.frames:
            export(
                self.path,
                formats,
                source=self.address,
                track=options.track,
                hwaccel=options.hwaccel,
                progress=progress,
                wrote=self.summary.files.append,
            )

    def stop(self) -> None:
        """From any thread: decoding ends soon."""
        self._source.close()

    def close(self) -> None:
        self._source.close()
        if self.journal is not None:
            self.journal.close()

    def _open(self, skip: int = 0, sampling: Sampling | None = None) -> Source:
        options = self._options
        return open_source(
            self.address,
            sampling=sampling or options.sampling,
            size_for=lambda size: self._model.size_for(size, options.budget),
            hwaccel=options.hwaccel,
            skip=skip,
        )

    def first_needed(self) -> int:
        """The first frame that is needed to go on: those before an answer that looks back, and as many of those
        analysed last as the gate looks at."""
        done = self.known
        first = max(0, len(done) - (self._window - 1))
        if self._options.gate and done:
            analysed = [result.sequence for result in done if not result.reused]
            first = min([first, *analysed[-self._window - 1 :]])
        return first

    def _count(self, result: FrameResult) -> None:
        summary = self.summary
        summary.frames += 1
        summary.failed += result.error is not None
        summary.incomplete += result.error is None and incomplete(result)
        summary.reused += result.reused
        summary.media_seconds = result.time_seconds
        if self._options.summary:
            self._results.append(result)

    def _facts(self) -> dict[str, object]:
        """The journal's first row: everything that decides what the answers are, and what is good to know of it."""
        options, model = self._options, self._model
        return {
            "streamer": version("streamer"),
            "source": {**asdict(self._source.info), "path": source_path(self.address)},
            "content": _content(local_files(self.address)),
            "model": model.name,
            "revision": model.revision,
            "quantize": model.quantize,
            "caveat": model.caveat,
            "tasks": [asdict(task) for task in options.tasks],
            "sampling": str(options.sampling),
            "budget": options.budget,
            "gate": options.gate,
            "box_grid": options.box_grid,
        }


def _content(files: Iterable[Path]) -> str | None:
    """None for what does not lie on this machine."""
    paths = list(files)
    return fingerprint(paths) if paths else None
