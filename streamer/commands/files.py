"""``streamer annotate``: files, one after the other, each with its own job."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

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
from streamer.errors import SourceError, StreamerError
from streamer.models import DEFAULT_MODEL

if TYPE_CHECKING:
    from streamer.annotate import AnnotateJob, Summary


def annotate(
    files: Annotated[list[str], typer.Argument(help="Videos, pictures, folders or patterns.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")],
    model: Model = DEFAULT_MODEL,
    budget: Budget = 280,
    every: Annotated[str, typer.Option(help="1s, '2 fps', 'every 5th', 'at 1,2.5', keyframes, scenes, all.")] = "1s",
    task: Tasks = None,
    prompt: Prompt = None,
    detect: Detect = None,
    formats: Annotated[str, typer.Option(help="jsonl, mp4 or both with a comma.")] = "jsonl,mp4",
    start: Annotated[float | None, typer.Option("--from", help="Seconds to begin at.")] = None,
    end: Annotated[float | None, typer.Option("--to", help="Seconds to end before.")] = None,
    recursive: Annotated[bool, typer.Option(help="Folders with all that is below.")] = False,
    gate: Annotated[
        float, typer.Option(help="Frames that differ by less, 0 to 1, keep the last answer (0.03 suits); 0: off.")
    ] = 0.0,
    batch: Annotated[int, typer.Option(help="Frames answered together, at most.")] = 16,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantize: Quantize = None,
    revision: Revision = None,
    hwaccel: Hwaccel = None,
    json: Json = False,
) -> None:
    """Caption and detect on the frames of files: a journal of JSON lines and an annotated video for each."""
    from streamer.annotate import AnnotateJob, AnnotateOptions, output_names
    from streamer.outputs.atomic import check_folder
    from streamer.sampling import Sampling
    from streamer.sources import expand

    sampling = Sampling.parse(sampling_words(every))
    options = AnnotateOptions(
        tasks=tasks_of(task, prompt, detect),
        sampling=sampling.between(sampling.start if start is None else start, sampling.end if end is None else end),
        budget=budget,
        batch=batch,
        formats=cast("Any", tuple(part.strip() for part in formats.split(",") if part.strip())),
        hwaccel=hwaccel,
        gate=gate,
    )
    found = expand(files, recursive=recursive)
    summaries: list[Summary] = []
    failures: list[str] = []
    jobs = _from_first_readable(list(zip(found, output_names(found), strict=True)), hwaccel, failures)
    if not jobs:
        _report(summaries, failures, json=json)
    check_folder(output)
    with loaded_model(model, device=device, dtype=dtype, quantize=quantize, revision=revision) as loaded:
        for address, name in jobs:
            try:
                job = AnnotateJob(address, loaded, options, output=output, name=name)
                _run(job, json=json)
                summaries.append(job.summary)
            except StreamerError as error:
                _failed(error, failures)
    _report(summaries, failures, json=json)


def _from_first_readable(
    jobs: list[tuple[str, str]], hwaccel: str | None, failures: list[str]
) -> list[tuple[str, str]]:
    """Without those at the beginning that cannot be read: no model is loaded where there is nothing for it."""
    for number, (address, _) in enumerate(jobs):
        try:
            check_readable(address, hwaccel)
        except SourceError as error:
            _failed(error, failures)
        else:
            return jobs[number:]
    return []


def _failed(error: StreamerError, failures: list[str]) -> None:
    """Said at once, and again behind the table of the others."""
    failures.append(str(error))
    terminal.failure("failed", error)


def _run(job: AnnotateJob, *, json: bool) -> None:
    from streamer.outputs.jsonl import result_to_json

    summary = job.summary
    try:
        with (
            terminal.file_progress(Path(summary.source).name, summary.duration_seconds) as progress,
            closing(iter(job)) as results,
        ):
            job.on_progress = lambda stage, seconds: progress.advance(stage, seconds, summary)
            for result in results:
                if json:
                    terminal.print_json({"type": "frame", **result_to_json(result)})
                else:
                    terminal.out.print(terminal.result_line(result))
    except KeyboardInterrupt:
        kept = "; they are in " + ", ".join(map(str, summary.files)) if summary.files and summary.frames else ""
        terminal.notice(f"stopped after {summary.frames} frames of {summary.source}{kept}")
        raise
    if summary.fault:
        terminal.failure("ended early", summary.fault)
    elif not summary.frames:
        terminal.notice(f"{summary.source}: no picture of it is among those asked for by --every, --from and --to")
    if summary.damaged:
        terminal.notice(f"{summary.source}: damaged parts passed over: {summary.damaged}")


def _report(summaries: list[Summary], failures: list[str], *, json: bool) -> None:
    """All files in short, behind the last of them. Exit code 1 where one failed."""
    if json:
        for summary in summaries:
            terminal.print_json({"type": "summary", **asdict(summary), "files": [str(path) for path in summary.files]})
        for failure in failures:
            terminal.print_json({"type": "failure", "error": failure})
    elif summaries:
        terminal.print_table(terminal.summary_table(summaries))
        for path in (path for summary in summaries for path in summary.files):
            terminal.out.print(f"wrote {path}", markup=False)
        for failure in failures:
            terminal.failure("failed", failure)
    if failures or any(summary.failed or summary.fault for summary in summaries):
        raise typer.Exit(1)
