"""The detections of a source, put together by object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

from streamer.outputs.base import Annotations
from streamer.outputs.pictures import found
from streamer.results import Detection


@dataclass(frozen=True, slots=True)
class Track:
    """An object over time."""

    id: int
    label: str
    boxes: Mapping[int, Detection]
    """By the place of the result in `Annotations.good`, in order; it may be missing on the way."""


def tracks(annotations: Annotations) -> list[Track]:
    """All objects, in the order in which they appear.

    A detection without a track id is an object of its own, and so is one that shares id and picture with another.
    Where the label of a track id changes, a second object with a new id begins.
    """
    boxes: dict[tuple[int, str, int], dict[int, Detection]] = {}
    alone = count()
    for place, result in enumerate(annotations.good):
        for detection in found(result, annotations.size):
            key = _key(detection)
            if key is None or place in boxes.get(key, {}):
                key = (-1, detection.label, next(alone))
            boxes.setdefault(key, {})[place] = detection
    return _numbered(boxes)


def _key(detection: Detection) -> tuple[int, str, int] | None:
    return None if detection.track_id is None else (detection.track_id, detection.label, -1)


def _numbered(boxes: Mapping[tuple[int, str, int], dict[int, Detection]]) -> list[Track]:
    """Track ids stay where they are free; new ones are higher than all of them."""
    fresh = count(max((track_id for track_id, _, _ in boxes), default=-1) + 1)
    taken: set[int] = set()
    made = []
    for (track_id, label, _), by_place in boxes.items():
        number = next(fresh) if track_id < 0 or track_id in taken else track_id
        taken.add(number)
        made.append(Track(number, label, by_place))
    return made
