"""Pictures and clips in a store elsewhere: sent later; what may not be lost is on this machine's disk until then."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

from streamer.errors import HistoryError, OptionError
from streamer.history.filesystem import FileSystem
from streamer.history.names import ENDINGS, is_name, kind_of, place
from streamer.history.pictures import write_whole
from streamer.history.shelf import Shelf
from streamer.history.uploading import Data, Uploads

QUEUE, QUEUE_BYTES = 1000, 64 * 2**20
"""Pictures of results that may wait in memory; then the oldest is dropped."""
DISK_BYTES = 2 * 2**30
"""Of alerts' snapshots and clips that may wait on this machine's disk; then new ones are refused, and alerts say so."""
DAYS_LEFT_ALONE = 2
"""Files of these days may be without a row yet."""


class RemoteShelf(Shelf):
    """Keys are ``pictures/DAY/STREAM/NAME`` and ``clips/…``, below the store's address.

    Pictures of results are sent from memory, the oldest is dropped where too many wait. Snapshots and clips of alerts
    are written to ``folder`` first, and stay there until they are sent, also over a restart.
    """

    is_local = False

    def __init__(self, files: FileSystem, folder: Path, *, disk_bytes: int = DISK_BYTES) -> None:
        self._files, self._folder, self._disk_bytes = files, folder, disk_bytes
        self.address = files.address
        self.home = hashlib.blake2b(self.address.encode(), digest_size=8).hexdigest()
        self._uploads = Uploads(self._send, most=QUEUE, most_bytes=QUEUE_BYTES)
        self._listed: tuple[str, frozenset[str]] = ("", frozenset())
        self._listing = threading.Lock()

    def check(self) -> None:
        self._files.check()

    # -- writing

    def start(self) -> None:
        """Snapshots and clips that an earlier run left are sent, too."""
        if not self._uploads.start():
            return
        for path in sorted(self._folder.glob("*")):
            with suppress(OSError):
                if is_name(path.name) and not self._uploads.has(path.name):
                    self._uploads.put_file(path.name, path, path.stat().st_size)

    def save(self, name: str, data: bytes, *, durable: bool = False) -> None:
        place("pictures", name)
        self.start()
        if not durable:
            self._uploads.put(name, data)
            return
        path = self._room_for(name)
        try:
            write_whole(path, data, durable=True)
        except OSError as error:
            raise self._refused(error) from error
        self._uploads.put_file(name, path, len(data))

    def prepare(self, name: str) -> Path:
        place("clips", name)
        return self._room_for(name)

    def draft(self, name: str) -> Path:
        return self._folder / name

    def finish(self, name: str) -> None:
        path = self._folder / name
        try:
            self._uploads.put_file(name, path, path.stat().st_size)
        except OSError as error:
            raise self._refused(error) from error
        self.start()  # behind it: what an earlier run left is looked for there, and this would be sent and gone

    def _room_for(self, name: str) -> Path:
        if (waiting := self._uploads.file_bytes) > self._disk_bytes:
            reason = f"{waiting / 2**20:.0f} MiB of snapshots and clips wait already"
            raise HistoryError(self.address, f"{reason}: {self.fault}" if self.fault else reason)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._refused(error) from error
        return self._folder / name

    def _send(self, files: Mapping[str, Data]) -> dict[str, str | None]:
        done = self._files.send({_key(name): data for name, data in files.items()})
        return {
            name: None if error is None else str(self._files.refused("cannot be written", error))
            for name, error in zip(files, done.values(), strict=True)
        }

    # -- reading

    def here(self, name: str) -> Path | None:
        place(kind_of(name), name)
        path = self._uploads.file(name)
        return path if path is not None and path.is_file() else None

    def where(self, name: str) -> str:
        return self._files.where(_key(name))

    def read(self, name: str) -> bytes:
        key = "/".join(place("pictures", name))
        if (data := self._uploads.picture(name)) is not None:
            return data
        with suppress(OSError):  # it was sent just now
            if path := self.here(name):
                return path.read_bytes()
        return self._fetched("picture", name, key)

    def part(self, name: str, start: int, stop: int) -> bytes:
        return self._fetched("clip", name, "/".join(place("clips", name)), start, stop)

    def _fetched(self, what: str, name: str, key: str, start: int | None = None, stop: int | None = None) -> bytes:
        try:
            return self._files.read(key, start, stop)
        except FileNotFoundError:
            raise OptionError(what, name, "one that is still kept") from None

    # -- keeping order

    def size(self, name: str) -> int | None:
        return self._uploads.size(name)

    def missing(self, names: Collection[str]) -> set[str]:
        """``names`` in the order of the alphabet: a folder is listed once, and the last one remembered. What was sent
        since then is looked at by itself."""
        found: set[str] = set()
        for folder, some in groupby(names, lambda name: _key(name).rpartition("/")[0]):
            found |= set(some) - self._names(folder)
        return {name for name in found if not self._uploads.has(name) and not self._files.has(_key(name))}

    def _names(self, folder: str) -> frozenset[str]:
        with self._listing:
            if self._listed[0] != folder:
                self._listed = folder, frozenset(self._files.names(folder))
            return self._listed[1]

    def remove(self, names: Iterable[str]) -> None:
        gone = list(names)
        if gone:
            with self._uploads.removing(gone):
                self._files.remove([_key(name) for name in gone])

    def remove_folders(self) -> None:
        """A store has none."""
        with self._listing:
            self._listed = "", frozenset()

    def old_names(self) -> Iterator[str]:
        newest = f"{datetime.now(UTC) - timedelta(days=DAYS_LEFT_ALONE):%Y%m%d}"
        for kind in ENDINGS:
            for day in sorted(self._files.names(kind)):
                for stream in sorted(self._files.names(f"{kind}/{day}")) if day < newest else ():
                    yield from sorted(filter(is_name, self._files.names(f"{kind}/{day}/{stream}")))

    # -- the queue

    @property
    def fault(self) -> str | None:
        return self._uploads.fault

    @property
    def waiting(self) -> int:
        return self._uploads.waiting

    @property
    def dropped(self) -> int:
        return self._uploads.dropped

    def take_lost(self) -> list[str]:
        return self._uploads.take_lost()

    def close(self) -> None:
        self._uploads.close()

    def _refused(self, error: OSError) -> HistoryError:
        reason = f"what is to be sent cannot be written: {error.strerror or error}"
        return HistoryError(self._folder, reason, "is there room, and are the folder and its files yours?")


def _key(name: str) -> str:
    return "/".join(place(kind_of(name), name))
