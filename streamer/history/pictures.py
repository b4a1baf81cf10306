"""Pictures and clips: files in folders by day and stream."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from streamer.errors import HistoryError, OptionError
from streamer.history.names import ENDINGS, Kind, is_name, kind_of, place
from streamer.history.shelf import Shelf

LEFT_OVER_SECONDS = 3600.0
"""Files younger than this may still be being written, or wait for their row."""

_PART = ".part"


class FolderShelf(Shelf):
    """The folders ``pictures`` and ``clips`` of a folder, which may be one that several machines share."""

    def __init__(self, folder: Path) -> None:
        """Raises `HistoryError` where the folder cannot be written."""
        self._folder = folder
        self.address = str(folder)
        try:
            for kind in ENDINGS:
                (folder / kind).mkdir(parents=True, exist_ok=True)
            self.home = _home(folder / ".home")
        except OSError as error:
            raise self._refused(folder, error) from error

    def check(self) -> None:
        """It was when it was opened."""

    def save(self, name: str, data: bytes, *, durable: bool = False) -> None:
        path = self.path("pictures", name)
        try:
            try:
                write_whole(path, data, durable)
            except FileNotFoundError:  # the folder was just removed for being empty
                write_whole(path, data, durable)
        except OSError as error:
            raise self._refused(path, error) from error

    def prepare(self, name: str) -> Path:
        path = self.path("clips", name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._refused(path, error) from error
        return path

    def draft(self, name: str) -> Path:
        return self.path("clips", name)

    def finish(self, name: str) -> None:
        """It is where it belongs."""

    def path(self, kind: Kind, name: str) -> Path:
        """Where that file is, or would be. Raises `OptionError` for what `new_name` cannot have given."""
        return self._folder.joinpath(*place(kind, name))

    def here(self, name: str) -> Path | None:
        path = self._place(name)
        return path if path.is_file() else None

    def where(self, name: str) -> str:
        return str(self._place(name))

    def read(self, name: str) -> bytes:
        path = self.path("pictures", name)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise OptionError("picture", name, "one that is still kept") from None
        except OSError as error:
            raise self._refused(path, error) from error

    def part(self, name: str, start: int, stop: int) -> bytes:
        path = self.path("clips", name)
        try:
            with path.open("rb") as file:
                file.seek(start)
                return file.read(stop - start)
        except FileNotFoundError:
            raise OptionError("clip", name, "one that is still kept") from None
        except OSError as error:
            raise self._refused(path, error) from error

    def size(self, name: str) -> int | None:
        try:
            return self._place(name).stat().st_size
        except OSError:
            return None

    def missing(self, names: Collection[str]) -> set[str]:
        return {name for name in names if self.size(name) is None}

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            path = self._place(name)
            try:
                path.unlink(missing_ok=True)
            except NotADirectoryError:
                continue
            except OSError as error:
                raise self._refused(path, error) from error

    def remove_folders(self) -> None:
        """Those that are empty, but for newer days: somebody may be about to write a clip there."""
        newest = f"{datetime.now(UTC) - timedelta(days=2):%Y%m%d}"
        for kind in ENDINGS:
            for day in _inside(self._folder / kind):
                for folder in (*_inside(day), day) if day.name < newest else ():
                    with suppress(OSError):  # not empty
                        folder.rmdir()

    def old_names(self) -> Iterator[str]:
        """Parts of files that old are removed, files of others are not touched."""
        youngest = time.time() - LEFT_OVER_SECONDS
        for kind in ENDINGS:
            streams = (stream for day in _inside(self._folder / kind) for stream in _inside(day))
            for path in (path for stream in streams for path in _inside(stream)):
                with suppress(OSError):
                    if path.stat().st_mtime > youngest:
                        continue
                    name = path.name.removeprefix(".").removesuffix(_PART)
                    if name != path.name and is_name(name):
                        path.unlink()
                    elif is_name(path.name):
                        yield path.name

    def _place(self, name: str) -> Path:
        return self.path(kind_of(name), name)

    def _refused(self, path: Path, error: OSError) -> HistoryError:
        reason = f"{path.name} cannot be written or read: {error.strerror or error}"
        return HistoryError(self._folder, reason, "is there room, and are the folder and its files yours?")


def _inside(folder: Path) -> list[Path]:
    """Nothing of what is no folder, or none any longer: people put things here, and others tidy up as well."""
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def write_whole(path: Path, data: bytes, durable: bool) -> None:
    """The file appears when it is whole. Raises `OSError`."""
    temporary = path.with_name(f".{path.name}{_PART}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _home(path: Path) -> str:
    """Written once, by whichever program is first."""
    with suppress(FileExistsError), path.open("x", encoding="ascii") as file:
        file.write(secrets.token_hex(8))
    for _ in range(20):
        if home := path.read_text(encoding="ascii"):
            return home
        time.sleep(0.05)  # another program has made it and is about to write it
    return "-"
