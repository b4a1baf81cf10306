"""The command line in a test: in this process, or in one of its own that hears Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """Standard error without the line ends and frames of a narrow terminal."""
        return " ".join(self.err.replace("│", " ").split())

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Ended]


def start(*words: object) -> subprocess.Popen[str]:
    """The command in a process of its own, which hears Ctrl-C even where this one does not."""
    return subprocess.Popen(
        [sys.executable, "-m", "streamer", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def end(process: subprocess.Popen[str], number: signal.Signals) -> tuple[float, str]:
    """Seconds until it ended, and what it said on standard error."""
    started = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    return time.monotonic() - started, said


def next_frame(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The next row about a frame on its standard output."""
    assert process.stdout is not None
    rows = (json.loads(line) for line in iter(process.stdout.readline, ""))
    return next(row for row in rows if row["type"] != "progress")
