"""The journal of a file job: one JSON object a line, first the job, then a row a sampled frame, last the end.

Rows are appended and flushed as they come, so what was answered survives a crash. ``docs/journal.md`` shows each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from streamer.errors import OutputError
from streamer.geometry import Box
from streamer.results import Detection, FrameResult, Timings, Usage

VERSION = 1


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

    The first row says what the job is; `end` says that it is complete. Raises `OutputError` where the file cannot be
    written.
    """

    def __init__(self, path: Path, job: Mapping[str, Any]) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise self._refused(error) from error
        try:
            self._write({"type": "job", "version": VERSION, **job})
        except OutputError:
            self.close()
            raise

    def add(self, result: FrameResult) -> None:
        self._write({"type": "frame", **result_to_json(result)})

    def end(self, **facts: Any) -> None:
        self._write({"type": "end", **facts})

    def close(self) -> None:
        """Calling it again does nothing."""
        self._file.close()

    def _write(self, row: Mapping[str, Any]) -> None:
        text = json.dumps(row, ensure_ascii=False)
        left = memoryview(text.encode(errors="backslashreplace") + b"\n")  # names of files may be no UTF-8
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> OutputError:
        return OutputError(
            self._path, f"it cannot be written: {error.strerror or error}", "is it yours, is there room?"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a journal; a last line that was cut off is left out. Raises `OutputError` where it is no journal."""
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    return
                yield _row(path, number, line)
    except OSError as error:
        raise OutputError(path, f"it cannot be read: {error.strerror or error}", "check the name") from error


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
