"""Rows of a journal that a person or a fault may have changed: each is what it should be, or is said to be wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from streamer.errors import OptionError, OutputError
from streamer.outputs.base import Segment
from streamer.results import FrameResult
from streamer.sampling import Sampling

VERSION = 2
LATEST_SECONDS = 1e7
"""No picture is shown later than that, some four months."""
MOST = 2**53
"""Whole numbers in JSON are exact up to here."""

Check = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _yes_no(value: Any) -> bool:
    return isinstance(value, bool)


def _number(least: float, most: float) -> Check:
    def check(value: Any) -> bool:
        right = isinstance(value, int | float) and not isinstance(value, bool)
        return right and least <= value <= most and math.isfinite(value)

    return check


def _whole(least: int = 0, most: int = MOST) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _or_null(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _table(keys: Mapping[str, Check], more: Mapping[str, Check] | None = None) -> Check:
    """Exactly these keys, and of ``more`` what is there."""
    known = {**keys, **(more or {})}
    return lambda value: (
        isinstance(value, dict)
        and keys.keys() <= value.keys() <= known.keys()
        and all(known[key](one) for key, one in value.items())
    )


def _texts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_text, value.values()))


def _size(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_whole(1, 10**6)(side) for side in value)


_BOX = _table(dict.fromkeys(("x1", "y1", "x2", "y2"), _number(0, 1)))
_SECONDS = _number(0, LATEST_SECONDS)
_COUNTS = ("image_tokens", "prompt_tokens", "output_tokens", "drafted_tokens", "accepted_tokens", "forwards")
_STAGES = ("decode_ms", "queue_ms", "preprocess_ms", "model_ms", "total_ms")


def _detection(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= {"label", "box", "track_id", "attributes"}
        and _text(value.get("label"))
        and _BOX(value.get("box"))
        and _or_null(_whole())(value.get("track_id"))
        and isinstance(value.get("attributes"), dict | None)
    )


_FRAME: dict[str, tuple[Check, str]] = {
    "type": (_text, "frame"),
    "stream": (_text, "a text"),
    "sequence": (_whole(), "a whole number from 0"),
    "time_seconds": (_SECONDS, "seconds from 0"),
    "source_size": (_size, "[width, height]"),
    "index": (_or_null(_whole()), "a whole number from 0, or null"),
    "pts": (_or_null(_whole(-(2**63), 2**63 - 1)), "a whole number, or null"),
    "caption": (_or_null(_text), "a text, or null"),
    "detections": (
        lambda value: isinstance(value, list) and all(map(_detection, value)),
        "a list of objects, each with a label and a box in 0..1",
    ),
    "answers": (lambda value: isinstance(value, dict), "an object"),
    "notes": (_texts, "an object of texts"),
    "usage": (_table(dict.fromkeys(_COUNTS, _whole())), "an object of whole numbers"),
    "timings": (
        _table(
            {**dict.fromkeys(_STAGES, _number(0, 1e12)), "age_ms": _or_null(_number(-1e12, 1e12))},
            {"deliver_ms": _number(0, 1e12)},
        ),
        "an object of milliseconds",
    ),
    "budget": (_whole(), "a whole number"),
    "model": (_text, "a text"),
    "reused": (_yes_no, "true or false"),
    "error": (_or_null(_text), "a text, or null"),
}
_SEGMENT: dict[str, tuple[Check, str]] = {
    "start_seconds": (_SECONDS, "seconds from 0"),
    "end_seconds": (_SECONDS, "seconds from 0"),
    "text": (_text, "a text"),
    "error": (_or_null(_text), "a text, or null"),
}
_SOURCE: dict[str, tuple[Check, str]] = {
    "address": (_text, "a text"),
    "kind": (lambda value: value in ("file", "images"), "file or images"),
    "size": (_size, "[width, height]"),
    "duration_seconds": (_or_null(_number(0, 1e12)), "seconds, or null"),
    "rate": (_or_null(_number(1e-6, 1e6)), "a number above 0, or null"),
    "picture_count": (_or_null(_whole()), "a whole number, or null"),
    "start_seconds": (_or_null(_SECONDS), "seconds from 0"),
    "path": (_or_null(_text), "a text, or null"),
}
_JOB: dict[str, tuple[Check, str]] = {
    "content": (_or_null(_text), "a text, or null"),
    "model": (_text, "a text"),
    "caveat": (_or_null(_text), "a text, or null"),
    "sampling": (_text, "words"),
    "tasks": (lambda value: isinstance(value, list) and all(map(_task, value)), "a list of tasks"),
}
_END: dict[str, tuple[Check, str]] = {
    "frames": (_or_null(_whole()), "a whole number"),
    "fault": (_or_null(_text), "a text, or null"),
}


def _task(value: Any) -> bool:
    labels = value.get("labels", []) if isinstance(value, dict) else None
    return isinstance(labels, list) and all(map(_text, labels))


@dataclass(slots=True)
class Rows:
    """Takes the rows of a journal one after the other. Raises `OutputError` with the line and what is wrong with it."""

    path: Path
    remedy: str
    """What to do about a row that cannot be used."""
    results: list[FrameResult] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    ended: bool = False
    line: int = 0

    def take(self, row: Mapping[str, Any]) -> None:
        """The next row, the first one of which is the job's."""
        from streamer.outputs.jsonl import segment_from_json

        self.line += 1
        if self.line == 1:
            self._job(row)
            return
        if self.ended:
            raise self.wrong("it stands behind the last row")
        match row.get("type"):
            case "frame":
                self._frame(row)
            case "segment":
                self._check(row, _SEGMENT)
                self.segments.append(segment_from_json(row))
            case "end":
                self._check(row, _END)
                if row.get("frames") not in (None, len(self.results)):
                    raise self.wrong(f"it counts {row['frames']} frames, and there are {len(self.results)}")
                self.ended = True
            case other:
                raise self.wrong(f"there are no rows of the type {other!r}"[:100])

    def _job(self, row: Mapping[str, Any]) -> None:
        if row.get("version") != VERSION:
            version = str(row.get("version"))[:40]
            raise self.wrong(f"it is of version {version} of the journal, and this streamer reads {VERSION}")
        self._check(row, _JOB)
        source = row.get("source")
        if not isinstance(source, dict):
            raise self.wrong("source is no object")
        self._check(source, _SOURCE, "source.")
        try:
            Sampling.parse(row["sampling"])
        except (OptionError, ArithmeticError, ValueError) as error:
            raise self.wrong("sampling is none that streamer knows") from error

    def _frame(self, row: Mapping[str, Any]) -> None:
        from streamer.outputs.jsonl import result_from_json

        self._check(row, _FRAME)
        if unknown := sorted(row.keys() - _FRAME.keys()):
            raise self.wrong(f"{unknown[0]!r} is no field of a frame"[:100])
        result = result_from_json(row)
        if result.sequence < len(self.results):
            raise self.wrong(f"row {result.sequence} is there twice, or the rows are out of order")
        if result.sequence > len(self.results):
            raise self.wrong(f"row {len(self.results)} is missing")
        if self.results and result.time_seconds < self.results[-1].time_seconds:
            raise self.wrong("its time lies before that of the row before it")
        self.results.append(result)

    def _check(self, row: Mapping[str, Any], fields: Mapping[str, tuple[Check, str]], where: str = "") -> None:
        for name, (check, expected) in fields.items():
            if not check(row.get(name)):
                raise self.wrong(f"{where}{name} must be {expected}" if name in row else f"{where}{name} is missing")

    def wrong(self, reason: str) -> OutputError:
        return OutputError(self.path, f"line {self.line} cannot be used: {reason}", self.remedy)
