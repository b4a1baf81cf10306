"""Where pictures and clips are kept: a folder (`pictures`), or a store elsewhere (`remote`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from streamer.history.names import Kind, new_name


@dataclass(frozen=True, slots=True)
class KeptClip:
    """A clip that can be read."""

    size: int
    """Bytes."""
    started_at: float
    """Unix seconds of its first picture."""
    path: Path | None
    """Where it is on this machine; None where it has to be fetched."""
    read: Callable[[int, int], bytes] = field(repr=False)
    """The bytes in [start, stop). Raises `HistoryError`, and `OptionError` where it is gone by now."""


class Shelf(ABC):
    """Files by their names. Used from any thread."""

    address: str
    """Fit for people."""
    is_local: bool = True
    """Files are on this machine's disks, or what looks like them."""
    home: str
    """Sets the files here apart from those of other programs on the same PostgreSQL."""

    def new_name(self, kind: Kind, stream: str, at: float) -> str:
        """See `names.new_name`."""
        return new_name(kind, stream, at)

    @abstractmethod
    def check(self) -> None:
        """Raises `HistoryError` where files cannot be written, read and removed."""

    @abstractmethod
    def save(self, name: str, data: bytes, *, durable: bool = False) -> None:
        """A picture, whole or not at all; ``durable``: also if the power fails afterwards. Raises `HistoryError`."""

    @abstractmethod
    def prepare(self, name: str) -> Path:
        """The path to write a new clip to, in a folder that is there. Raises `HistoryError`."""

    @abstractmethod
    def draft(self, name: str) -> Path:
        """What `prepare` said for that clip."""

    @abstractmethod
    def finish(self, name: str) -> None:
        """The clip at the path of `prepare` is whole. Raises `HistoryError`."""

    @abstractmethod
    def here(self, name: str) -> Path | None:
        """Where the picture or clip is on this machine; None where it is not. Raises `OptionError` for no name."""

    @abstractmethod
    def where(self, name: str) -> str:
        """Where it is, for people. Raises `OptionError` for no name."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """A picture. Raises `OptionError` where it is not kept, and `HistoryError`."""

    @abstractmethod
    def part(self, name: str, start: int, stop: int) -> bytes:
        """The bytes of a clip in [start, stop). Raises as `read`."""

    @abstractmethod
    def size(self, name: str) -> int | None:
        """Bytes of a clip that was just written; None where that cannot be said at once."""

    @abstractmethod
    def missing(self, names: Collection[str]) -> set[str]:
        """Those that are not there. Raises `HistoryError`."""

    @abstractmethod
    def remove(self, names: Iterable[str]) -> None:
        """Those that are not there are passed over. Raises `HistoryError`."""

    @abstractmethod
    def remove_folders(self) -> None:
        """Those that are empty, where there are such."""

    @abstractmethod
    def old_names(self) -> Iterator[str]:
        """All files that could be left over. Raises `HistoryError`."""

    # -- of shelves that write later

    @property
    def fault(self) -> str | None:
        """Why files wait; None where all is well."""
        return None

    @property
    def waiting(self) -> int:
        """Files that are still to be written."""
        return 0

    @property
    def dropped(self) -> int:
        """Pictures of results that were never written."""
        return 0

    def start(self) -> None:  # noqa: B027 - most have nothing to start
        """From now on files are put here; calling it again does nothing."""

    def take_lost(self) -> list[str]:
        """Pictures that were dropped since the last call, and will not come."""
        return []

    def close(self) -> None:  # noqa: B027 - nor to end
        """Writes what waits, if that is possible now; calling it again does nothing."""
