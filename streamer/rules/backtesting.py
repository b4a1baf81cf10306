"""When a rule would have fired: it is replayed over what was answered before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from streamer.results import Detection, FrameResult
from streamer.rules.rule import Rule
from streamer.rules.watching import MAX_SILENCE_SECONDS, Change, RuleWatcher

Answer = Callable[[float, FrameResult], Mapping[str, Any] | None]
"""Asks the rule's question about the stored picture of a result ``(at, result)``: a check's answer, or None."""


@dataclass(frozen=True, slots=True)
class Fired:
    """An alert as it would have been."""

    began_at: float
    """Unix seconds."""
    reason: str
    ended_at: float | None
    """Unix seconds; None where it was still on at the last result."""
    end_reason: str | None
    media_seconds: float | None
    """Of the confirming picture."""
    detections: tuple[Detection, ...]

    @property
    def duration_seconds(self) -> float | None:
        return None if self.ended_at is None else self.ended_at - self.began_at


@dataclass(frozen=True, slots=True)
class Backtest:
    """What came of a replay. Of the results, each counts once: met, missed, unknown or off duty."""

    fired: tuple[Fired, ...]
    """In order of time."""
    met: int
    missed: int
    unknown: int
    """Results that say nothing of the rule: an error, neither yes nor no, the question was not asked."""
    off_duty: int
    """Results outside the rule's schedule."""

    @property
    def results(self) -> int:
        return self.met + self.missed + self.unknown + self.off_duty


def backtest(
    rule: Rule,
    results: Iterable[tuple[float, FrameResult]],
    *,
    answer: Answer | None = None,
    ask_again: bool = False,
    max_silence_seconds: float = MAX_SILENCE_SECONDS,
) -> Backtest:
    """Replays ``rule``, as if it were enabled, over the stored ``(at, result)`` of one stream in order of time.

    ``answer`` is asked where a result has no answer to the rule's question (``ask_again``: everywhere, for a question
    that was changed), not for those outside the schedule, and not again for unchanged pictures.
    """
    replay = _Replay(replace(rule, enabled=True), answer, ask_again, max_silence_seconds)
    for at, result in results:
        replay.see(at, result)
    counts = replay.counts
    return Backtest(tuple(replay.fired), counts["met"], counts["missed"], counts["unknown"], counts["off duty"])


class _Replay:
    def __init__(self, rule: Rule, answer: Answer | None, ask_again: bool, max_silence_seconds: float) -> None:
        self._rule, self._answer, self._ask_again = rule, answer, ask_again
        self._watcher = RuleWatcher(rule, "", max_silence_seconds=max_silence_seconds)
        self._newest: Mapping[str, Any] | None = None
        self.fired: list[Fired] = []
        self.counts = {"met": 0, "missed": 0, "unknown": 0, "off duty": 0}

    def see(self, at: float, result: FrameResult) -> None:
        on_duty = self._rule.on_duty(at)
        if not result.reused:
            self._newest = None
        if on_duty and self._rule.question is not None and self._answer is not None and result.error is None:
            result = self._answered(self._answer, at, result)
        for change in self._watcher.see(result, at):
            self._note(change)
        outcome = self._watcher.outcome
        holds = None if outcome is None else outcome.holds
        self.counts["off duty" if not on_duty else "unknown" if holds is None else "met" if holds else "missed"] += 1

    def _answered(self, answer: Answer, at: float, result: FrameResult) -> FrameResult:
        name = self._rule.task_name
        if name in result.answers and not self._ask_again:
            return result
        if self._newest is None:  # else the picture is the one that it was asked about
            self._newest = answer(at, result)
        answers = {key: value for key, value in result.answers.items() if key != name}
        return replace(result, answers=answers if self._newest is None else {**answers, name: self._newest})

    def _note(self, change: Change) -> None:
        if change.kind == "begin":
            fired = Fired(change.at, change.reason, None, None, change.media_seconds, change.detections)
            self.fired.append(fired)
        else:
            self.fired[-1] = replace(self.fired[-1], ended_at=change.at, end_reason=change.reason)
