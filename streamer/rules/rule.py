"""A rule: what to look for on which streams, how sure to be of it, when, and whom to tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streamer.alerts import SEVERITIES, Severity
from streamer.errors import OptionError
from streamer.patterns import matches
from streamer.reading import Reader, flag, number, placed, read, text, texts, whole
from streamer.rules.conditions import Condition
from streamer.rules.schedule import Schedule
from streamer.tasks import Task

MAX_NAME = 60
MAX_QUESTION = 500
MAX_FRAMES = 1000
MAX_COOLDOWN_SECONDS = 7 * 86_400.0
MAX_NAMES = 100
"""Patterns of streams, and channels, of one rule."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Either a ``question``, answered yes or no by the model, or a condition on what is detected (``when``)."""

    name: str
    """1 to 60 printable characters; unique among the rules."""
    question: str | None = None
    """Asked about each frame together with the stream's other tasks."""
    answer: bool = True
    """Which answer to ``question`` makes the rule hold: True is yes."""
    when: Condition | None = None
    streams: tuple[str, ...] = ()
    """Names of streams, or patterns of them (``gate-*``); empty: all."""
    confirm: int = 2
    """Results in a row that must meet the rule before an alert begins. A condition that is an event happens in one
    result, so there it is asked of the object: ``appears`` once it was seen in so many results in a row, ``leaves``
    once it was missed in so many after having been seen in so many. A line is crossed at once."""
    release: int = 3
    """Results in a row that must not meet the rule before its alert ends."""
    cooldown_seconds: float = 60.0
    """After an alert's end, for so long no other one of this rule begins on the same stream. Where the rule is (still)
    met when that is over, an alert begins with the next result; an event in that time is lost."""
    schedule: Schedule | None = None
    """When it is on duty; None: always."""
    severity: Severity = "warning"
    enabled: bool = True
    describe: bool = True
    """Whether the model is asked to describe the picture once the alert is out."""
    channels: tuple[str, ...] = ()
    """Names of the channels that are told; empty: all."""

    def __post_init__(self) -> None:
        plain = self.name == self.name.strip() and self.name.isprintable() and self.name not in (".", "..")
        if not 1 <= len(self.name) <= MAX_NAME or not plain:
            raise OptionError(
                "name", self.name, f"1 to {MAX_NAME} printable characters, no blanks around them, no dots alone"
            )
        self._check_subject()
        for option, count in (("confirm", self.confirm), ("release", self.release)):
            if not 1 <= count <= MAX_FRAMES:
                raise OptionError(option, count, f"a whole number from 1 to {MAX_FRAMES}")
        if not 0 <= self.cooldown_seconds <= MAX_COOLDOWN_SECONDS:
            raise OptionError("cooldown_seconds", self.cooldown_seconds, f"a number from 0 to {MAX_COOLDOWN_SECONDS:g}")
        if self.severity not in SEVERITIES:
            raise OptionError("severity", self.severity, "one of " + ", ".join(SEVERITIES))
        for option, names in (("streams", self.streams), ("channels", self.channels)):
            if len(names) > MAX_NAMES or not all(1 <= len(name) <= 100 for name in names):
                raise OptionError(option, list(names), f"at most {MAX_NAMES} names of 1 to 100 characters")

    def _check_subject(self) -> None:
        if (self.question is None) == (self.when is None):
            both = "neither" if self.question is None else "both"
            raise OptionError("question", self.question, f'either "question" or "when", not {both}')
        if self.question is not None and not (self.question.strip() and len(self.question) <= MAX_QUESTION):
            raise OptionError("question", self.question, f"some words, at most {MAX_QUESTION} characters")
        if self.when is not None and not self.answer:
            raise OptionError("answer", self.answer, 'none beside "when": it is for a question')

    def applies_to(self, stream: str) -> bool:
        return not self.streams or matches(stream, self.streams)

    def on_duty(self, at_unix: float) -> bool:
        return self.schedule is None or self.schedule.holds(at_unix)

    @property
    def task_name(self) -> str:
        """Key of the question's answer in `FrameResult.answers`."""
        return f"rule:{self.name}"

    def task(self) -> Task | None:
        """What must be asked of each frame; None for a rule on detections, which needs `labels` detected."""
        return None if self.question is None else Task.check(self.question, name=self.task_name)

    @property
    def labels(self) -> tuple[str, ...]:
        """What must be detected for a rule with ``when``; empty there means everything."""
        return () if self.when is None else self.when.labels

    @property
    def title(self) -> str:
        """One line: what has happened when it holds."""
        if self.when is not None:
            return self.when.title
        return f"{' '.join((self.question or '').split())} {'Yes' if self.answer else 'No'}."

    @classmethod
    def from_mapping(cls, mapping: object, where: str = "rule") -> Rule:
        """Of TOML or JSON values with the names of the fields. Null counts as left out.

        Raises `OptionError` that names the place (``rules[2].confirm``, with ``where="rules[2]"``), the value and what
        can be there, also for unknown names.
        """
        values = read(mapping, where, _READERS, required=("name",))
        with placed(where):
            return cls(**values)

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values, which `from_mapping` takes back; what is None is left out."""
        values: dict[str, Any] = {
            "name": self.name,
            "question": self.question,
            "answer": None if self.question is None else self.answer,
            "when": self.when.to_mapping() if self.when else None,
            "streams": list(self.streams),
            "confirm": self.confirm,
            "release": self.release,
            "cooldown_seconds": self.cooldown_seconds,
            "schedule": self.schedule.to_mapping() if self.schedule else None,
            "severity": self.severity,
            "enabled": self.enabled,
            "describe": self.describe,
            "channels": list(self.channels),
        }
        return {key: value for key, value in values.items() if value is not None}


_READERS: Mapping[str, Reader] = {
    "name": text,
    "question": text,
    "answer": flag,
    "when": Condition.from_mapping,
    "streams": texts,
    "confirm": whole,
    "release": whole,
    "cooldown_seconds": number,
    "schedule": Schedule.from_mapping,
    "severity": text,
    "enabled": flag,
    "describe": flag,
    "channels": texts,
}
