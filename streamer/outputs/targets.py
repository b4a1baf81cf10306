"""Which files a job is going to write, and whether somebody else's lie in their place."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from streamer.errors import OutputError
from streamer.outputs.atomic import check_own_folder
from streamer.outputs.formats import FORMATS, files_of


def targets(folder: Path, name: str, formats: Iterable[str]) -> list[Path]:
    """All that these formats of the source called ``name`` may write into ``folder``."""
    suffixes = dict.fromkeys(suffix for each in formats for some in files_of(each) for suffix in some)
    return [folder / f"{name}{suffix.rstrip('/')}" for suffix in suffixes]


def check_free(paths: Iterable[Path], remedy: str = "choose another folder, or move it away") -> None:
    """Raises `OutputError` for the first of them that exists."""
    for path in paths:
        if os.path.lexists(path):
            raise OutputError(path, "it exists already, and would be overwritten", remedy)


def check_folders(folder: Path, name: str, formats: Iterable[str]) -> None:
    """Raises `OutputError` where a folder of these formats exists and is not our own."""
    suffixes = {suffix for each in formats for suffix in files_of(each)[0] if suffix.endswith("/")}
    for suffix in sorted(suffixes):
        check_own_folder(folder / f"{name}{suffix[:-1]}")


def newer(folder: Path, name: str, format_name: str, than: Path) -> list[Path]:
    """The format's files, where all of them are there and written later than ``than``; else none."""
    paths = [folder / f"{name}{suffix.rstrip('/')}" for suffix in files_of(format_name)[0]]
    try:
        moment = than.stat().st_mtime_ns
        return paths if all(path.stat().st_mtime_ns >= moment for path in paths) else []
    except OSError:
        return []


def check_outputs(output: Path, name: str, formats: Iterable[str]) -> None:
    """Raises `OutputError` where a job that has no journal yet would overwrite something, and where a folder that it
    is going to write is not its own."""
    formats = tuple(formats)
    journal, paths = output / f"{name}.jsonl", targets(output, name, formats)
    try:
        begun = journal.stat().st_size > 0
    except OSError:
        begun = False
    if not begun:
        check_free(paths)
    check_folders(output, name, formats)


def others_left(output: Path, name: str, formats: Iterable[str]) -> list[Path]:
    """Files of the formats that are not among these."""
    mine = set(targets(output, name, formats))
    others = targets(output, name, [each for each in FORMATS if each not in formats])
    return [path for path in others if path.exists() and path not in mine]
