"""What must be seen in the picture for a rule to hold: objects, how many, where, for how long, or what they do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from streamer.errors import OptionError
from streamer.reading import Reader, number, placed, points, read, text, texts, whole
from streamer.results import Detection
from streamer.rules.shapes import Line, Point, Polygon

Anchor = Literal["bottom", "centre"]
ANCHORS: tuple[Anchor, ...] = ("bottom", "centre")
Event = Literal["present", "appears", "leaves"]
EVENTS: tuple[Event, ...] = ("present", "appears", "leaves")

MAX_LABELS = 100
MAX_COUNT = 1000
MAX_DWELL_SECONDS = 86_400.0
_EVERYTHING = ("all", "all objects", "everything")
"""What `Task.detect` takes for no label."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A state of the picture, or something that happens in it.

    States hold as long as they are so:

    - ``present`` (with ``labels``, ``zone``, ``at_least``, ``at_most``): so many objects are there;
    - the same with ``dwell_seconds`` and without ``at_most``: so many have been there that long.

    Events hold for the one result in which they happen. None of them goes with a count or ``dwell_seconds``:

    - ``appears`` (with ``labels``, ``zone``): an object comes, into the picture or into the zone;
    - ``leaves`` (likewise): an object that was there is not there any more;
    - ``line`` (with ``labels``, without ``zone``): an object crosses the line.

    Events and ``dwell_seconds`` need detections with track ids, and never hold for those without. Any other combination
    is refused.
    """

    labels: tuple[str, ...] = ()
    """Which objects count, in lower case; empty: all."""
    at_least: int | None = None
    """How many must be there; None is 1, or 0 beside ``at_most``."""
    at_most: int | None = None
    """How many may be there; 0 is "nothing there"."""
    zone: Polygon | None = None
    """Where an object must be; None: anywhere in the picture."""
    anchor: Anchor = "bottom"
    """Which point of a box is where the object is: the middle of its lower edge, or its centre."""
    line: Line | None = None
    """The line that an object must cross, as its anchor goes straight from one result to the next."""
    dwell_seconds: float | None = None
    """How long the same object must have been there."""
    event: Event = "present"

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(dict.fromkeys(label.strip().lower() for label in self.labels)))
        self._check_values()
        self._check_combination()

    def _check_values(self) -> None:
        if len(self.labels) > MAX_LABELS or not all(1 <= len(label) <= 60 for label in self.labels):
            raise OptionError("labels", list(self.labels), f"at most {MAX_LABELS} names of 1 to 60 letters")
        if everything := [label for label in self.labels if label in _EVERYTHING]:
            raise OptionError("labels", everything, "no labels at all for everything")
        for name, count in (("at_least", self.at_least), ("at_most", self.at_most)):
            if count is not None and not 0 <= count <= MAX_COUNT:
                raise OptionError(name, count, f"a whole number from 0 to {MAX_COUNT}")
        if self.anchor not in ANCHORS:
            raise OptionError("anchor", self.anchor, "one of " + ", ".join(ANCHORS))
        if self.event not in EVENTS:
            raise OptionError("event", self.event, "one of " + ", ".join(EVENTS))
        if self.dwell_seconds is not None and not 0 < self.dwell_seconds <= MAX_DWELL_SECONDS:
            raise OptionError("dwell_seconds", self.dwell_seconds, f"a number above 0, up to {MAX_DWELL_SECONDS:g}")

    def _check_combination(self) -> None:
        given = [name for name in ("at_least", "at_most", "dwell_seconds") if getattr(self, name) is not None]
        if self.momentary and given:
            what = "line" if self.line else f'event "{self.event}"'
            raise OptionError(given[0], getattr(self, given[0]), f"none beside {what}, which happens in a moment")
        if self.line and (self.zone or self.event != "present"):
            name, value = ("zone", self.zone.points) if self.zone else ("event", self.event)
            raise OptionError(name, value, "none beside line")
        if self.dwell_seconds is not None and self.at_most is not None:
            raise OptionError("at_most", self.at_most, "none beside dwell_seconds (a rule's confirm can ask for long)")
        low, high = self.bounds
        if low > high:
            raise OptionError("at_most", self.at_most, f"{low} or more, as at_least is")
        if low == 0 and self.at_most is None:
            raise OptionError("at_least", self.at_least, "1 or more, as 0 always holds; for nothing there: at_most = 0")

    @property
    def momentary(self) -> bool:
        """Whether it is an event, not a state."""
        return self.line is not None or self.event != "present"

    @property
    def needs_ids(self) -> bool:
        return self.momentary or self.dwell_seconds is not None

    @property
    def bounds(self) -> tuple[int, int]:
        """How many must and how many may be there."""
        low = self.at_least if self.at_least is not None else int(self.at_most is None)
        return low, MAX_COUNT if self.at_most is None else self.at_most

    def point(self, detection: Detection) -> Point:
        """Where the object is."""
        x, y = detection.box.centre
        return (x, detection.box.y2) if self.anchor == "bottom" else (x, y)

    def matches(self, detection: Detection) -> bool:
        """Whether label and zone are those asked for."""
        if self.labels and detection.label.strip().lower() not in self.labels:
            return False
        return self.zone is None or self.zone.contains(self.point(detection))

    @property
    def place(self) -> str:
        return " in the zone" if self.zone else ""

    @property
    def title(self) -> str:
        """What it looks for, in words."""
        subject = " or ".join(self.labels) or "an object"
        if self.line:
            side = "" if self.line.direction == "any" else f" to the {self.line.direction}"
            return f"{subject} crosses the line{side}"
        if self.event == "leaves":
            return f"{subject} leaves{' the zone' if self.zone else ''}"
        if self.event == "appears":
            return f"{subject} appears{self.place}"
        stay = "" if self.dwell_seconds is None else f" for {self.dwell_seconds:g} s"
        return f"{self._how_many()}{self.place}{stay}"

    def _how_many(self) -> str:
        subject = " or ".join(self.labels) or "object"
        low, high = self.bounds
        if high == 0:
            return f"no {subject}"
        if self.at_most is None:
            return f"at least {low} × {subject}" if low > 1 else f"{subject} present"
        if low == 0:
            return f"at most {high} × {subject}"
        return f"{low} × {subject}" if low == high else f"{low} to {high} × {subject}"

    @classmethod
    def from_mapping(cls, mapping: object, where: str = "when") -> Condition:
        """Of TOML or JSON values: a zone is a list of points ``[x, y]``, a line is ``{"points": [[x, y], [x, y]],
        "direction": "left"}``. Raises `OptionError` that names the place."""
        values = read(mapping, where, _READERS)
        with placed(where):
            return cls(**values)

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values, which `from_mapping` takes back."""
        values: dict[str, Any] = {
            "labels": list(self.labels),
            "at_least": self.at_least,
            "at_most": self.at_most,
            "zone": [list(point) for point in self.zone.points] if self.zone else None,
            "anchor": self.anchor,
            "line": _line_mapping(self.line) if self.line else None,
            "dwell_seconds": self.dwell_seconds,
            "event": self.event,
        }
        return {key: value for key, value in values.items() if value is not None}


def _zone(value: object, where: str) -> Polygon:
    corners = points(value, where)
    try:
        return Polygon(corners)
    except OptionError as error:
        raise OptionError(where + error.option.removeprefix("zone"), error.value, error.expected) from None


def _line(value: object, where: str) -> Line:
    values = read(value, where, {"points": points, "direction": text}, required=("points",))
    try:
        return Line(**values)
    except OptionError as error:
        raise OptionError(where + error.option.removeprefix("line"), error.value, error.expected) from None


def _line_mapping(line: Line) -> dict[str, Any]:
    return {"points": [list(point) for point in line.points], "direction": line.direction}


_READERS: Mapping[str, Reader] = {
    "labels": texts,
    "at_least": whole,
    "at_most": whole,
    "zone": _zone,
    "anchor": text,
    "line": _line,
    "dwell_seconds": number,
    "event": text,
}
