"""A file job on the disk: what was ordered, the file itself, how far it is, and what was made of it.

::

    files/ID/job.json           the order and its state
    files/ID/upload/NAME.mp4    the file
    files/ID/made/NAME.jsonl    the journal, and beside it what else was ordered
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from streamer.errors import OptionError, OutputError
from streamer.filejob import AnnotateOptions
from streamer.incoming import Incoming, Kind
from streamer.outputs.archive import write_archive
from streamer.outputs.atomic import replacing
from streamer.outputs.formats import files_of
from streamer.outputs.jsonl import result_from_json
from streamer.outputs.naming import stem_of
from streamer.results import FrameResult
from streamer.sampling import Sampling
from streamer.tasks import Task

State = Literal["waiting", "running", "done", "failed"]
_ROW_BYTES = 4 * 2**20
"""No row of a journal is longer."""


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants of a file. Raises `OptionError` where that cannot be."""

    title: str
    """As the file was called where it came from; only to be shown."""
    tasks: tuple[Task, ...] = (Task.caption(),)
    every: str = "every 1 s"
    """Which pictures, as `Sampling.parse` reads it."""
    budget: int = 280
    start: float | None = None
    """Seconds to begin at."""
    end: float | None = None
    """Seconds to end before."""
    formats: tuple[str, ...] = ("jsonl",)
    by: str = ""
    """Name of the token of whoever wants it."""

    def __post_init__(self) -> None:
        self.options()

    def sampling(self) -> Sampling:
        return Sampling.parse(self.every).between(self.start, self.end)

    def options(self) -> AnnotateOptions:
        return AnnotateOptions(
            tasks=self.tasks, sampling=self.sampling(), budget=self.budget, formats=self.formats, workers=1
        )

    @property
    def stem(self) -> str:
        """What its files are called, without their endings."""
        return stem_of(Path(self.title.replace("\\", "/")).stem, "file")


@dataclass(frozen=True, slots=True)
class Made:
    """A file to take away."""

    name: str
    format: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Record:
    """What ``job.json`` has."""

    id: str
    order: Order
    kind: Kind
    suffix: str
    """Of the file here, by its content."""
    size: tuple[int, int]
    """``(width, height)`` of its pictures."""
    bytes: int
    """Of the file."""
    created_at: float
    """Unix seconds."""
    duration_seconds: float | None = None
    state: State = "waiting"
    error: str | None = None
    """Why it failed, or what of it could not be made."""
    finished_at: float | None = None
    frames: int = 0
    """Answered so far."""
    failed: int = 0
    """Of them those without an answer."""
    fault: str | None = None
    """Why the file ended early."""
    made: tuple[Made, ...] = ()

    @classmethod
    def new(cls, id: str, order: Order, incoming: Incoming, size: int, now: float) -> Record:
        return cls(id, order, incoming.kind, incoming.suffix, incoming.size, size, now, incoming.duration_seconds)

    @property
    def expected(self) -> int | None:
        """How many frames there will be, about; None where nobody knows before."""
        sampling = self.order.sampling()
        if self.kind == "picture":
            return 1
        if sampling.kind == "at":
            return len(sampling.times)
        if sampling.interval is None or self.duration_seconds is None:
            return None
        end = self.duration_seconds if sampling.end is None else min(self.duration_seconds, float(sampling.end))
        span = end - float(sampling.start or 0)
        return max(1, -int(-span // float(sampling.interval)))

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values, which `from_mapping` takes back."""
        order = {**asdict(self.order), "tasks": [task.to_mapping() for task in self.order.tasks]}
        return {**asdict(self), "order": order}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Record:
        """Raises `OptionError`, `TypeError`, `KeyError` or `ValueError` for anything else."""
        order = values["order"]
        tasks = tuple(Task.from_mapping(task) for task in order["tasks"])
        made = tuple(Made(**one) for one in values["made"])
        read = Order(**{**order, "tasks": tasks, "formats": tuple(order["formats"])})
        return cls(**{**values, "order": read, "size": tuple(values["size"]), "made": made})


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder of one job."""

    path: Path
    marker: str = field(default="job.json", repr=False)

    def upload(self, record: Record) -> Path:
        return self.path / "upload" / f"{record.order.stem}{record.suffix}"

    @property
    def made(self) -> Path:
        return self.path / "made"

    def journal(self, record: Record) -> Path:
        return self.made / f"{record.order.stem}.jsonl"

    def write(self, record: Record) -> None:
        """Raises `OutputError`."""
        with replacing(self.path / self.marker) as temporary:
            temporary.write_text(json.dumps(record.to_mapping(), ensure_ascii=True, indent=1), encoding="utf-8")

    def read(self) -> Record | None:
        """None for a folder of something else, and where it cannot be read any more."""
        try:
            return Record.from_mapping(json.loads((self.path / self.marker).read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OptionError):
            return None

    def bytes(self) -> int:
        """Of all that is in it."""
        total = 0
        for here, _, names in os.walk(self.path):
            for name in names:
                with suppress(OSError):  # it was removed meanwhile
                    total += os.stat(os.path.join(here, name)).st_size
        return total

    def remove(self) -> None:
        """Whatever of it can be."""
        shutil.rmtree(self.path, ignore_errors=True)

    def collect(self, record: Record) -> tuple[Made, ...]:
        """What there is to take away. A format of several files with folders becomes one archive, and its folders go.

        Raises `OutputError`.
        """
        found: dict[str, Made] = {}
        folders: set[Path] = set()
        for name in dict.fromkeys(("jsonl", *record.order.formats)):
            suffixes = (".jsonl",) if name == "jsonl" else tuple(one for some in files_of(name) for one in some)
            paths = [self.made / f"{record.order.stem}{suffix.rstrip('/')}" for suffix in suffixes]
            paths = [path for path in paths if path.exists()]
            if any(path.is_dir() for path in paths):
                folders |= {path for path in paths if path.is_dir()}
                paths = [self._archive(record.order.stem, name, paths)]
            for path in paths:
                found.setdefault(path.name, Made(path.name, name, path.stat().st_size))
        for path in folders:
            shutil.rmtree(path, ignore_errors=True)
        return tuple(found.values())

    def _archive(self, stem: str, name: str, paths: list[Path]) -> Path:
        target = self.made / f"{stem}.{name}.zip"
        with replacing(target) as temporary:
            write_archive(temporary, self.made, paths)
        return target


def rows(journal: Path, offset: int, limit: int) -> tuple[list[FrameResult], int, bool]:
    """At most ``limit`` results from the byte ``offset`` on; where to go on; whether more are there now.

    Raises `OptionError` for an offset at which no row begins, and `OutputError` where the journal cannot be read.
    """
    found: list[FrameResult] = []
    try:
        with journal.open("rb") as file:
            if offset:
                inside = offset <= os.fstat(file.fileno()).st_size
                if not inside or file.seek(offset - 1) < 0 or file.read(1) != b"\n":
                    raise OptionError("cursor", offset, "one that a page gave as its next")
            for line, end in _lines(file, offset):
                row = json.loads(line)
                if row.get("type") == "frame":
                    if len(found) == limit:
                        return found, offset, True
                    found.append(result_from_json(row))
                offset = end
    except FileNotFoundError:
        return [], 0, False
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, OptionError):
            raise
        raise OutputError(journal.name, "its rows cannot be read", "run the job again") from error
    return found, offset, False


def _lines(file: Any, offset: int) -> Iterator[tuple[bytes, int]]:
    """Whole lines, and where each ends; the last one may still be being written."""
    while (line := file.readline(_ROW_BYTES)).endswith(b"\n"):
        offset += len(line)
        yield line, offset
