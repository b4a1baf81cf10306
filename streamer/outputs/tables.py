"""Tables, as CSV and Parquet: one with a row for each frame, one with a row for each box."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

from streamer.errors import MissingExtraError
from streamer.outputs.atomic import replacing
from streamer.outputs.base import Annotations
from streamer.results import Detection, FrameResult

Kind = Literal["text", "whole", "number", "yes"]
"""A string, a whole number, a number with a fraction, true or false."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Spreadsheets run a cell that begins with one of these as a formula (OWASP, "CSV Injection")."""


@dataclass(frozen=True, slots=True)
class _Row:
    """What a row is read from."""

    result: FrameResult
    caveat: str | None
    detection: Detection | None = None

    @property
    def pixels(self) -> tuple[int, int, int, int]:
        """``left, top, width, height`` of the box in the upright source picture."""
        assert self.detection is not None
        x1, y1, x2, y2 = self.detection.box.to_pixels(*self.result.source_size)
        return x1, y1, x2 - x1, y2 - y1


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    kind: Kind
    value: Callable[[_Row], Any]
    """None for an empty cell; for texts anything, which is written as JSON where it is no string."""


def _attributes(row: _Row) -> dict[str, Any] | None:
    return dict(row.detection.attributes) if row.detection and row.detection.attributes else None


def _of_result(kind: Kind, *paths: str) -> list[_Column]:
    """Columns called as the last part of the path."""
    return [_Column(path.rpartition(".")[2], kind, attrgetter(f"result.{path}")) for path in paths]


_PLACE = [
    *_of_result("text", "stream"),
    *_of_result("whole", "sequence", "index"),
    *_of_result("number", "time_seconds"),
]
_SAID = [
    *_of_result("text", "error"),
    _Column("notes", "text", lambda row: dict(row.result.notes) or None),
    _Column("detections", "whole", lambda row: len(row.result.detections)),
    *_of_result("yes", "reused"),
]
_COST = [
    *_of_result("whole", "budget", *(f"usage.{part}_tokens" for part in ("image", "prompt", "output"))),
    *_of_result("whole", "usage.drafted_tokens", "usage.accepted_tokens", "usage.forwards"),
    *_of_result("number", *(f"timings.{part}_ms" for part in ("decode", "queue", "preprocess", "model", "total"))),
]
_ORIGIN = [*_of_result("text", "model"), _Column("caveat", "text", attrgetter("caveat"))]
_BOX = [
    _Column("label", "text", attrgetter("detection.label")),
    _Column("track_id", "whole", attrgetter("detection.track_id")),
    *[_Column(name, "number", attrgetter(f"detection.box.{name}")) for name in ("x1", "y1", "x2", "y2")],
    _Column("left", "whole", lambda row: row.pixels[0]),
    _Column("top", "whole", lambda row: row.pixels[1]),
    _Column("width", "whole", lambda row: row.pixels[2]),
    _Column("height", "whole", lambda row: row.pixels[3]),
    _Column("attributes", "text", _attributes),
]


def write_csv(annotations: Annotations, folder: Path) -> list[Path]:
    """``NAME.csv``, a row for each frame, and ``NAME.detections.csv``, a row for each box.

    A box has corners ``x1, y1, x2, y2`` in 0..1 and ``left, top, width, height`` in pixels of the upright picture.
    RFC 4180: commas, quotes where needed, CRLF; UTF-8 without a byte order mark; empty cells for what is not known. A
    text that a spreadsheet would run as a formula has an apostrophe before it.
    """
    return [
        _write_csv(folder / f"{annotations.name}{suffix}.csv", columns, rows)
        for suffix, columns, rows in _tables(annotations)
    ]


def write_parquet(annotations: Annotations, folder: Path) -> list[Path]:
    """``NAME.parquet`` and ``NAME.detections.parquet``: as `write_csv`, with types, nulls and untouched texts.

    Source, model and caveat stand in each file's metadata. Raises `MissingExtraError` without pyarrow.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("Parquet", "pyarrow", "parquet") from error
    types = {"text": pyarrow.string(), "whole": pyarrow.int64(), "number": pyarrow.float64(), "yes": pyarrow.bool_()}
    facts = {"source": annotations.address, "model": annotations.model, "caveat": annotations.caveat or ""}
    paths = []
    for suffix, columns, rows in _tables(annotations):
        schema = pyarrow.schema(
            [(column.name, types[column.kind]) for column in columns],
            {name: _encodable(value) for name, value in facts.items() if value},
        )
        values = [[_value(column, row) for row in rows] for column in columns]
        paths.append(folder / f"{annotations.name}{suffix}.parquet")
        with replacing(paths[-1]) as temporary:
            pyarrow.parquet.write_table(pyarrow.table(values, schema=schema), temporary)
    return paths


def _tables(annotations: Annotations) -> list[tuple[str, list[_Column], list[_Row]]]:
    """What each file's name adds, its columns and its rows."""
    results, caveat = annotations.results, annotations.caveat
    frames = [_Row(result, caveat) for result in results]
    boxes = [_Row(result, caveat, detection) for result in results for detection in result.detections]
    said = [*_of_result("whole", "pts"), *_of_result("text", "caption"), *_answer_columns(results), *_SAID]
    return [("", [*_PLACE, *said, *_COST, *_ORIGIN], frames), (".detections", [*_PLACE, *_BOX, *_ORIGIN], boxes)]


def _answer_columns(results: Sequence[FrameResult]) -> list[_Column]:
    """``answer.TASK`` for each task but captions and boxes, in the order in which they come up.

    The text of a check, a schema's document as JSON. A check also has ``yes.TASK``, empty where it said neither.
    """
    columns: dict[str, _Column] = {}
    for result in results:
        for task, answer in result.answers.items():
            if task == "caption" or task.startswith("detect"):
                continue
            columns.setdefault(f"answer.{task}", _Column(f"answer.{task}", "text", _words(task)))
            if _is_check(answer):
                columns.setdefault(f"yes.{task}", _Column(f"yes.{task}", "yes", _verdict(task)))
    return list(columns.values())


def _is_check(answer: Any) -> bool:
    return isinstance(answer, dict) and answer.keys() == {"answer", "reason", "text"}


def _words(task: str) -> Callable[[_Row], Any]:
    def value(row: _Row) -> Any:
        answer: Any = row.result.answers.get(task)
        return answer["text"] if _is_check(answer) else answer

    return value


def _verdict(task: str) -> Callable[[_Row], Any]:
    def value(row: _Row) -> Any:
        answer: Any = row.result.answers.get(task)
        return answer["answer"] if _is_check(answer) else None

    return value


def _value(column: _Column, row: _Row) -> Any:
    value = column.value(row)
    if value is None or column.kind in ("whole", "yes"):
        return value
    if column.kind == "number":
        return float(value)
    return _encodable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _encodable(text: str) -> str:
    """With "?" for halves of surrogate pairs, which a cut-off answer may have and UTF-8 lacks."""
    return text.encode(errors="replace").decode()


def _write_csv(path: Path, columns: Sequence[_Column], rows: Iterable[_Row]) -> Path:
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(_encodable(column.name) for column in columns)
        writer.writerows([_cell(_value(column, row)) for column in columns] for row in rows)
    return path


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA) else value
    if isinstance(value, float):
        return str(round(value, 6))
    return "" if value is None else str(value)
