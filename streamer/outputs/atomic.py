"""Files that appear whole or not at all, and folders that are only replaced where they are our own.

A folder made here has a hidden file `OWN_MARKER` that names, one a line, what was written into it.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from streamer.errors import OutputError
from streamer.sources.finding import OWN_MARKER

_AWAY = "choose another folder, or move it away"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to, renamed to it at the end, removed where that is not reached.

    Raises `OutputError` where the folder cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """As `replacing`, for a folder: an empty one to fill, which takes the place of an earlier one at the end.

    Raises `OutputError` as `check_own_folder` does, too.
    """
    check_own_folder(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    old = path.with_name(f".{path.name}.{os.getpid()}.old")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        (temporary / OWN_MARKER).write_text(
            "".join(f"{name}\n" for name in sorted(_names(temporary))), encoding="utf-8"
        )
        check_own_folder(path)
        if path.exists():
            os.replace(path, old)
        os.replace(temporary, path)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        if old.exists() and not path.exists():
            os.replace(old, path)
        for left in (temporary, old):
            shutil.rmtree(left, ignore_errors=True)


def check_own_folder(path: Path) -> None:
    """Raises `OutputError` for what exists and was not made here, and for a folder into which others have put files."""
    if not os.path.lexists(path):
        return
    marker = path / OWN_MARKER
    try:
        if path.is_symlink() or not marker.is_file():
            raise OutputError(path, "it exists already, and streamer has not made it", _AWAY)
        known = {OWN_MARKER, *marker.read_text(encoding="utf-8", errors="replace").splitlines()}
    except OSError as error:
        raise _refused(path, error) from error
    strange = min(_names(path) - known, default=None)
    if strange is not None:
        raise OutputError(path, f"{strange} in it was not written by streamer", _AWAY)


def _names(folder: Path) -> set[str]:
    """All files and links below, as they are called from ``folder``."""
    found: set[str] = set()
    for here, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(here) / name).is_symlink()]
        found.update((Path(here) / name).relative_to(folder).as_posix() for name in (*files, *links))
    return found


def remove_leftovers(paths: Iterable[Path]) -> None:
    """Removes what runs that were killed have left beside ``paths`` under a temporary name."""
    for folder, wanted in _by_folder(paths).items():
        patterns = re.compile("|".join(wanted))
        with suppress(OSError):
            for entry in list(os.scandir(folder)):
                found = patterns.fullmatch(entry.name) if entry.name.startswith(".") else None
                if found is not None and not _runs(int(next(filter(None, found.groups())))):
                    _remove(Path(entry.path))


def _by_folder(paths: Iterable[Path]) -> dict[Path, list[str]]:
    """The patterns of the temporary names in each folder, the process's number in brackets."""
    patterns: dict[Path, list[str]] = {}
    for path in paths:
        stem, suffix, name = map(re.escape, (path.stem, path.suffix, path.name))
        patterns.setdefault(path.parent, []).append(rf"\.{stem}\.(\d+)\.part{suffix}|\.{name}\.(\d+)\.(?:part|old)")
    return patterns


def _runs(process: int) -> bool:
    if process == os.getpid():
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def check_folder(folder: Path) -> None:
    """Makes the folder where it is not there yet. Raises `OutputError` where no file can be put into it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise _refused(folder, error) from error


def _refused(path: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    for place in (path, *path.parents):
        if isinstance(error, FileExistsError | NotADirectoryError) and place.is_file():
            reason = "it is a file, no folder" if place == path else f"{place} is a file, no folder"
            break
    return OutputError(path, f"it cannot be written: {reason}", "choose a folder that is yours")
