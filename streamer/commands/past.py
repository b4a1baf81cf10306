"""``streamer search``, ``streamer alerts`` and ``streamer excerpt``: what a live job has seen."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from streamer import terminal
from streamer.commands.options import Json
from streamer.errors import OptionError
from streamer.moments import parse_moment, shown

if TYPE_CHECKING:
    from streamer.history import Found, History

Config = Annotated[Path | None, typer.Option("--config", "-c", help="The job's streams.toml.")]
Data = Annotated[Path | None, typer.Option(help="The job's data folder; streamer-data by default.")]
Since = Annotated[str | None, typer.Option(help="2h, 7d, today, 2026-11-25T18:30, …")]
Until = Annotated[str | None, typer.Option(help="As --since.")]
Streams = Annotated[list[str] | None, typer.Option("--stream", help="Only this stream; may be repeated.")]


@contextmanager
def opened_history(config: Path | None, data: Path | None) -> Iterator[History]:
    """That of the job with this configuration or data folder, which may be running. Raises `OptionError` where there is
    none."""
    from streamer.configuration import DATA, Configuration, read_configuration
    from streamer.history import History, HistoryOptions

    job = read_configuration(config, to_run=False) if config is not None else Configuration(data=data or Path(DATA))
    folder = data or job.data or Path(DATA)
    if job.history_url is not None and "${" in job.history_url:
        raise OptionError("history_url", "***", "its variables in the environment")
    if job.history_url is None and not (folder / "history.sqlite").exists():
        raise OptionError("data", str(folder), "the data folder of a job that has run (--data or -c)")
    if job.pictures is not None and "${" in job.pictures:
        raise OptionError("pictures", job.pictures, "its variables in the environment")
    options = HistoryOptions(
        keep_days=job.keep_days, keep_alert_days=job.keep_alert_days, keep_bytes=round(job.keep_gib * 2**30)
    )
    with History(folder, job.history_url, pictures=job.pictures, options=options, check=False) as history:
        yield history


def known_streams(history: History, named: list[str] | None) -> list[str]:
    """Those that are named; all of the history where none is. Raises `OptionError` for one that it never had."""
    known = list(history.streams())
    if unknown := next((name for name in named or () if name not in known), None):
        raise OptionError("--stream", unknown, "a stream of this history: " + (", ".join(known) or "it has none yet"))
    return named or known


def moment(text: str | None, now: float) -> float | None:
    return None if text is None else parse_moment(text, now)


def search(
    words: Annotated[
        list[str] | None, typer.Argument(help='Words that must all be there; "several words" together.')
    ] = None,
    stream: Streams = None,
    label: Annotated[list[str] | None, typer.Option(help="Seen in the picture; may be repeated.")] = None,
    rule: Annotated[str | None, typer.Option(help="While an alert of this rule went on.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 20,
    config: Config = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Search what a live job has seen: captions, answers, labels and read text, newest first."""
    now = time.time()
    with opened_history(config, data) as history:
        if stream:
            known_streams(history, stream)
        found = history.search(
            " ".join(words or ()),
            streams=stream,
            labels=label or (),
            rule=rule,
            since=moment(since, now),
            until=moment(until, now),
            limit=limit,
        )
        for one in found:
            if as_json:
                terminal.print_json(_document(one))
            else:
                _tell(one, history)
        if not found and not as_json:
            terminal.notice("nothing was found")


def _tell(one: Found, history: History) -> None:
    picture = f"  {history.picture_path(one.picture)}" if one.picture else ""
    terminal.answer(f"{shown(one.at)}  {one.stream}  {one.snippet or one.caption or ''}{picture}")


def _document(one: Found) -> dict[str, Any]:
    from streamer.outputs.jsonl import result_to_json

    return {
        "id": one.id,
        "at": one.at,
        "until": one.until,
        "stream": one.stream,
        "picture": one.picture,
        "snippet": one.snippet,
        "result": result_to_json(one.result),
    }


def alerts(
    stream: Annotated[str | None, typer.Option(help="Only of this stream.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only of this rule.")] = None,
    since: Since = None,
    until: Until = None,
    open_only: Annotated[bool, typer.Option("--open", help="Only those that go on.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 20,
    config: Config = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """List the alerts of a live job, newest first."""
    now = time.time()
    with opened_history(config, data) as history:
        found = history.alerts(
            stream=stream,
            rule=rule,
            since=moment(since, now),
            until=moment(until, now),
            open_only=open_only,
            limit=limit,
        )
    if as_json:
        for alert in found:
            terminal.print_json(alert.document())
        return
    table = Table("began", "for", "stream", "rule", "severity", "what", "acknowledged", box=None)
    for alert in found:
        lasted = "goes on" if alert.ended_at is None else f"{alert.ended_at - alert.started_at:.0f} s"
        words = alert.description or alert.reason or alert.title
        cells = (shown(alert.started_at), lasted, alert.stream, alert.rule, alert.severity, words)
        table.add_row(*(terminal.plain(cell) for cell in cells), alert.acknowledged_by or "")
    if found:
        terminal.print_table(table)
    else:
        terminal.notice("there is no alert")


def excerpt(
    stream: Annotated[str, typer.Argument(help="Name of the stream.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder.")],
    formats: Annotated[str, typer.Option(help="As annotate takes them, but mp4; jsonl is always written.")] = "jsonl",
    since: Since = None,
    until: Until = None,
    corrected: Annotated[
        bool, typer.Option("--corrected", help="What people corrected in place of the model's answers.")
    ] = False,
    only_corrected: Annotated[
        bool, typer.Option("--only-corrected", help="Only pictures whose answers somebody corrected, as corrected.")
    ] = False,
    config: Config = None,
    data: Data = None,
) -> None:
    """Write a part of what a live job has seen as a dataset: pictures, and the formats of annotate."""
    from streamer.exporting import export
    from streamer.history.excerpt import excerpt_formats, write_excerpt

    names = excerpt_formats(formats)
    now = time.time()
    with opened_history(config, data) as history:
        written = write_excerpt(
            history,
            stream,
            output,
            since=moment(since, now),
            until=moment(until, now),
            corrected="only" if only_corrected else "yes" if corrected else "no",
        )
    if written.left_out:
        terminal.notice(f"{written.left_out} results have no picture or no answer, and are left out")
    terminal.out.print(f"wrote {written.journal} ({written.rows} pictures)", markup=False)
    export(written.journal, names, track="off", wrote=lambda path: terminal.out.print(f"wrote {path}", markup=False))
