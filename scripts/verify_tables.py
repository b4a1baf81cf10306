"""What `verify_gpu.py` prints of its report."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_report(report: Mapping[str, Any]) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 132)
    sections = report["sections"]
    for line in _head(report):
        console.print(Text(line))
    for title, columns, rows in (
        ("examples", ("example", "budget", "tokens", "s", "answer"), map(_example, _rows(sections, "examples"))),
        ("as generate", ("case", "answers", "equal", "near ties", "accepted", "forwards"),
         map(_case, _rows(sections, "equality"))),
        ("speed: measured / best (ms)", ("budget", "batch", "picture", "prefill", "step", "of best", "frames/s",
         "with drafts", "peak MiB"), map(_speed, _rows(sections, "speed"))),
    ):  # fmt: skip
        table = Table(*columns, title=title, title_justify="left", box=None, pad_edge=False)
        for column in table.columns[1:-1] if title == "examples" else table.columns[1:]:
            column.justify = "right"
        for row in rows:
            table.add_row(*map(Text, row))
        if table.row_count:
            console.print()
            console.print(table)
    console.print()
    for line in _findings(sections):
        console.print(Text(line))


def _rows(sections: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    rows: Sequence[Mapping[str, Any]] = sections.get(name, {}).get("rows", ())
    return rows


def _head(report: Mapping[str, Any]) -> Iterator[str]:
    load, rates = report["sections"].get("load", {}), report["sections"].get("rates", {})
    if "dtype" in load:
        yield (
            f"{load['name']}: {load['parameters'] / 1e6:,.1f} M parameters, {load['dtype']} on {load['device']}, "
            f"{load['step_bytes'] / 1e9:.3g} GB read a step"
        )
    if "origin" in rates:
        yield (
            f"{rates['device']}, {rates['origin']}: {rates['bandwidth'] / 1e9:,.0f} GB/s, "
            f"{rates['flops'] / 1e12:,.3g} TFLOP/s (measured: {rates['measured_bandwidth'] / 1e9:,.0f} GB/s, "
            f"{rates['measured_flops'] / 1e12:,.3g} TFLOP/s)"
        )
    if "description" in (pictures := report["sections"].get("pictures", {})):
        yield f"pictures: {pictures['description']}"


def _example(row: Mapping[str, Any]) -> tuple[str, ...]:
    if "answer" not in row:
        return row["example"], str(row["budget"]), "", "", row["error"] or f"skipped: {row['skipped']}"
    answer = " ".join(row["answer"].split())
    if "boxes" in row:
        answer = f"{row['boxes']} boxes"
        if "objects" in row:
            answer += f", {row['found']} of {row['objects']} things found"
        if row["problem"]:
            answer += f" ({row['problem']})"
    if row["error"]:
        answer = f"{row['error']}: {answer}"
    return row["example"], str(row["budget"]), str(row["image_tokens"]), f"{row['seconds']:.2f}", answer


def _case(row: Mapping[str, Any]) -> tuple[str, ...]:
    accepted = f"{row['accepted_tokens']} of {row['drafted_tokens']}"
    return row["case"], str(row["answers"]), str(row["equal"]), str(row["near_ties"]), accepted, str(row["forwards"])


def _speed(row: Mapping[str, Any]) -> tuple[str, ...]:
    if "skipped" in row:
        return str(row["budget"]), str(row["batch"]), "skipped"
    pairs = [f"{row[name]:.3g} / {row['best'][name]:.3g}" for name in ("picture_ms", "prefill_ms", "step_ms")]
    return (
        str(row["budget"]), str(row["batch"]), *pairs, f"{row['step_of_best']:.0%}", f"{row['frames_per_second']:.3g}",
        f"{row['frames_per_second_with_drafts']:.3g}", f"{row['peak_mib']:,.0f}",
    )  # fmt: skip


def _findings(sections: Mapping[str, Any]) -> Iterator[str]:
    """What went wrong or was left out, and the verdict."""
    for row in _rows(sections, "equality"):
        for found in row["differences"]:
            kind = "near tie" if found["near_tie"] else "DIFFERENT"
            apart = f", {found['ours_behind_best']:.3g} behind the best" if "ours_behind_best" in found else ""
            yield f"{kind}: {row['case']}, token {found['token']}{apart}"
    for row in _rows(sections, "speed"):
        if "skipped" in row:
            yield f"skipped: budget {row['budget']}, batch {row['batch']}: {row['skipped']}"
    for name, section in sections.items():
        if section["error"]:
            yield f"FAILED: {name}: {section['error']}"
    failed = [name for name, section in sections.items() if not section["ok"]]
    yield "not all is well: " + ", ".join(failed) if failed else "all is well"
