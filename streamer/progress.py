"""How far a job over files is: bars on a terminal, a line now and then elsewhere, events for programs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn

from streamer import terminal

if TYPE_CHECKING:
    from streamer.filejob import Summary

PLAIN_EVERY_SECONDS = 5.0
"""How often a line of progress is written where the output is no terminal."""
EVENT_EVERY_SECONDS = 1.0


class JobProgress(Protocol):
    """Hears of the files of a job, from any thread."""

    def advance(self, summary: Summary, stage: str, media_seconds: float) -> None:
        """A file is in that stage (``answers``, or a format's name), at that media time."""

    def done(self, summary: Summary | None) -> None:
        """One file more is finished, or given up (None: before it was begun)."""

    def say(self, text: str) -> None:
        """A line of rich markup on standard output, above the bars where they are on the same terminal."""


@contextmanager
def job_progress(files: int, *, json: bool, titles: Mapping[str, str]) -> Iterator[JobProgress]:
    """For a job over so many files. ``titles``: what they are called here, by their addresses."""
    if json:
        yield _Events()
    elif not terminal.err.is_terminal:
        yield _Lines(files, titles)
    else:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=terminal.err, transient=True) as bars:
            yield _Bars(bars, files, titles)


class _Bars:
    """One for each file that something is done with, below them one for all."""

    def __init__(self, bars: Progress, files: int, titles: Mapping[str, str]) -> None:
        self._bars, self._files, self._finished, self._titles = bars, files, 0, titles
        self._tasks: dict[tuple[int, str], TaskID] = {}
        self._all = bars.add_task(f"{files} files", total=files, note="") if files > 1 else None

    def advance(self, summary: Summary, stage: str, media_seconds: float) -> None:
        key = (id(summary), stage)
        if key not in self._tasks:
            self._drop(id(summary))
            name = escape(_title(summary, self._titles))
            title = name if stage == "answers" else f"{name}: {stage}"
            self._tasks[key] = self._bars.add_task(title, total=summary.duration_seconds, note="")
        note = _pace(summary) if stage == "answers" else ""
        self._bars.update(self._tasks[key], completed=media_seconds, note=note)
        if self._all is not None and stage == "answers":
            self._bars.update(self._all, completed=self._finished + _part(summary, media_seconds))

    def done(self, summary: Summary | None) -> None:
        self._finished += 1
        self._drop(id(summary))
        if self._all is not None:
            self._bars.update(self._all, completed=self._finished, note=f"{self._finished} done")

    def say(self, text: str) -> None:
        # The bars have to know of what is written on their terminal: they move the cursor up over what they drew.
        console = self._bars.console if terminal.out.is_terminal else terminal.out
        console.print(text)

    def _drop(self, summary: int) -> None:
        """The file's stage before this one is over."""
        for key in [key for key in self._tasks if key[0] == summary]:
            self._bars.remove_task(self._tasks.pop(key))


class _Lines:
    def __init__(self, files: int, titles: Mapping[str, str]) -> None:
        self._files, self._finished, self._titles = files, 0, titles
        self._next = time.monotonic() + PLAIN_EVERY_SECONDS

    def advance(self, summary: Summary, stage: str, media_seconds: float) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PLAIN_EVERY_SECONDS
        of = f" of {summary.duration_seconds:.1f}" if summary.duration_seconds else ""
        parts = [f"{_title(summary, self._titles)}: {stage}, {media_seconds:.1f}{of} s"]
        if stage == "answers":
            parts.append(_pace(summary))
            left = left_seconds(summary)
            parts += [f"{left:.0f} s left"] if left is not None else []
        if self._files > 1:
            parts.append(f"{self._finished} of {self._files} files done")
        terminal.err.print(escape(", ".join(parts)))

    def done(self, summary: Summary | None) -> None:
        self._finished += 1

    def say(self, text: str) -> None:
        terminal.out.print(text)


class _Events:
    def __init__(self) -> None:
        self._next = time.monotonic() + EVENT_EVERY_SECONDS

    def advance(self, summary: Summary, stage: str, media_seconds: float) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + EVENT_EVERY_SECONDS
        terminal.print_json(
            {
                "type": "progress",
                "source": summary.source,
                "stage": stage,
                "media_seconds": media_seconds,
                "duration_seconds": summary.duration_seconds,
                "frames": summary.frames,
                "failed": summary.failed,
                "frames_per_second": round(frames_per_second(summary), 3),
                "left_seconds": left_seconds(summary),
            }
        )

    def done(self, summary: Summary | None) -> None:
        """The summaries say so."""

    def say(self, text: str) -> None:
        """Words are for people."""


def _title(summary: Summary, titles: Mapping[str, str]) -> str:
    return titles.get(summary.source) or Path(summary.source).name or summary.source


def frames_per_second(summary: Summary) -> float:
    """Answered in this run."""
    return summary.answered / max(1e-6, summary.answer_seconds)


def left_seconds(summary: Summary) -> float | None:
    """Until the file's last answer, by the pace so far; None where the file does not say how long it is."""
    done = summary.media_seconds - summary.begun_seconds
    if summary.duration_seconds is None or done <= 0:
        return None
    return max(0.0, (summary.duration_seconds - summary.media_seconds) * summary.answer_seconds / done)


def _pace(summary: Summary) -> str:
    seconds = max(1e-6, summary.answer_seconds)
    done = max(0.0, summary.media_seconds - summary.begun_seconds)
    pace = f"{frames_per_second(summary):.2f} frames/s, {done / seconds:.1f} x real time"
    return f"{pace}, {summary.failed} failed" if summary.failed else pace


def _part(summary: Summary, media_seconds: float) -> float:
    return min(1.0, media_seconds / summary.duration_seconds) if summary.duration_seconds else 0.0
