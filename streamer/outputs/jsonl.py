"""The journal of a file job: one JSON object a line, first the job, then a row a sampled frame, last the end.

Rows are appended and flushed as they come, so what was answered survives a crash. ``docs/journal.md`` shows each.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from io import FileIO
from pathlib import Path
from typing import IO, Any, Self

from streamer.errors import OutputError
from streamer.geometry import Box
from streamer.outputs.base import Segment
from streamer.outputs.checking import VERSION, Rows
from streamer.results import Detection, FrameResult, Timings, Usage

DECISIVE = ("version", "content", "model", "revision", "quantize", "tasks", "sampling", "budget", "gate", "box_grid")
"""What of the first row decides the answers: a job is the same where all these are."""

_BLOCK_BYTES = 2**20
_ANEW = "put it right, or begin anew with --restart"
_AWAY = "choose another folder, or move it away"
_NONE = "is it a journal of streamer annotate?"
_HEAD = b'{"type": "job",'
"""How every journal begins."""


def result_to_json(result: FrameResult) -> dict[str, Any]:
    """JSON values; a box is ``{"x1": …, "y1": …, "x2": …, "y2": …}`` in 0..1."""
    values = asdict(result)
    values["source_size"] = list(result.source_size)
    if result.timings.deliver_ms is None:
        del values["timings"]["deliver_ms"]
    values["detections"] = [_detection_to_json(detection) for detection in result.detections]
    return values


def result_from_json(values: Mapping[str, Any]) -> FrameResult:
    """The result that `result_to_json` wrote. Raises `KeyError` or `TypeError` for anything else."""
    known = {key: value for key, value in values.items() if key != "type"}
    return FrameResult(
        **{
            **known,
            "source_size": tuple(values["source_size"]),
            "detections": tuple(_detection_from_json(item) for item in values["detections"]),
            "usage": Usage(**values["usage"]),
            "timings": Timings(**values["timings"]),
        }
    )


def segment_from_json(values: Mapping[str, Any]) -> Segment:
    """The segment of a journal's row. Raises `KeyError` for anything else."""
    return Segment(values["start_seconds"], values["end_seconds"], values["text"], values.get("error"))


def _detection_to_json(detection: Detection) -> dict[str, Any]:
    box = {name: round(value, 5) for name, value in detection.box._asdict().items()}
    values: dict[str, Any] = {"label": detection.label, "box": box}
    if detection.track_id is not None:
        values["track_id"] = detection.track_id
    if detection.attributes:
        values["attributes"] = dict(detection.attributes)
    return values


def _detection_from_json(values: Mapping[str, Any]) -> Detection:
    return Detection(values["label"], Box(**values["box"]), values.get("track_id"), values.get("attributes"))


class JournalWriter:
    """Appends rows to a journal, each flushed before the next. A context manager.

    ``job``, the first row, says what the job is; `end` says that it is complete. A journal of the same job that is
    there already is continued: ``known`` are its rows so far. Raises `OutputError` where the file cannot be written,
    where another job is writing it, where it is no journal at all, and where it is of another job or somebody has
    spoilt its rows, unless ``restart`` begins anew.
    """

    def __init__(self, path: Path, job: Mapping[str, Any], *, restart: bool = False, segments: bool = False) -> None:
        """``segments``: the journal is not at its end before it has some."""
        self.path = path
        self.segments: list[Segment] = []
        """What is there already of them."""
        self._wants_segments = segments
        self.known: list[FrameResult] = []
        self.complete = False
        """Whether the journal was at its end already."""
        self._file = self._opened()
        try:
            if stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
                self._check_ours()
                self._cut(0 if restart else self._continue(job))
            if not self._file.tell():
                self._write({"type": "job", "version": VERSION, **job})
        except BaseException:
            self.close()
            raise

    def add(self, result: FrameResult) -> None:
        self._write({"type": "frame", **result_to_json(result)})

    def add_segment(self, segment: Segment) -> None:
        self._write({"type": "segment", **asdict(segment)})

    def end(self, **facts: Any) -> None:
        self._write({"type": "end", **facts})
        self.complete = True

    def discard(self) -> None:
        """Removes a journal without any frame."""
        with suppress(OSError):
            self.path.unlink()
        self.close()

    def close(self) -> None:
        """Calling it again does nothing."""
        self._file.close()

    def _opened(self) -> FileIO:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = FileIO(self.path, "r+", opener=lambda path, flags: os.open(path, flags | os.O_CREAT, 0o666))
        except OSError as error:
            raise self._refused(error) from error
        if not locked(file):
            file.close()
            raise OutputError(self.path, "another job is writing it", "wait for it, or choose another folder")
        return file

    def _check_ours(self) -> None:
        """A file of somebody else's is never cut off; a first row that was not finished may be."""
        head, whole, _ = self._file.read(_BLOCK_BYTES).partition(b"\n")
        self._file.seek(0)
        if head.startswith(_HEAD) or (not whole and _HEAD.startswith(head)):
            return
        if not whole:
            raise OutputError(self.path, "it exists already, and is no journal", _AWAY)
        _row(self.path, 1, head, _AWAY)

    def _cut(self, end: int) -> None:
        """What lies behind ``end`` goes. A file that nothing is cut off from keeps its time."""
        if os.fstat(self._file.fileno()).st_size > end:
            self._file.truncate(end)
        self._file.seek(end)

    def _continue(self, job: Mapping[str, Any]) -> int:
        """Takes over what is there, without an end that says that something was missing; where it ends."""
        end = 0
        rows = Rows(self.path, _ANEW)
        for row, after in _rows(self.path, self._file, _ANEW):
            if not rows.line:
                self._check_same(row, job)
            rows.take(row)
            if row.get("type") == "segment":
                continue  # half of them are none
            if rows.ended:
                missing = self._wants_segments and rows.results and not rows.segments
                self.complete = row.get("fault") is None and not missing
                if not self.complete:
                    break
            end = after
        self.known += rows.results
        if self.complete:
            self.segments += rows.segments
        return end

    def _check_same(self, row: Mapping[str, Any], job: Mapping[str, Any]) -> None:
        now = json.loads(json.dumps({"version": VERSION, **job}))
        changed = [name for name in DECISIVE if row.get(name) != now.get(name)]
        if not changed:
            return
        said = [f"{name} was {_short(row.get(name))} and is {_short(now.get(name))}" for name in changed]
        made_from, path = path_of(row), path_of(now)
        remedy = "choose another folder, or begin anew with --restart"
        if "content" in changed and made_from and path and made_from != path:
            said[changed.index("content")] = f"it was made from {made_from}"
            remedy = "choose another folder"
        elif "content" in changed:
            said[changed.index("content")] = "the file has changed since"
        raise OutputError(self.path, f"it belongs to another job: {'; '.join(said)}", remedy)

    def _write(self, row: Mapping[str, Any]) -> None:
        text = json.dumps(row, ensure_ascii=False)
        left = memoryview(text.encode(errors="backslashreplace") + b"\n")  # names of files may be no UTF-8
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> OutputError:
        reason = f"it cannot be written: {error.strerror or error}"
        return OutputError(self.path, reason, "is there room, is it yours? Started again, the job goes on from here")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def locked(file: IO[Any]) -> bool:
    """Takes the file for this process until it is closed, however the process ends; False where another one has it."""
    try:
        import fcntl
    except ImportError:  # Windows does not let two programs write one file
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"


def path_of(job: Mapping[str, Any]) -> str | None:
    """Where the source of a journal's first row lay on this machine; for others their address."""
    source = job.get("source")
    if not isinstance(source, dict):
        return None
    found = source.get("path") or source.get("address")
    return found if isinstance(found, str) else None


def first_row(path: Path) -> dict[str, Any] | None:
    """The job's row; None for what is no journal, or has none yet."""
    try:
        return next(read_journal(path), None)
    except OutputError:
        return None


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a journal; a last line that was cut off is left out. Raises `OutputError` where it is no journal.

    Each row is a JSON object, the first one a job's; what is in them is checked by `streamer.outputs.checking.Rows`.
    """
    try:
        with path.open("rb", buffering=0) as file:
            for row, _ in _rows(path, file, _NONE):
                yield row
    except OSError as error:
        raise OutputError(path, f"it cannot be read: {error.strerror or error}", "check the name") from error


def _rows(path: Path, file: FileIO, remedy: str) -> Iterator[tuple[dict[str, Any], int]]:
    """Each whole row, and where in the file it ends."""
    number, end, rest = 0, 0, b""
    while block := file.read(_BLOCK_BYTES):
        if not end and not rest and b"\0" in block:
            raise OutputError(path, "line 1 is no JSON: it is a file of bytes that are no text", _NONE)
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            number += 1
            end += len(line) + 1
            yield _row(path, number, line, remedy if number > 1 else _NONE), end


def _row(path: Path, number: int, line: bytes, remedy: str) -> dict[str, Any]:
    try:
        row = json.loads(line.decode(), parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise OutputError(path, f"line {number} is no JSON: it is no text in UTF-8", remedy) from error
    except (ValueError, RecursionError) as error:
        raise OutputError(path, f"line {number} is no JSON: {error}", remedy) from error
    if not isinstance(row, dict) or (number == 1 and row.get("type") != "job"):
        raise OutputError(path, f"line {number} is no row of a journal", remedy)
    return row


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
