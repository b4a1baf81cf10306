"""The journal of a file job: one JSON object a line, first the job, then a row a sampled frame, last the end.

Rows are appended and flushed as they come, so what was answered survives a crash. ``docs/journal.md`` shows each.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from io import FileIO
from pathlib import Path
from typing import Any, Self

from streamer.errors import OutputError
from streamer.geometry import Box
from streamer.outputs.base import Segment
from streamer.results import Detection, FrameResult, Timings, Usage

VERSION = 2
DECISIVE = ("version", "content", "model", "revision", "quantize", "tasks", "sampling", "budget", "gate", "box_grid")
"""What of the first row decides the answers: a job is the same where all these are."""

_BLOCK_BYTES = 2**20


def result_to_json(result: FrameResult) -> dict[str, Any]:
    """JSON values; a box is ``{"x1": …, "y1": …, "x2": …, "y2": …}`` in 0..1."""
    values = asdict(result)
    values["source_size"] = list(result.source_size)
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
    where another job is writing it, and where it is of another job, unless ``restart`` begins anew.
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
                self._file.truncate(0 if restart else self._continue(job))
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

    def close(self) -> None:
        """Calling it again does nothing."""
        self._file.close()

    def _opened(self) -> FileIO:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = FileIO(self.path, "r+", opener=lambda path, flags: os.open(path, flags | os.O_CREAT, 0o666))
        except OSError as error:
            raise self._refused(error) from error
        if not _locked(file):
            file.close()
            raise OutputError(self.path, "another job is writing it", "wait for it, or choose another folder")
        return file

    def _continue(self, job: Mapping[str, Any]) -> int:
        """Takes over what is there, without an end that says that something was missing; where it ends."""
        end = 0
        for number, (row, after) in enumerate(_rows(self.path, self._file)):
            if number == 0:
                self._check_same(row, job)
            elif row.get("type") == "frame":
                self._check_next(row)
            elif row.get("type") == "segment":
                self.segments.append(segment_from_json(row))
                continue  # half of them are none
            elif row.get("type") == "end":
                missing = self._wants_segments and self.known and not self.segments
                self.complete = row.get("fault") is None and not missing
                if not self.complete:
                    break
            end = after
        if not self.complete:
            self.segments.clear()
        return self._file.seek(end)

    def _check_next(self, row: Mapping[str, Any]) -> None:
        try:
            result = result_from_json(row)
        except (KeyError, TypeError) as error:
            reason = f"row {len(self.known) + 1} cannot be read ({error!r})"
            raise OutputError(self.path, reason, "begin anew with --restart") from error
        if result.sequence != len(self.known):
            raise OutputError(self.path, f"row {len(self.known)} is missing", "begin anew with --restart")
        self.known.append(result)

    def _check_same(self, row: Mapping[str, Any], job: Mapping[str, Any]) -> None:
        now = json.loads(json.dumps({"version": VERSION, **job}))
        changed = [
            f"{name} was {_short(row.get(name))} and is {_short(now.get(name))}"
            for name in DECISIVE
            if row.get(name) != now.get(name)
        ]
        if changed:
            remedy = "choose another folder, or begin anew with --restart"
            raise OutputError(self.path, f"it belongs to another job: {'; '.join(changed)}", remedy)

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


def _locked(file: FileIO) -> bool:
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


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a journal; a last line that was cut off is left out. Raises `OutputError` where it is no journal."""
    try:
        with path.open("rb", buffering=0) as file:
            for row, _ in _rows(path, file):
                yield row
    except OSError as error:
        raise OutputError(path, f"it cannot be read: {error.strerror or error}", "check the name") from error


def _rows(path: Path, file: FileIO) -> Iterator[tuple[dict[str, Any], int]]:
    """Each whole row, and where in the file it ends."""
    number, end, rest = 0, 0, b""
    while block := file.read(_BLOCK_BYTES):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            number += 1
            end += len(line) + 1
            yield _row(path, number, line), end


def _row(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise OutputError(
            path, f"line {number} is no JSON: {error}", "is it a journal of streamer annotate?"
        ) from error
    if not isinstance(row, dict) or (number == 1 and row.get("type") != "job"):
        raise OutputError(path, f"line {number} is no row of a journal", "is it a journal of streamer annotate?")
    return row
