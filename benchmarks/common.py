"""What every benchmark here shares: the machine, the versions, ``--quick`` and ``--json``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))  # the scene generator

PACKAGES = ("streamer", "torch", "transformers", "av", "numpy")


def arguments(description: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a fraction of the work, to see that it runs")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    return parser


def machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def report(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    as_json: bool,
    notes: Mapping[str, Any] | None = None,
    more_versions: Mapping[str, str] | None = None,
) -> None:
    """The rows as a table with the machine under it, or everything as one JSON object."""
    versions = {name: version(name) for name in PACKAGES} | dict(more_versions or {})
    if as_json:
        everything = {"benchmark": title, "machine": machine(), "versions": versions, "notes": notes or {}}
        print(json.dumps({**everything, "rows": list(rows)}))
        return
    table = Table(*rows[0].keys(), title=title, box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*(f"{value:.3g}" if isinstance(value, float) else str(value) for value in row.values()))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    console.print(table)
    for name, value in {**(notes or {}), **machine(), **versions}.items():
        console.print(f"[dim]{name}: {value}[/]")
