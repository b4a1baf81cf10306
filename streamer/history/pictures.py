"""Pictures and clips: files in folders by day and stream, under names that lead nowhere else."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from streamer.errors import HistoryError, OptionError

Kind = Literal["pictures", "clips"]
ENDINGS: dict[Kind, str] = {"pictures": "jpg", "clips": "mp4"}
LEFT_OVER_SECONDS = 3600.0
"""Files younger than this may still be being written, or wait for their row."""

_NAME = re.compile(r"(?P<day>\d{8})_(?P<stream>[a-z0-9-]{1,40})_\d{9}_[0-9a-f]{8}\.(?P<ending>jpg|mp4)", re.ASCII)
_PART = ".part"


class Shelf:
    """The folders ``pictures`` and ``clips`` of a history.

    A name says its place (``20250131_gate-5f2b1c_101530250_9ab3c4d2.jpg``: the day, the stream, the time, in UTC), so
    that it is one word in an address of a page and cannot name anything outside.
    """

    def __init__(self, folder: Path) -> None:
        """Raises `HistoryError` where the folder cannot be written."""
        self._folder = folder
        try:
            for kind in ENDINGS:
                (folder / kind).mkdir(parents=True, exist_ok=True)
            self.home = _home(folder / ".home")
            """Sets this folder's files apart from those of other programs on the same PostgreSQL."""
        except OSError as error:
            raise self._refused(folder, error) from error

    def new_name(self, kind: Kind, stream: str, at: float) -> str:
        """For a file of that stream captured at Unix seconds ``at``. Raises `OptionError` for no time."""
        try:
            moment = datetime.fromtimestamp(at, UTC)
        except (OverflowError, ValueError, OSError) as error:
            raise OptionError("at", at, "Unix seconds") from error
        clock = f"{moment:%H%M%S}{moment.microsecond // 1000:03d}"
        day = f"{moment.year:04d}{moment:%m%d}"
        return f"{day}_{stream_key(stream)}_{clock}_{secrets.token_hex(4)}.{ENDINGS[kind]}"

    def save(self, name: str, data: bytes, *, durable: bool = False) -> None:
        """Whole or not at all; ``durable``: also if the power fails afterwards. Raises `HistoryError`."""
        path = self.path("pictures", name)
        try:
            try:
                _write(path, data, durable)
            except FileNotFoundError:  # the folder was just removed for being empty
                _write(path, data, durable)
        except OSError as error:
            raise self._refused(path, error) from error

    def prepare(self, name: str) -> Path:
        """The path for a new clip, in a folder that is there. Raises `HistoryError`."""
        path = self.path("clips", name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._refused(path, error) from error
        return path

    def path(self, kind: Kind, name: str) -> Path:
        """Where that file is, or would be. Raises `OptionError` for what `new_name` cannot have given."""
        parts = _NAME.fullmatch(name)
        if parts is None or parts["ending"] != ENDINGS[kind]:
            raise OptionError(kind.removesuffix("s"), name[:100], "a name that the history has given")
        return self._folder / kind / parts["day"] / parts["stream"] / name

    def read(self, name: str) -> bytes:
        """Raises `OptionError` for a picture that is not kept, `HistoryError` where it cannot be read."""
        path = self.path("pictures", name)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise OptionError("picture", name, "one that is still kept") from None
        except OSError as error:
            raise self._refused(path, error) from error

    def size(self, name: str) -> int | None:
        """Bytes of a picture or clip; None where there is no such file."""
        try:
            return self._place(name).stat().st_size
        except OSError:
            return None

    def remove(self, names: Iterable[str]) -> None:
        """Those that are not there are passed over. Raises `HistoryError`."""
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
            for day in (self._folder / kind).glob("[0-9]*"):
                for folder in (*day.glob("*"), day) if day.name < newest else ():
                    with suppress(OSError):  # not empty
                        folder.rmdir()

    def old_names(self) -> Iterator[str]:
        """All files that could be left over. Parts of files that old are removed, files of others are not touched."""
        youngest = time.time() - LEFT_OVER_SECONDS
        for kind in ENDINGS:
            for path in (self._folder / kind).glob("*/*/*"):
                with suppress(OSError):
                    if path.stat().st_mtime > youngest:
                        continue
                    name = path.name.removeprefix(".").removesuffix(_PART)
                    if name != path.name and _NAME.fullmatch(name):
                        path.unlink()
                    elif _NAME.fullmatch(path.name):
                        yield path.name

    def _place(self, name: str) -> Path:
        return self.path("clips" if name.endswith(ENDINGS["clips"]) else "pictures", name)

    def _refused(self, path: Path, error: OSError) -> HistoryError:
        reason = f"{path.name} cannot be written or read: {error.strerror or error}"
        return HistoryError(self._folder, reason, "is there room, and are the folder and its files yours?")


def stream_key(stream: str) -> str:
    """Letters, digits and hyphens, another word for every stream whatever it is called.

    >>> stream_key("Front Gate / 2")
    'front-gate-2-6ed1f2'
    """
    slug = re.sub(r"[^a-z0-9]+", "-", stream.lower(), flags=re.ASCII).strip("-")[:24].strip("-")
    digest = hashlib.sha256(stream.encode(errors="surrogatepass")).hexdigest()[:6]
    return f"{slug}-{digest}" if slug else digest


def _write(path: Path, data: bytes, durable: bool) -> None:
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
