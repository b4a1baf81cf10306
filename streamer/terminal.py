"""What the command line shows: progress, tables and notices. Results for programs go to standard output as JSON."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from streamer.results import Timings, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from streamer.doctor import Finding
    from streamer.filejob import Summary
    from streamer.outputs.base import Segment
    from streamer.pictures import BudgetRow
    from streamer.results import FrameResult

_NARROW = 80
"""On fewer columns than these rich would drop whole columns of a table; the terminal wraps the lines instead."""
_NO_LIMIT = 10_000
"""Columns of a table that nobody looks at on a terminal."""

out = Console(highlight=False, soft_wrap=True, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def print_json(value: Any) -> None:
    """One line of JSON on standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def notice(text: str) -> None:
    err.print(f"[yellow]note:[/] {escape(text)}")


def failure(what: str, reason: object) -> None:
    err.print(f"[red]{what}:[/] {escape(str(reason))}")


def answer(text: str) -> None:
    """What a model said, on standard output."""
    out.print(plain(text), markup=False)


def plain(text: str) -> str:
    """Without control characters: a model's words must not steer the terminal."""
    return "".join(char if char in "\n\t" or unicodedata.category(char) != "Cc" else "\ufffd" for char in text)


def print_table(table: Table) -> None:
    """Long cells are folded on a terminal that is wide enough for the others; elsewhere a row is a line."""
    folded = out.is_terminal and out.width >= _NARROW
    console = out if folded else Console(file=out.file, width=_NO_LIMIT, highlight=False, emoji=False)
    console.print(table)


@contextmanager
def loading(model: str) -> Iterator[Callable[[str, float | None], None]]:
    """Shows how a model is downloaded and loaded; gives the callback for it."""
    if not err.is_terminal:
        err.print(f"loading {escape(model)} …")
        yield lambda sentence, part: None
        return
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), console=err, transient=True) as bar:
        task = bar.add_task(f"loading {escape(model)}", total=None)
        yield lambda sentence, part: bar.update(
            task, description=escape(sentence), completed=part or 0, total=part and 1
        )


def result_line(result: FrameResult) -> str:
    """A frame's answers in one line for people, with rich markup."""
    parts = ["[dim]as before:[/]"] if result.reused else []
    parts += [f"[red]{escape(result.error)}[/]"] if result.error else []
    for name, answer in result.answers.items():
        if name == "detect":
            parts.append(f"[cyan]{escape(_labels(result))}[/]")
        elif not name.startswith("detect-"):  # all lists' boxes are in `detections`
            parts.append(escape(plain(" ".join(words(answer).split()))))
    parts += [f"[yellow]({escape(name)}: {escape(text)})[/]" for name, text in result.notes.items()]
    return f"[dim]{result.time_seconds:8.2f} s[/]  " + "  ·  ".join(parts)


def segment_line(segment: Segment) -> str:
    """A chapter in one line, with rich markup."""
    said = f"[red]{escape(segment.error)}[/]" if segment.error else escape(plain(" ".join(segment.text.split())))
    return f"[dim]{segment.start_seconds:8.2f} to {segment.end_seconds:.2f} s[/]  {said}"


def words(answer: Any) -> str:
    """Of a check its text, of a task with a schema the document."""
    if isinstance(answer, dict) and "text" in answer:
        return str(answer["text"])
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def _labels(result: FrameResult) -> str:
    """``2 car, person``, in the order in which they were first named."""
    counts = Counter(plain(detection.label) for detection in result.detections)
    return ", ".join(f"{count} {label}" if count > 1 else label for label, count in counts.items()) or "nothing"


def detection_table(result: FrameResult) -> Table:
    """What was found and where, in pixels of the upright picture."""
    table = _table("label", "x1", "y1", "x2", "y2")
    for detection in result.detections:
        corners = detection.box.to_pixels(*result.source_size)
        table.add_row(escape(plain(detection.label)), *map(str, corners))
    return table


def _table(text: str, *numbers: str) -> Table:
    """A column of text that is folded where it is long, and columns of numbers."""
    table = Table(box=None, pad_edge=False)
    table.add_column(text, overflow="fold", min_width=12)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def count(number: int, one: str) -> str:
    """``1 frame``, ``2 frames``."""
    return f"{number} {one}" if number == 1 else f"{number} {one}s"


def files_line(paths: Sequence[Path], name: str) -> str:
    """The first one's path, of others in its folder what they have behind ``name``: ``out/a.jsonl, .srt, .vtt``."""
    first, *others = paths
    shortened = [
        path.name.removeprefix(name) if path.parent == first.parent and path.name.startswith(name) else str(path)
        for path in others
    ]
    return ", ".join([str(first), *shortened])


def summary_table(summaries: Sequence[Summary], titles: Mapping[str, str]) -> Table:
    """``titles``: what the files are called here, by their addresses.

    ``frames/s``: answered, without the time that the annotated video took; ``drafted``: the share of output tokens
    that the last answer foretold; ``passes``: forwards a frame.
    """
    table = _table("file", "frames", "failed", "seconds", "frames/s", "tokens in/out", "drafted", "passes")
    for summary in summaries:
        usage = summary.usage
        table.add_row(
            escape(titles.get(summary.source) or Path(summary.source).name or summary.source),
            str(summary.frames),
            f"[red]{summary.failed}[/]" if summary.failed else "0",
            f"{summary.wall_seconds:.1f}",
            f"{summary.answered / max(1e-6, summary.answer_seconds):.2f}" if summary.answered else "–",
            f"{usage.image_tokens + usage.prompt_tokens}/{usage.output_tokens}" if summary.answered else "–",
            f"{usage.accepted_tokens / usage.output_tokens:.0%}" if usage.output_tokens else "–",
            f"{usage.forwards / summary.answered:.1f}" if summary.answered else "–",
        )
    return table


def stages_line(summaries: Sequence[Summary]) -> str:
    """What a frame of the run took on average, by stage; empty where none was answered."""
    answered = sum(summary.answered for summary in summaries)
    if not answered:
        return ""
    usage, timings = Usage(), Timings()
    for summary in summaries:
        usage, timings = usage + summary.usage, timings + summary.timings
    decoding, preparing, model = (
        f"{spent / answered:.1f} ms" for spent in (timings.decode_ms, timings.preprocess_ms, timings.model_ms)
    )
    tokens = f"{usage.image_tokens / answered:.0f} + {usage.prompt_tokens / answered:.0f}"
    stages = f"decoding {decoding}, preparing {preparing}, the model {model} with its batch"
    return f"a frame: {stages}; picture + prompt {tokens} tokens"


def budget_table(rows: Sequence[BudgetRow]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("budget", "size", "image tokens", "seconds", "boxes"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("answer", overflow="fold")
    for row in rows:
        found = row.result.detections
        said = plain(row.result.caption) if row.result.caption is not None else _labels(row.result)
        table.add_row(
            str(row.budget),
            f"{row.size[0]}x{row.size[1]}",
            str(row.result.usage.image_tokens),
            f"{row.seconds:.2f}",
            str(len(found)),
            escape(said),
        )
    return table


def finding_line(finding: Finding) -> str:
    mark = {"ok": "[green]ok     [/]", "note": "[yellow]note   [/]", "missing": "[red]missing[/]"}[finding.verdict]
    remedy = f"  [dim]→ {escape(finding.remedy)}[/]" if finding.remedy else ""
    return f"{mark} {escape(finding.subject):<18} {escape(finding.detail)}{remedy}"
