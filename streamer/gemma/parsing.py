"""Gemma's answers read back: boxes out of a detection, yes or no out of a check. Pure, and never raises."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from streamer.errors import OptionError
from streamer.gemma.loose_json import LooseObject, LooseText, read_loosely
from streamer.geometry import Box
from streamer.results import Detection

UNNAMED = "object"
"""Label of a box that came without one."""

_BOX_KEYS = frozenset({"box_2d", "box2d", "box"})
_LABEL_KEY = "label"
_NUMBER = re.compile(r"[-+]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?")
_FIRST_WORD = re.compile(r"[\W_]*([^\W_]+(?:['’-][^\W_]+)*)")
_UNDECIDED = re.compile(
    r"[\W_]*(?:no (?:idea|clue|way to)|yes(?: and | or |/)no|no(?: and | or |/)yes)\b", re.IGNORECASE
)
_YES_NO = {"yes": True, "yeah": True, "yep": True, "no": False, "nope": False}


@dataclass(frozen=True, slots=True)
class Detections:
    """The boxes of one answer."""

    detections: tuple[Detection, ...]
    """In the answer's order; every box ordered, inside 0..1 and with an area."""
    problem: str | None = None
    """What was odd about the answer, in words; None where nothing was (an empty list is not odd)."""
    discarded: int = 0
    """Objects without a usable box: no four finite numbers, or no area inside the picture."""
    cut_off: bool = False
    """The answer ended in the middle of the list."""


def parse_detections(text: str, grid: int = 1000) -> Detections:
    """The boxes of an answer such as ```` ```json [{"box_2d": [y1, x1, y2, x2], "label": "car"}] ``` ````.

    ``grid``: the coordinate that stands for the right and the lower edge. Fields beside box and label become
    ``attributes``. Raises `OptionError` for a grid below 1, and nothing for any text.
    """
    if grid < 1:
        raise OptionError("box_grid", grid, "1000 (Gemma 4) or another whole number above 0")
    found = read_loosely(text)
    detections: list[Detection] = []
    unreadable = empty = 0
    for fields in _objects(found):
        boxes = list(_boxes(_box_value(fields), grid))
        unreadable += not boxes
        for box in boxes:
            if box.width > 0 and box.height > 0:
                detections.append(Detection(_label(fields), box, attributes=_attributes(fields)))
            else:
                empty += 1
    problem = _problem(text, found, kept=len(detections), unreadable=unreadable, empty=empty)
    return Detections(tuple(detections), problem, unreadable + empty, found.cut_off)


def parse_yes_no(text: str) -> bool | None:
    """True or False by the first word of the answer; None where it is neither ("Maybe", "yesterday", "No idea")."""
    first = _FIRST_WORD.match(text)
    if first is None or _UNDECIDED.match(text):
        return None
    return _YES_NO.get(first.group(1).lower())


def _objects(found: LooseText) -> Iterator[Mapping[str, Any]]:
    """Fields of everything that is meant as a detection: it has a box, or a label and nothing with a box inside."""
    boxed = [item for item in found.objects if any(_is_box(key) for key, _ in item.pairs)]
    starts = [item.start for item in boxed]
    inside_until = 0
    for item in found.objects:
        following = bisect_right(starts, item.start)
        if following and starts[following - 1] == item.start:
            inside_until = max(inside_until, item.end)
            yield from _split(item)
        elif any(_is_label(key) for key, _ in item.pairs):
            holds_box = following < len(starts) and starts[following] < item.end
            if item.start >= inside_until and not holds_box:
                yield dict(item.pairs)


def _split(item: LooseObject) -> Iterator[Mapping[str, Any]]:
    """One object, or several where the brackets between them were forgotten; else the last of repeated keys wins."""
    current: dict[str, Any] = {}
    for key, value in item.pairs:
        complete = any(map(_is_box, current)) and any(map(_is_label, current))
        if complete and key in current and (_is_box(key) or _is_label(key)):
            yield current
            current = {}
        current[key] = value
    yield current


def _is_label(key: str) -> bool:
    return key.lower() == _LABEL_KEY


def _is_box(key: str) -> bool:
    return key.lower() in _BOX_KEYS


def _box_value(fields: Mapping[str, Any]) -> Any:
    return next((value for key, value in fields.items() if _is_box(key)), None)


def _boxes(value: Any, grid: int) -> Iterator[Box]:
    """Boxes written as ``value``: four numbers however nested, or a list of such; nothing where unreadable."""
    if isinstance(value, list) and value and all(isinstance(item, list) and len(item) == 4 for item in value):
        for item in value:
            yield from _boxes(item, grid)
        return
    numbers = list(_numbers(value))
    if len(numbers) == 4 and all(map(math.isfinite, numbers)):
        y1, x1, y2, x2 = (number / grid for number in numbers)
        yield Box(x1, y1, x2, y2).ordered().clamped()


def _numbers(value: Any) -> Iterator[float]:
    """The numbers in a list, in its lists and in its texts; NaN for anything else."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, list):
            stack.extend(reversed(item))
        elif isinstance(item, str) and (written := _NUMBER.findall(item)):
            yield from map(float, written)
        elif isinstance(item, int | float) and not isinstance(item, bool):
            yield float(item)
        else:
            yield math.nan


def _label(fields: Mapping[str, Any]) -> str:
    value = next((value for key, value in fields.items() if _is_label(key)), None)
    words = value if isinstance(value, list) else [value]
    named = [str(word).strip() for word in words if isinstance(word, str | int | float) and not isinstance(word, bool)]
    return " ".join(filter(None, named)) or UNNAMED


def _attributes(fields: Mapping[str, Any]) -> Mapping[str, Any] | None:
    further = {key: _finite(value) for key, value in fields.items() if not _is_box(key) and not _is_label(key)}
    return further or None


def _finite(value: Any) -> Any:
    """The value with None for NaN and infinities, which JSON cannot carry."""
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _problem(text: str, found: LooseText, *, kept: int, unreadable: int, empty: int) -> str | None:
    parts = []
    if found.cut_off:
        parts.append(f"the list is cut off; {_count(kept, 'complete box', 'complete boxes')} kept")
    if unreadable:
        parts.append(f"{_count(unreadable, 'object')} without four numbers dropped")
    if empty:
        parts.append(f"{_count(empty, 'box', 'boxes')} without an area dropped")
    if not (parts or kept or found.lists or found.objects):
        parts.append("no list of boxes in the answer" if text.strip() else "empty answer")
    return "; ".join(parts) or None


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
