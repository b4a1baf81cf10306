"""Results and alerts as the database keeps them, and back. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from streamer.alerts import Alert
from streamer.geometry import Box
from streamer.history.words import words_of
from streamer.outputs.jsonl import result_from_json, result_to_json
from streamer.results import Detection, FrameResult

LONGEST_KEY = 400
"""Letters."""
LONGEST_SECONDS = 3600.0
"""How long a row stands at most, so that those that stood at some time are found by when they began."""


def plain(text: str) -> str:
    """The text as both databases can keep it: without NUL and halves of letters (names of files may be no UTF-8)."""
    return text.replace("\0", "\\x00").encode(errors="backslashreplace").decode()


def key(name: str) -> str:
    """A stream's or a rule's name in its column; PostgreSQL takes 2,704 bytes in an index."""
    return plain(name)[:LONGEST_KEY]


def label_key(label: str) -> str:
    """What labels are compared by: neither case nor punctuation counts."""
    return key(" ".join(words_of(label)) or label.strip())


def json_text(values: Any) -> str:
    return plain(json.dumps(values, ensure_ascii=False, default=str))  # JSON has \x00 escaped already


def result_document(result: FrameResult) -> str:
    return json_text(result_to_json(result))


def result_of(document: str) -> FrameResult:
    """The result that `result_document` wrote."""
    return result_from_json(json.loads(document))


def texts_of(result: FrameResult) -> list[str]:
    """What a result is found by: its caption, all answers in words, and the labels with what was said of them. Not the
    JSON that boxes were written in."""
    texts = [result.caption or "", *(text for text in _strings(result.answers) if '"box_2d"' not in text)]
    for detection in result.detections:
        texts += [detection.label, *_strings(detection.attributes or {})]
    return list(dict.fromkeys(text for text in texts if text.strip()))


def _strings(value: object) -> Iterator[str]:
    """The words and numbers in a JSON value, its names not."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield str(value)


def alert_document(alert: Alert) -> str:
    """As `Alert.document`, with the detections' attributes, so that the alert comes back as it was."""
    values = alert.document()
    for found, detection in zip(values["detections"], alert.detections, strict=True):
        if detection.attributes is not None:
            found["attributes"] = dict(detection.attributes)
    return json_text(values)


def alert_of(document: str) -> Alert:
    """The alert that `alert_document` wrote."""
    values = json.loads(document)
    phase = values.pop("type")
    detections = tuple(
        Detection(found["label"], Box(*found["box"]), found["track_id"], found.get("attributes"))
        for found in values.pop("detections")
    )
    return Alert(phase=phase, detections=detections, **values)


def alert_values(alert: Alert) -> dict[str, Any]:
    """Its row, but for ``put_revision``."""
    return {
        "id": key(alert.id),
        "stream": key(alert.stream),
        "rule": key(alert.rule),
        "phase": alert.phase,
        "revision": alert.revision,
        "started_at": alert.started_at,
        "updated_at": alert.updated_at,
        "ended_at": alert.ended_at,
        "acknowledged_at": alert.acknowledged_at,
        "snapshot": alert.snapshot,
        "clip": alert.clip,
        "document": alert_document(alert),
    }
