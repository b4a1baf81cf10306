"""The command line: each command reads its words, calls a public function and shows what comes back."""

from __future__ import annotations

import os
import signal
import sys
import threading
import webbrowser
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from importlib.metadata import version as package_version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from streamer import terminal
from streamer.errors import OptionError, StreamerError
from streamer.gemma.budget import check_budget
from streamer.models import DEFAULT_MODEL, load
from streamer.models.base import BUDGETS
from streamer.tasks import Task, parse_task

if TYPE_CHECKING:
    from streamer.annotate import AnnotateJob, Summary
    from streamer.models.base import VisionModel

app = typer.Typer(
    help="Watch any video with Gemma 4: captions and boxes on files and cameras.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)

Model = Annotated[str, typer.Option(help="Hub id, folder with a checkpoint, or tiny (drawn street scenes only).")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Dtype = Annotated[str, typer.Option(help="auto, bf16, fp32.")]
Quantize = Annotated[str | None, typer.Option(help="int8 or int4.")]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub model.")]


def _known(budget: int | list[int] | None) -> int | list[int] | None:
    """Refuses a budget before a model is loaded for it."""
    for value in budget if isinstance(budget, list) else [budget]:
        if value is not None:
            check_budget(value)
    return budget


Budget = Annotated[int, typer.Option(help="Image tokens a picture: 70, 140, 280, 560 or 1120.", callback=_known)]
Detect = Annotated[str | None, typer.Option(help='What to find, such as "person, car"; "all" for everything.')]
Prompt = Annotated[str | None, typer.Option(help="Your own words instead of the caption's.")]
Tasks = Annotated[
    list[str] | None, typer.Option("--task", help="caption, read, compare, detect:…, ask:…, check:…; may be repeated.")
]
Only = Annotated[list[int] | None, typer.Option(help="Only this budget; may be repeated.", callback=_known)]
Json = Annotated[bool, typer.Option("--json", help="JSON lines on standard output, for programs.")]


def _say_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="The version.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """What stands before the command."""


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    browser: Annotated[bool, typer.Option(help="Open the page.")] = True,
    video: Annotated[str | None, typer.Option(help="Another video than the sample.")] = None,
) -> None:
    """The whole way in a minute: tiny watches a drawn street and shows what it sees, without any download."""
    from streamer.streams import StreamSettings
    from streamer.watch import sample_video

    settings = StreamSettings(tasks=(Task.caption(), Task.detect()), budget=70, fps=2.0)
    address = video or str(sample_video())
    _check_there([address])
    with _loaded("tiny") as model:
        _serve([address], model, settings, port=port, browser=browser, loop=True)


@app.command()
def watch(
    sources: Annotated[list[str], typer.Argument(help="Cameras, streams, files: rtsp://…, http://…, webcam:0, FILE.")],
    model: Model = DEFAULT_MODEL,
    budget: Budget = 280,
    fps: Annotated[float, typer.Option(help="Frames analysed a second and source, at most.")] = 1.0,
    task: Tasks = None,
    prompt: Prompt = None,
    detect: Detect = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; a token is needed where others can reach it.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8000,
    token: Annotated[str | None, typer.Option(envvar="STREAMER_TOKEN", help="Made up where needed.")] = None,
    loop: Annotated[bool, typer.Option(help="Play files again and again.")] = False,
    browser: Annotated[bool, typer.Option(help="Open the page.")] = False,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantize: Quantize = None,
    revision: Revision = None,
    hwaccel: Annotated[str | None, typer.Option(help="Hardware decoding: auto, cuda, vaapi, videotoolbox.")] = None,
    udp: Annotated[bool, typer.Option(help="RTSP over UDP instead of TCP.")] = False,
) -> None:
    """Watch cameras, streams or files live in the browser."""
    from streamer.sources import LiveOptions
    from streamer.streams import StreamSettings

    settings = StreamSettings(tasks=_tasks(task, prompt, detect), budget=budget, fps=fps)
    live = LiveOptions(transport="udp" if udp else "tcp")
    _check_there(sources)
    with _loaded(model, device=device, dtype=dtype, quantize=quantize, revision=revision) as loaded:
        _serve(
            sources, loaded, settings, host=host, port=port, token=token, loop=loop, browser=browser, hwaccel=hwaccel,
            live=live,
        )  # fmt: skip


@app.command()
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
    batch: Annotated[int, typer.Option(help="Frames answered together.")] = 4,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantize: Quantize = None,
    revision: Revision = None,
    hwaccel: Annotated[str | None, typer.Option(help="Hardware decoding: auto, cuda, vaapi, videotoolbox.")] = None,
    json: Json = False,
) -> None:
    """Caption and detect on the frames of files: a journal of JSON lines and an annotated video for each."""
    from streamer.annotate import AnnotateJob, AnnotateOptions, output_names
    from streamer.sampling import Sampling
    from streamer.sources import expand

    sampling = Sampling.parse(_sampling_words(every))
    options = AnnotateOptions(
        tasks=_tasks(task, prompt, detect),
        sampling=sampling.between(sampling.start if start is None else start, sampling.end if end is None else end),
        budget=budget,
        batch=batch,
        formats=cast("Any", tuple(part.strip() for part in formats.split(",") if part.strip())),
        hwaccel=hwaccel,
    )
    found = expand(files, recursive=recursive)
    summaries: list[Summary] = []
    failures: list[str] = []
    with _loaded(model, device=device, dtype=dtype, quantize=quantize, revision=revision) as loaded:
        for address, name in zip(found, output_names(found), strict=True):
            try:
                job = AnnotateJob(address, loaded, options, output=output, name=name)
                _run_job(job, json=json)
                summaries.append(job.summary)
            except StreamerError as error:
                failures.append(str(error))
                terminal.failure("failed", error)
    _report(summaries, failures, json=json)


@app.command()
def ask(
    words: Annotated[list[str], typer.Argument(metavar="IMAGE… QUESTION", help="Pictures, then the question.")],
    model: Model = DEFAULT_MODEL,
    budget: Budget = 280,
    detect: Detect = None,
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantize: Quantize = None,
    revision: Revision = None,
    json: Json = False,
) -> None:
    """Ask about one picture, or about several together. With --detect there is no question."""
    from streamer.ask import ask as answer
    from streamer.outputs.jsonl import result_to_json

    images, question = (words, "") if detect is not None else (words[:-1], words[-1])
    if not images or Path(question).is_file():
        expected = 'one picture or more, then a question: streamer ask a.jpg "How many cars?"'
        raise OptionError("ask", " ".join(words), expected)
    task = Task.detect(detect) if detect is not None else Task.ask(question)
    _check_there(images)
    with _loaded(model, device=device, dtype=dtype, quantize=quantize, revision=revision) as loaded:
        result = answer(images, loaded, task, budget=budget)
    if json:
        terminal.print_json(result_to_json(result))
        return
    for note in result.notes.values():
        terminal.notice(note)
    if result.detections:
        terminal.print_table(terminal.detection_table(result))
    else:
        terminal.answer("nothing found" if detect is not None else result.answers[task.name])


@app.command()
def budgets(
    image: Annotated[str, typer.Argument(help="A picture, or a video for its first one.")],
    model: Model = DEFAULT_MODEL,
    detect: Detect = None,
    prompt: Prompt = None,
    budget: Annotated[
        list[int] | None, typer.Option(help="Only this budget; may be repeated.", callback=_known)
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The figure, PNG.")] = Path("budgets.png"),
    device: Device = "auto",
    dtype: Dtype = "auto",
    quantize: Quantize = None,
    revision: Revision = None,
    json: Json = False,
) -> None:
    """The same picture at every image-token budget: a table, and a figure with the answers side by side."""
    from PIL import Image

    from streamer.ask import budget_figure, compare_budgets
    from streamer.outputs.atomic import replacing
    from streamer.outputs.jsonl import result_to_json

    task = Task.caption(prompt) if prompt else Task.detect(detect or "all")
    _check_there([image])
    with _loaded(model, device=device, dtype=dtype, quantize=quantize, revision=revision) as loaded:
        picture, rows = compare_budgets(image, loaded, task, tuple(budget or BUDGETS), progress=_trying(json))
    with replacing(output) as temporary:
        Image.fromarray(budget_figure(picture, rows, note=loaded.caveat)).save(temporary, format="PNG")
    if json:
        for row in rows:
            values = {"budget": row.budget, "size": row.size, "seconds": round(row.seconds, 4)}
            terminal.print_json({**values, "result": result_to_json(row.result)})
        terminal.print_json({"figure": str(output)})
    else:
        terminal.print_table(terminal.budget_table(rows))
        terminal.out.print(f"figure: {output}", markup=False)


@app.command()
def doctor(json: Json = False) -> None:
    """What works on this machine, and what to do about what does not."""
    from streamer.doctor import examine

    missing = False
    for finding in examine():
        missing |= finding.verdict == "missing"
        if json:
            terminal.print_json(asdict(finding))
        else:
            terminal.out.print(terminal.finding_line(finding))
    if missing:
        raise typer.Exit(1)


@app.command()
def version() -> None:
    """The version."""
    terminal.out.print(f"streamer {package_version('streamer')}")


def main() -> None:
    """The console script. Exit codes: 0 all well, 1 something failed, 2 unusable words, 130 ended by Ctrl-C."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app(prog_name="streamer")
    except StreamerError as error:
        terminal.failure("error", error)
        code = 2 if isinstance(error, OptionError) else 1
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except KeyboardInterrupt:
        code = 130
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    _leave(code)


def _leave(code: int) -> None:
    if any(thread.name == "model" for thread in threading.enumerate()):
        # A thread that is still inside torch when the interpreter goes would abort the process.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _check_there(addresses: Iterable[str]) -> None:
    """Raises `SourceError` for names that mean nothing, before a model is loaded for them."""
    from streamer.sources import open_source

    for address in addresses:
        open_source(address).close()


def _tasks(texts: list[str] | None, prompt: str | None, detect: str | None) -> tuple[Task, ...]:
    """What ``--task``, ``--prompt`` and ``--detect`` ask for together; a caption where nothing is said."""
    tasks = [parse_task(text) for text in texts or ()]
    if prompt:
        tasks.append(Task.caption(prompt))
    if detect is not None:
        tasks.append(Task.detect(detect))
    return tuple(_distinct(tasks)) or (Task.caption(),)


def _distinct(tasks: list[Task]) -> Iterator[Task]:
    """Two questions of one kind get names of their own: ask, ask-2."""
    from dataclasses import replace

    seen: dict[str, int] = {}
    for task in tasks:
        seen[task.name] = seen.get(task.name, 0) + 1
        yield task if seen[task.name] == 1 else replace(task, name=f"{task.name}-{seen[task.name]}")


def _sampling_words(text: str) -> str:
    """``2s`` and ``0.5`` read as ``every 2 s`` and ``every 0.5 s``; all else as it is."""
    number = text.strip().lower().removesuffix("s").strip()
    try:
        float(number)
    except ValueError:
        return text
    return f"every {number} s"


@contextmanager
def _loaded(
    model: str,
    *,
    device: str = "auto",
    dtype: str = "auto",
    quantize: str | None = None,
    revision: str | None = None,
) -> Iterator[VisionModel]:
    chosen = cast("Literal['int8', 'int4'] | None", quantize)
    with terminal.loading(model) as progress:
        loaded = load(model, device=device, dtype=dtype, quantize=chosen, revision=revision, progress=progress)
    with loaded:
        if loaded.caveat:
            terminal.notice(loaded.caveat)
        yield loaded


def _serve(addresses: list[str], model: VisionModel, settings: Any, *, browser: bool, **options: Any) -> None:
    from streamer.watch import watch as watching

    with watching(addresses, model, settings, **options) as server:
        terminal.out.print(f"page: {server.url}", markup=False)
        terminal.out.print("[dim]Ctrl-C ends it.[/]")
        if browser:
            webbrowser.open(server.url)
        while not server.wait(0.5):
            pass


def _run_job(job: AnnotateJob, *, json: bool) -> None:
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
        kept = "; they are in " + ", ".join(map(str, summary.files)) if summary.files else ""
        terminal.notice(f"stopped after {summary.frames} frames of {summary.source}{kept}")
        raise
    if summary.fault:
        terminal.failure("ended early", summary.fault)
    if summary.damaged:
        terminal.notice(f"{summary.source}: damaged parts passed over: {summary.damaged}")


def _report(summaries: list[Summary], failures: list[str], *, json: bool) -> None:
    if json:
        for summary in summaries:
            terminal.print_json({"type": "summary", **asdict(summary), "files": [str(path) for path in summary.files]})
        for failure in failures:
            terminal.print_json({"type": "failure", "error": failure})
    elif summaries:
        terminal.print_table(terminal.summary_table(summaries))
        for path in (path for summary in summaries for path in summary.files):
            terminal.out.print(f"wrote {path}", markup=False)
    if failures or any(summary.failed or summary.fault for summary in summaries):
        raise typer.Exit(1)


def _trying(json: bool) -> Any:
    return None if json else lambda budget: terminal.err.print(f"[dim]budget {budget} …[/]")
