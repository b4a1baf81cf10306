"""``streamer annotate`` and ``streamer export``: files in, answers in all formats out."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamer import terminal
from streamer.commands.opening import check_readable, loaded_model
from streamer.commands.options import (
    Budget,
    Detect,
    Device,
    Dtype,
    Hwaccel,
    Json,
    Model,
    Prompt,
    Quantize,
    Revision,
    Tasks,
    sampling_words,
    tasks_of,
)
from streamer.errors import OptionError, SourceError, StreamerError
from streamer.models import DEFAULT_MODEL

if TYPE_CHECKING:
    from streamer.annotate import Event
    from streamer.filejob import Summary
    from streamer.identify import Track
    from streamer.progress import JobProgress
    from streamer.results import FrameResult


Formats = Annotated[str, typer.Option(help="With commas: jsonl, mp4, srt, vtt, csv, parquet, coco, cvat, …; or all.")]

TrackBy = Annotated[
    str, typer.Option(help="Ids that last from frame to frame: by flow, by the boxes alone (boxes), or off.")
]


def annotate(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")],
    files: Annotated[list[str] | None, typer.Argument(help="Videos, pictures, folders or patterns.")] = None,
    model: Model = DEFAULT_MODEL,
    budget: Budget = 280,
    every: Annotated[str, typer.Option(help="1s, '2 fps', 'every 5th', 'at 1,2.5', keyframes, scenes, all.")] = "1s",
    task: Tasks = None,
    prompt: Prompt = None,
    detect: Detect = None,
    formats: Formats = "jsonl,mp4",
    start: Annotated[float | None, typer.Option("--from", help="Seconds to begin at.")] = None,
    end: Annotated[float | None, typer.Option("--to", help="Seconds to end before.")] = None,
    recursive: Annotated[bool, typer.Option(help="Folders with all that is below.")] = False,
    summary: Annotated[bool, typer.Option(help="Chapters too, a sentence for each stretch of the video.")] = False,
    track: TrackBy = "flow",
    listed: Annotated[Path | None, typer.Option("--list", help="A text file with a name a line.")] = None,
    restart: Annotated[bool, typer.Option(help="Begin anew instead of going on with an earlier run.")] = False,
    gate: Annotated[
        float, typer.Option(help="Frames that differ by less, 0 to 1, keep the last answer (0.03 suits); 0: off.")
    ] = 0.0,
    batch: Annotated[int, typer.Option(help="Frames answered together, at most.")] = 16,
    workers: Annotated[int, typer.Option(help="Files decoded at once.")] = 2,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantize: Quantize = None,
    revision: Revision = None,
    hwaccel: Hwaccel = None,
    json: Json = False,
) -> None:
    """Caption and detect on the frames of files: a journal of JSON lines, an annotated video, other formats for each.
    Started again, a job goes on where it was."""
    from streamer.annotate import AnnotateRun
    from streamer.filejob import AnnotateOptions
    from streamer.outputs.atomic import check_folder
    from streamer.outputs.naming import output_names
    from streamer.progress import job_progress
    from streamer.sampling import Sampling
    from streamer.sources import expand

    sampling = Sampling.parse(sampling_words(every))
    options = AnnotateOptions(
        tasks=tasks_of(task, prompt, detect),
        sampling=sampling.between(sampling.start if start is None else start, sampling.end if end is None else end),
        budget=budget,
        batch=batch,
        formats=_formats(formats),
        hwaccel=hwaccel,
        gate=gate,
        track=_track(track),
        restart=restart,
        summary=summary,
        workers=workers,
    )
    found = expand([*(files or ()), *_listed(listed)], recursive=recursive)
    if not found:
        raise OptionError("files", "", "at least one video, picture, folder or pattern, or --list")
    report = _Report(len(found), json=json)
    jobs = _from_first_readable(list(zip(found, output_names(found), strict=True)), hwaccel, report)
    if not jobs:
        report.end()
    check_folder(output)
    with (
        loaded_model(model, device=device, dtype=dtype, quantize=quantize, revision=revision) as loaded,
        job_progress(len(jobs), json=json) as progress,
        closing(iter(AnnotateRun(jobs, loaded, options, output=output, progress=progress.advance))) as events,
    ):
        report.follow(events, progress)
    report.end()


def export(
    journals: Annotated[list[Path], typer.Argument(help="Journals that streamer annotate has written.")],
    formats: Formats,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder; the journal's own by default.")] = None,
    source: Annotated[str | None, typer.Option(help="Where the video is now, for formats with pictures.")] = None,
    track: TrackBy = "flow",
    hwaccel: Hwaccel = None,
) -> None:
    """Write other formats from a journal, without the model."""
    from streamer.export import export as write

    if source is not None and len(journals) > 1:
        raise OptionError("source", source, "one journal beside it")
    chosen, failed = _formats(formats), False
    for journal in journals:
        try:
            write(
                journal,
                chosen,
                output=output,
                source=source,
                track=_track(track),
                hwaccel=hwaccel,
                wrote=lambda path: terminal.out.print(f"wrote {path}", markup=False),
            )
        except StreamerError as error:
            terminal.failure("failed", error)
            failed = True
    if failed:
        raise typer.Exit(1)


def _formats(text: str) -> tuple[str, ...]:
    from streamer.export import FORMATS, check_formats

    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    names = tuple(FORMATS) if names == ("all",) else names
    check_formats(names)
    return names


def _track(text: str) -> Track:
    from streamer.identify import TRACKS

    if text not in TRACKS:
        raise OptionError("track", text, ", ".join(TRACKS))
    return text


def _listed(path: Path | None) -> list[str]:
    """The lines of a list file; empty ones and those that begin with # say nothing."""
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError as error:
        raise SourceError(str(path), f"it cannot be read: {error.strerror or error}", "check the name") from error
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _from_first_readable(jobs: list[tuple[str, str]], hwaccel: str | None, report: _Report) -> list[tuple[str, str]]:
    """Without those at the beginning that cannot be read: no model is loaded where there is nothing for it."""
    for number, (address, _) in enumerate(jobs):
        try:
            check_readable(address, hwaccel)
        except SourceError as error:
            report.failed(error)
        else:
            return jobs[number:]
    return []


class _Report:
    """What is said of a run as it goes, and of all files in short behind the last of them."""

    def __init__(self, files: int, *, json: bool) -> None:
        self._files, self._json = files, json
        self._summaries: list[Summary] = []
        self._failures: list[str] = []
        self._shown: str | None = None

    def follow(self, events: Iterable[Event], progress: JobProgress) -> None:
        from streamer.annotate import Answered, Failed, Finished, Resumed

        newest: Summary | None = None
        try:
            for event in events:
                newest = newest if isinstance(event, Failed) else event.summary
                match event:
                    case Resumed(summary=summary):
                        self._resumed(summary)
                    case Answered(summary=summary, result=result):
                        self._answered(summary, result)
                    case Finished(summary=summary, error=error):
                        progress.done(summary)
                        self._finished(summary, error)
                    case Failed(error=failure):
                        progress.done(None)
                        self.failed(failure)
        except KeyboardInterrupt:
            if newest is not None:
                self._stopped(newest)
            raise

    def failed(self, error: StreamerError) -> None:
        """Said at once, and again behind the table of the others."""
        self._failures.append(str(error))
        terminal.failure("failed", error)

    def end(self) -> None:
        """Exit code 1 where a file failed or has a failed frame."""
        if self._json:
            for failure in self._failures:
                terminal.print_json({"type": "failure", "error": failure})
        elif self._summaries:
            terminal.print_table(terminal.summary_table(self._summaries))
            for path in (path for summary in self._summaries for path in summary.files):
                terminal.out.print(f"wrote {path}", markup=False)
            for failure in self._failures:
                terminal.failure("failed", failure)
        if self._failures or any(summary.failed or summary.fault for summary in self._summaries):
            raise typer.Exit(1)

    def _resumed(self, summary: Summary) -> None:
        if self._json:
            terminal.print_json({"type": "resumed", "source": summary.source, "frames": summary.resumed})
        else:
            terminal.notice(f"{summary.source}: going on behind the {summary.resumed} frames of an earlier run")

    def _answered(self, summary: Summary, result: FrameResult) -> None:
        from streamer.outputs.jsonl import result_to_json

        if self._json:
            terminal.print_json({"type": "frame", "source": summary.source, **result_to_json(result)})
            return
        self._name(summary)
        terminal.out.print(terminal.result_line(result))

    def _name(self, summary: Summary) -> None:
        """Of the file that the lines below are about, where there are several."""
        if self._files > 1 and self._shown != summary.source:
            self._shown = summary.source
            terminal.out.print(summary.source, markup=False, style="bold")

    def _finished(self, summary: Summary, error: StreamerError | None) -> None:
        self._summaries.append(summary)
        if error is not None:
            self.failed(error)
        if summary.fault:
            terminal.failure("ended early", summary.fault)
        elif not summary.frames:
            terminal.notice(f"{summary.source}: no picture of it is among those asked for by --every, --from and --to")
        if summary.segments and not self._json:
            self._name(summary)
            for segment in summary.segments:
                terminal.out.print(terminal.segment_line(segment))
        if summary.damaged:
            terminal.notice(f"{summary.source}: damaged parts passed over: {summary.damaged}")
        if self._json:
            files = [str(path) for path in summary.files]
            terminal.print_json({"type": "summary", **asdict(summary), "files": files})

    def _stopped(self, summary: Summary) -> None:
        kept = "; they are kept, and started again the job goes on from there" if summary.frames else ""
        terminal.notice(f"stopped after {summary.frames} frames of {summary.source}{kept}")
