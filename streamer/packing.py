"""A part of the history as one ZIP file: what ``streamer excerpt`` writes, to be given out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from streamer.errors import OutputError
from streamer.exporting import export
from streamer.history.excerpt import write_excerpt
from streamer.outputs.archive import write_archive

if TYPE_CHECKING:
    from streamer.history.search import Corrected
    from streamer.history.store import History


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of the history."""

    stream: str
    since: float | None
    """Unix seconds."""
    until: float | None
    formats: Sequence[str]
    corrected: Corrected
    most: int
    """Results."""


@dataclass(frozen=True, slots=True)
class Packed:
    """An excerpt in one file, which has no name on the disk and goes when it is closed."""

    file: IO[bytes]
    """At its start."""
    stem: str
    """What it is to be called, without its ending."""
    bytes: int
    rows: int
    left_out: int
    """Results without a picture, or with a fault."""


def pack_excerpt(
    history: History,
    wanted: Wanted,
    scratch: Path | None,
    *,
    caveats: Mapping[str, str],
    step: Callable[[], None],
) -> Packed:
    """Made in a folder in ``scratch`` (None: the system's own), which is gone when this returns or raises.

    ``step`` is called again and again, and may raise to call it off. Raises what `write_excerpt` and `export` raise.
    """
    try:
        if scratch is not None:
            scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix="excerpt-", dir=scratch, ignore_cleanup_errors=True) as folder:
            return _packed(history, wanted, Path(folder), scratch, caveats, step)
    except OSError as error:
        raise OutputError("excerpt", error.strerror or str(error), "is there room on the disk?") from error


def _packed(
    history: History,
    wanted: Wanted,
    folder: Path,
    scratch: Path | None,
    caveats: Mapping[str, str],
    step: Callable[[], None],
) -> Packed:
    written = write_excerpt(
        history,
        wanted.stream,
        folder,
        since=wanted.since,
        until=wanted.until,
        caveats=caveats,
        corrected=wanted.corrected,
        most=wanted.most,
        wrote=step,
    )
    export(written.journal, wanted.formats, track="off", progress=lambda name, seconds: step())
    file = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - whoever gets it closes it
    try:
        write_archive(file, folder, sorted(folder.iterdir()), step)
        size = file.tell()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return Packed(file, written.journal.stem, size, written.rows, written.left_out)
