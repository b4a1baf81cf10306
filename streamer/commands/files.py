"""``streamer annotate`` and ``streamer export``: files in, answers in all formats out."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streamer import terminal
from streamer.addresses import redact
from streamer.commands.listing import listed_names
from streamer.commands.opening import check_readable, loaded_model
from streamer.commands.options import (
    Budget,
    Detect,
    Device,
    Dtype,
    GpusPerModel,
    Hwaccel,
    Json,
    Model,
    Models,
    ModelUrl,
    Part,
    Prompt,
    Quantize,
    RayAddress,
    Revision,
    Tasks,
    sampling_words,
    tasks_of,
)
from streamer.commands.reporting import Report
from streamer.commands.spreading import spread_model, spread_options
from streamer.errors import OptionError, OutputError, SourceError, StreamerError
from streamer.models import DEFAULT_MODEL

if TYPE_CHECKING:
    from streamer.identify import Track
    from streamer.models.base import VisionModel
    from streamer.sampling import Sampling
    from streamer.sources.finding import Found

Formats = Annotated[str, typer.Option(help="With commas: jsonl, mp4, srt, vtt, csv, parquet, coco, cvat, …; or all.")]

TrackBy = Annotated[
    str, typer.Option(help="Ids that last from frame to frame: by flow, by the boxes alone (boxes), or off.")
]


def annotate(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")],
    files: Annotated[list[str] | None, typer.Argument(help="Videos, pictures, folders or patterns.")] = None,
    model: Model = DEFAULT_MODEL,
    model_url: ModelUrl = None,
    budget: Budget = 280,
    every: Annotated[str, typer.Option(help="1s, '2 fps', 'every 5th', 'at 1,2.5', keyframes, scenes, all.")] = "1s",
    task: Tasks = None,
    prompt: Prompt = None,
    detect: Detect = None,
    formats: Formats = "jsonl,mp4",
    start: Annotated[float | None, typer.Option("--from", help="Seconds to begin at.")] = None,
    end: Annotated[float | None, typer.Option("--to", help="Seconds to end before.")] = None,
    recursive: Annotated[bool, typer.Option(help="Folders with all that is below; results keep their places.")] = False,
    summary: Annotated[bool, typer.Option(help="Chapters too, a sentence for each stretch of the video.")] = False,
    track: TrackBy = "flow",
    listed: Annotated[
        Path | None,
        typer.Option("--list", help="A text file with a name a line, as seen from here; - is standard input."),
    ] = None,
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
    ray: RayAddress = None,
    gpus_per_model: GpusPerModel = None,
    models: Models = None,
    part: Part = None,
    json: Json = False,
) -> None:
    """Caption and detect on the frames of files: a journal of JSON lines, an annotated video, other formats for each.
    Started again, a job goes on where it was."""
    from streamer.cluster.spread import run_class
    from streamer.filejob import AnnotateOptions
    from streamer.outputs.atomic import check_folder
    from streamer.outputs.formats import parse_formats
    from streamer.outputs.naming import output_names, told_apart
    from streamer.progress import job_progress

    if detect is not None and not detect.strip():
        raise OptionError("--detect", detect, 'names with commas between them, or "all"')
    options = AnnotateOptions(
        tasks=tasks_of(task, prompt, detect),
        sampling=_sampling(every, start, end),
        budget=budget,
        batch=batch,
        formats=parse_formats(formats),
        hwaccel=hwaccel,
        gate=gate,
        track=_track(track),
        restart=restart,
        summary=summary,
        workers=workers,
    )
    spread = spread_options(ray, gpus_per_model, models, part, url=model_url)
    report = Report(json=json)
    found = _found(files or (), listed, report, recursive=recursive)
    addresses = [one.address for one in found]
    report.titles = dict(zip(map(redact, addresses), told_apart(list(map(redact, addresses))), strict=True))
    jobs = list(zip(addresses, output_names(found, output), strict=True))
    if jobs := _from_first_readable(jobs, hwaccel, report):
        check_folder(output)
        jobs = _not_in_the_way(jobs, output, options.formats, report)
    if not jobs:
        report.end()
    loading: AbstractContextManager[VisionModel] = (
        loaded_model(model, url=model_url, device=device, dtype=dtype, quantize=quantize, revision=revision)
        if spread is None
        else spread_model(
            model, spread, url=model_url, device=device, dtype=dtype, quantize=quantize, revision=revision
        )
    )
    with (
        loading as loaded,
        job_progress(len(jobs), json=json, titles=report.titles) as progress,
        closing(iter(run_class(loaded)(jobs, loaded, options, output=output, progress=progress.advance))) as events,
    ):
        report.follow(events, progress)
    report.end()


def export(
    journals: Annotated[list[Path], typer.Argument(help="Journals that streamer annotate has written.")],
    formats: Formats,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder; the journal's own by default.")] = None,
    source: Annotated[str | None, typer.Option(help="Where the video is now, for formats with pictures.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Files that --output has already, too.")] = False,
    track: TrackBy = "flow",
    hwaccel: Hwaccel = None,
) -> None:
    """Write other formats from a journal, without the model."""
    from streamer.exporting import export as write
    from streamer.outputs.formats import parse_formats

    chosen, failed = parse_formats(formats), False
    journals = _different(journals, output)
    if source is not None and len(journals) > 1:
        raise OptionError("--source", source, "one journal beside it")
    for journal in journals:
        written: list[Path] = []
        try:
            write(
                journal,
                chosen,
                output=output,
                source=source,
                track=_track(track),
                hwaccel=hwaccel,
                overwrite=overwrite,
                wrote=written.append,
            )
        except StreamerError as error:
            terminal.failure("failed", error)
            failed = True
        except KeyboardInterrupt:
            terminal.notice(f"stopped while writing what is made of {journal}; no file is half-written")
            raise
        finally:
            if written:
                terminal.out.print(f"wrote {terminal.files_line(written, journal.stem)}", markup=False)
    if failed:
        raise typer.Exit(1)


def _different(journals: list[Path], output: Path | None) -> list[Path]:
    """Each once. Raises `OptionError` where two would be written into one folder under one name."""
    different = list({journal.resolve(): journal for journal in journals}.values())
    names: dict[str, Path] = {}
    for journal in different if output is not None else ():
        if (other := names.setdefault(journal.stem.casefold(), journal)) is not journal:
            expected = "journals of different names: beside --output each of these needs a folder of its own"
            raise OptionError("journals", f"{other} and {journal}", expected)
    return different


def _sampling(every: str, start: float | None, end: float | None) -> Sampling:
    """Raises `OptionError` with the option's name as it was written."""
    from streamer.sampling import Sampling

    try:
        sampling = Sampling.parse(sampling_words(every))
    except OptionError as error:
        raise OptionError("--every", every, error.expected) from error
    try:
        return sampling.between(sampling.start if start is None else start, sampling.end if end is None else end)
    except OptionError as error:
        option = {"start": "--from", "end": "--to"}[error.option]
        raise OptionError(option, error.value, error.expected.replace("the start", "--from")) from error


def _track(text: str) -> Track:
    from streamer.identify import TRACKS

    if text not in TRACKS:
        raise OptionError("track", text, ", ".join(TRACKS))
    return text


def _found(files: Iterable[str], listed: Path | None, report: Report, *, recursive: bool) -> list[Found]:
    """What the names mean. One of a list that means nothing fails alone; any other one raises `SourceError`."""
    from streamer.sources.finding import Search

    search = Search(recursive)
    for name in files:
        search.add(name)
    for name in () if listed is None else listed_names(listed):
        try:
            search.add(name)
        except SourceError as error:
            report.failed(error.address, error)
    if not search.found and listed is None:
        raise OptionError("files", "", "at least one video, picture, folder or pattern, or --list")
    for folder, count in search.left_out.items():
        left = terminal.count(count, "picture")
        terminal.notice(f"{folder}: there are videos in it, so {left} left out; a pattern such as *.jpg names pictures")
    return search.found


def _from_first_readable(jobs: list[tuple[str, str]], hwaccel: str | None, report: Report) -> list[tuple[str, str]]:
    """Without those at the beginning that cannot be read: no model is loaded where there is nothing for it."""
    for number, (address, _) in enumerate(jobs):
        try:
            check_readable(address, hwaccel)
        except SourceError as error:
            report.failed(redact(address), error)
        else:
            return jobs[number:]
    return []


def _not_in_the_way(
    jobs: list[tuple[str, str]], output: Path, formats: tuple[str, ...], report: Report
) -> list[tuple[str, str]]:
    """Without those that would overwrite something: that, too, is said before a model is loaded."""
    from streamer.outputs.targets import check_outputs

    free = []
    for address, name in jobs:
        try:
            check_outputs(output, name, formats)
        except OutputError as error:
            report.failed(redact(address), error)
        else:
            free.append((address, name))
    return free
