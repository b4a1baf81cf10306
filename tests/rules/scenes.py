"""Results as a model would give them, for the tests of rules."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from streamer.geometry import Box
from streamer.results import Detection, FrameResult
from streamer.rules import Condition, Line, Polygon, Rule, Schedule, TimeRange
from streamer.rules.schedule import DAYS

LEFT_HALF = Polygon(((0, 0), (0.5, 0), (0.5, 1), (0, 1)))
LADDER = Rule("ladder", question="Is someone on the ladder?")


def thing(x: float = 0.5, y: float = 0.5, number: int | None = None, label: str = "person") -> Detection:
    """A small object that stands at that point."""
    return Detection(label, Box(x - 0.02, y - 0.04, x + 0.02, y), number)


def seen(*things: Detection, seconds: float = 0.0, **fields: Any) -> FrameResult:
    """A frame in which these were found."""
    fields.setdefault("answers", {"detect": "```json"})
    return FrameResult("gate", 0, seconds, (640, 360), detections=things, **fields)


def said(answer: bool | None, reason: str | None = None, *, rule: Rule = LADDER, **fields: Any) -> FrameResult:
    """A frame about which the rule's question was answered."""
    value = {"answer": answer, "reason": reason, "text": "yes and no"}
    return FrameResult("gate", 0, 0.0, (640, 360), answers={rule.task_name: value}, **fields)


fractions = st.floats(0, 1)
points = st.tuples(fractions, fractions)
lines = st.builds(
    Line,
    st.tuples(points, points).filter(lambda pair: abs(pair[0][0] - pair[1][0]) > 0.01),
    st.sampled_from(["any", "left", "right"]),
)
polygons = st.builds(
    lambda first, rest: Polygon(((0.0, 0.0), (first, 0.0), (0.0, 1.0), *rest)),
    st.floats(0.1, 1),
    st.lists(points, max_size=10),
)
labels = st.lists(st.sampled_from(["person", "car", "traffic light", "Hund"]), max_size=3).map(tuple)
anchors = st.sampled_from(["bottom", "centre"])
zones = st.none() | polygons
conditions = st.one_of(
    st.builds(Condition, labels, at_least=st.integers(1, 9), zone=zones, anchor=anchors),
    st.builds(Condition, labels, st.integers(0, 3), st.integers(3, 9), zones, anchors),
    st.builds(Condition, labels, at_most=st.integers(0, 9), zone=zones),
    st.builds(Condition, labels, line=lines, anchor=anchors),
    st.builds(Condition, labels, st.none() | st.integers(1, 9), zone=zones, dwell_seconds=st.floats(0.1, 1000)),
    st.builds(Condition, labels, zone=zones, event=st.sampled_from(["appears", "leaves"])),
)
_minutes = st.integers(0, 1439).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")
time_ranges = (
    st.tuples(st.lists(st.sampled_from(DAYS), max_size=7).map(tuple), _minutes, _minutes | st.just("24:00"))
    .filter(lambda parts: parts[1] != parts[2])
    .map(lambda parts: TimeRange(*parts))
)
schedules = st.builds(
    Schedule,
    st.lists(time_ranges, min_size=1, max_size=4).map(tuple),
    st.sampled_from([None, "Europe/Berlin", "America/Havana", "Australia/Lord_Howe", "UTC"]),
)
_names = st.text("abc -é木", min_size=1, max_size=60).filter(lambda name: name == name.strip())
_settings: dict[str, st.SearchStrategy[Any]] = {
    "streams": st.lists(st.sampled_from(["gate", "gate-*", "yard?"]), max_size=3).map(tuple),
    "confirm": st.integers(1, 1000),
    "release": st.integers(1, 1000),
    "cooldown_seconds": st.floats(0, 604_800),
    "schedule": st.none() | schedules,
    "severity": st.sampled_from(["info", "warning", "critical"]),
    "enabled": st.booleans(),
    "describe": st.booleans(),
    "channels": st.lists(st.text(min_size=1, max_size=100), max_size=3).map(tuple),
}
rules = st.one_of(
    st.builds(Rule, _names, st.text(min_size=1).filter(str.strip), st.booleans(), **_settings),
    st.builds(Rule, _names, when=conditions, **_settings),
)
