"""Whether one result meets a rule, and why. A rule on objects' ways keeps in mind where they were."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from streamer.results import Detection, FrameResult
from streamer.rules.conditions import Condition
from streamer.rules.presence import Presence, Stay
from streamer.rules.rule import Rule
from streamer.rules.shapes import Line

_DETECT = "detect"
"""Name of the task that detections come from, as `Task.detect` has it; people may call it otherwise."""
_BOXES = ("```json", "[", "{")
"""How lists of boxes begin."""
CLEARANCE = 0.02
"""How far from the line, of the picture, an object that crossed it must have been before it can cross it again: one
that stands on the line does not cross it with every trembling of its box."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one result says of a rule."""

    holds: bool | None
    """None: it says nothing, it neither meets nor misses the rule."""
    reason: str
    """Why, in the model's words or by numbers."""
    detections: tuple[Detection, ...] = ()
    """Those that make it hold."""


class Judge(Protocol):
    """Says of results in order of time whether they meet a rule."""

    momentary: bool
    """Whether the rule is an event, which holds in one result only."""

    def see(self, result: FrameResult, seconds: float) -> Outcome:
        """``seconds``: when the picture was captured, on any steady clock. Not for results with an error."""

    def forget(self) -> None:
        """What was seen before has nothing to do with what comes."""


def judge_for(rule: Rule) -> Judge:
    return QuestionJudge(rule) if rule.when is None else DetectionJudge(rule.when, rule.confirm)


class QuestionJudge:
    """By the model's yes or no, and nothing else that it said."""

    momentary = False

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def see(self, result: FrameResult, seconds: float) -> Outcome:
        said = result.answers.get(self._rule.task_name)
        if not isinstance(said, Mapping):
            return Outcome(None, "the question was not asked")
        answer = said.get("answer")
        if not isinstance(answer, bool):
            return Outcome(None, "the model said neither yes nor no")
        reason = said.get("reason") or said.get("text") or ("yes" if answer else "no")
        return Outcome(answer == self._rule.answer, str(reason))

    def forget(self) -> None:
        pass


class DetectionJudge:
    """By the objects detected."""

    def __init__(self, condition: Condition, confirm: int) -> None:
        self._condition = condition
        self.momentary = condition.momentary
        self._presence = Presence(confirm)
        self._media_seconds = -math.inf

    @property
    def remembered(self) -> int:
        """How many objects it keeps in mind."""
        return len(self._presence)

    def forget(self) -> None:
        self._presence.forget()

    def see(self, result: FrameResult, seconds: float) -> Outcome:
        if result.time_seconds < self._media_seconds:  # the source began anew, and track ids with it
            self.forget()
        self._media_seconds = result.time_seconds
        found = [detection for detection in result.detections if self._condition.matches(detection)]
        if self._condition.needs_ids:
            return self._by_ids(result, found, seconds)
        if self._condition.at_most is not None and (doubt := _doubt(result)):
            return Outcome(None, doubt)
        return self._counted(found)

    def _by_ids(self, result: FrameResult, found: Sequence[Detection], seconds: float) -> Outcome:
        if not result.detections and not _looked_for(result):
            return Outcome(False, "nothing was looked for in the picture")  # so nothing has left
        named: dict[int, Detection] = {}
        for detection in found:
            if detection.track_id is not None:
                named.setdefault(detection.track_id, detection)
        here, left = self._presence.see({number: self._condition.point(named[number]) for number in named}, seconds)
        nameless = [detection for detection in found if detection.track_id is None]
        outcome = self._what_happened(named, here, left, seconds)
        if nameless and not outcome.holds:
            return Outcome(False, f"{_listed(nameless)} without a track id, which this rule needs")
        return outcome

    def _what_happened(
        self, named: Mapping[int, Detection], here: Mapping[int, Stay], left: tuple[int, ...], seconds: float
    ) -> Outcome:
        condition = self._condition
        if condition.line is not None:
            line = condition.line
            return _event("crossed the line", [named[number] for number in named if _crosses(here[number], line)])
        if condition.event == "leaves":
            who = f"{len(left)} × {' or '.join(condition.labels) or 'object'}" if left else "nothing"
            return Outcome(bool(left), f"{who} left{' the zone' if condition.zone else ''}")
        if condition.event == "appears":
            return _event(f"appeared{condition.place}", [named[number] for number in named if _appears(here[number])])
        least = (condition.dwell_seconds or 0.0) - 1e-6
        return self._counted([named[number] for number in named if seconds - here[number].since >= least])

    def _counted(self, found: Sequence[Detection]) -> Outcome:
        low, high = self._condition.bounds
        dwell = self._condition.dwell_seconds
        stay = "" if dwell is None else f" for {dwell:g} s or longer"
        return Outcome(low <= len(found) <= high, f"{_listed(found)}{self._condition.place}{stay}", tuple(found))


def _doubt(result: FrameResult) -> str | None:
    """Why there may be more in the picture than was detected."""
    names = _looked_for(result)
    if problem := next((result.notes[name] for name in names if name in result.notes), None):
        return f"what was detected is not complete: {problem}"
    if not result.detections and not names:
        return "nothing was looked for in the picture"
    return None


def _looked_for(result: FrameResult) -> list[str]:
    """The names of its answers that are lists of boxes."""
    said = {name: answer for name, answer in result.answers.items() if isinstance(answer, str)}
    return [name for name, answer in said.items() if name == _DETECT or answer.lstrip().startswith(_BOXES)]


def _appears(stay: Stay) -> bool:
    """True once in a stay."""
    if stay.told or not stay.proven:
        return False
    stay.told = True
    return True


def _crosses(stay: Stay, line: Line) -> bool:
    side = None if stay.before is None else line.crossing(stay.before, stay.point)
    crosses = stay.armed and line.counts(side)
    if line.distance(stay.point) >= CLEARANCE:
        stay.armed = True
    elif side is not None:
        stay.armed = False
    return crosses


def _event(what: str, who: Sequence[Detection]) -> Outcome:
    return Outcome(bool(who), f"{_listed(who)} {what}", tuple(who))


def _listed(found: Sequence[Detection]) -> str:
    """``2 × person, 1 × car``"""
    counts = Counter(detection.label for detection in found)
    return ", ".join(f"{count} × {label}" for label, count in counts.items()) or "nothing"
