"""When an alert of one rule on one stream begins and ends. Values in, values out: time is an argument."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from streamer.results import Detection, FrameResult
from streamer.rules.judging import Outcome, judge_for
from streamer.rules.rule import Rule

MAX_SILENCE_SECONDS = 60.0
"""After which, without a result that says yes or no, an alert ends and confirmation begins anew."""
CLOCK_SET_SECONDS = 120.0
"""Times that go back by more are those of a clock that was set; by less, of results that took long."""

ChangeKind = Literal["begin", "end"]
StateKind = Literal["idle", "confirming", "active", "releasing", "cooling", "off schedule", "disabled"]


@dataclass(frozen=True, slots=True)
class Change:
    """An alert began or ended."""

    kind: ChangeKind
    at: float
    """Unix seconds; an end is never before its beginning."""
    reason: str
    detections: tuple[Detection, ...] = ()
    """Those that made the rule hold; none at an end."""
    media_seconds: float | None = None
    """Of the picture that decided; None where none did."""


@dataclass(frozen=True, slots=True)
class WatchState:
    """Where a rule stands on a stream, for showing."""

    kind: StateKind
    count: int = 0
    """Confirming: results in a row that met the rule; releasing: that did not."""
    needed: int = 0
    """How many of them are asked for."""
    since: float | None = None
    """Unix seconds, when the alert that is on began."""
    until: float | None = None
    """Unix seconds, when the cooldown is over."""


class SteadyClock:
    """Makes of times that may be set back ones that go on. Times a little out of order stay as they are."""

    def __init__(self) -> None:
        self.latest = -math.inf
        """The greatest time so far, by this clock."""
        self._ahead = 0.0

    def read(self, at: float) -> float:
        if at + self._ahead < self.latest - CLOCK_SET_SECONDS:
            self._ahead = self.latest - at
        steady = at + self._ahead
        self.latest = max(self.latest, steady)
        return steady

    def shown(self, steady: float) -> float:
        """The time that the set clock shows then."""
        return steady - self._ahead


class RuleWatcher:
    """Follows one rule on one stream. A changed rule needs a new watcher. Used from one thread at a time.

    An alert begins when ``rule.confirm`` results in a row met the rule (for events: at once), not within the cooldown
    of the one before, and ends when ``rule.release`` in a row did not. Results that say nothing (an error, neither yes
    nor no) count for neither, and break no row. Results that took over the answers of the one before count.
    """

    def __init__(
        self,
        rule: Rule,
        stream: str,
        *,
        max_silence_seconds: float = MAX_SILENCE_SECONDS,
        cool_until: float = -math.inf,
    ) -> None:
        """``max_silence_seconds``: should be several times the stream's interval between results. ``cool_until``: Unix
        seconds until which an alert of an earlier run keeps others from beginning."""
        self.rule, self.stream = rule, stream
        self.outcome: Outcome | None = None
        """What the newest result said of the rule."""
        self._judge = judge_for(rule)
        self._needed = 1 if self._judge.momentary else rule.confirm
        self.max_silence_seconds = max_silence_seconds
        """May be changed while it watches."""
        self._clock = SteadyClock()
        self._met = self._missed = 0
        self._began_at: float | None = None
        self._began = -math.inf
        self._heard: float | None = None
        self._cool_until = cool_until
        self._on_duty, self._open = True, rule.enabled

    @property
    def active(self) -> bool:
        """Whether an alert has begun and not ended."""
        return self._began_at is not None

    @property
    def state(self) -> WatchState:
        """As of the newest time that it was told."""
        if not self._open:
            return WatchState("disabled")
        if self._began_at is not None:
            releasing: StateKind = "releasing" if self._missed else "active"
            return WatchState(releasing, self._missed, self.rule.release, since=self._began_at)
        if not self._on_duty:
            return WatchState("off schedule")
        if self._clock.latest < self._cool_until:
            return WatchState("cooling", self._met, self._needed, until=self._clock.shown(self._cool_until))
        return WatchState("confirming" if self._met else "idle", self._met, self._needed)

    def see(self, result: FrameResult, at: float) -> tuple[Change, ...]:
        """Takes a result of the stream, in order of time. ``at``: Unix seconds when its picture was captured.

        Returns what changed: nothing, an end, a beginning, or an end (of an alert after which nothing was seen for
        long) and a beginning.
        """
        changes = list(self.pass_time(at))
        if not self._open:
            return ()
        now = self._clock.read(at)
        error = result.error
        self.outcome = self._judge.see(result, now) if error is None else Outcome(None, f"no answer: {error}")
        if self.outcome.holds is None:
            return tuple(changes)
        self._heard = now if self._heard is None else max(now, self._heard)
        if self._on_duty:
            changes += self._count(self.outcome, result, at, now)
        return tuple(changes)

    def pass_time(self, at: float) -> tuple[Change, ...]:
        """To be called now and then, with the time now in Unix seconds, so that an alert ends where no result comes any
        more, and with the schedule."""
        if not self._open:
            return ()
        now = self._clock.read(at)
        self._on_duty = self.rule.on_duty(at)
        changes: tuple[Change, ...] = ()
        if self._heard is not None and now - self._heard > self.max_silence_seconds:
            silent = self._heard + self.max_silence_seconds
            changes = self._end(self._clock.shown(silent), silent, self._silence())
            self._judge.forget()
            self._heard, self._met, self._missed = None, 0, 0
        if not self._on_duty:
            changes += self._end(at, now, "the rule is off by its schedule")
            self._met = self._missed = 0
        return changes

    def close(self, at: float) -> tuple[Change, ...]:
        """The rule or the stream was removed: ends its alert. Nothing comes of later calls."""
        changes = self._end(at, self._clock.read(at), "the rule is not watched any more") if self._open else ()
        self._open = False
        return changes

    def _count(self, outcome: Outcome, result: FrameResult, at: float, now: float) -> tuple[Change, ...]:
        if outcome.holds:
            self._met, self._missed = self._met + 1, 0
        else:
            self._met, self._missed = 0, self._missed + 1
        if self.active:
            over = self._missed >= self.rule.release
            return self._end(at, now, f"not any more: {outcome.reason}", result.time_seconds) if over else ()
        if self._met < self._needed or now < self._cool_until:
            return ()
        self._began_at, self._began = at, now
        return (Change("begin", at, outcome.reason, outcome.detections, result.time_seconds),)

    def _end(self, at: float, now: float, reason: str, media_seconds: float | None = None) -> tuple[Change, ...]:
        """``at`` as shown, ``now`` by the steady clock."""
        if self._began_at is None:
            return ()
        at = max(at, self._began_at)
        self._began_at, self._missed = None, 0
        self._cool_until = max(now, self._began) + self.rule.cooldown_seconds
        return (Change("end", at, reason, (), media_seconds),)

    def _silence(self) -> str:
        why = self.outcome.reason if self.outcome is not None and self.outcome.holds is None else ""
        return f"nothing was seen for {self.max_silence_seconds:g} s" + (f" ({why})" if why else "")
