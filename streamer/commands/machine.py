"""``streamer doctor`` and ``streamer version``: what is installed here and whether it works."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version as package_version

import typer

from streamer import terminal
from streamer.commands.options import Json


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


def version() -> None:
    """The version."""
    terminal.out.print(f"streamer {package_version('streamer')}")
