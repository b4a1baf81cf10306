"""A rule replayed over what was answered before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streamer.results import FrameResult
from streamer.rules import Condition, Rule, RuleWatcher, Schedule, TimeRange, backtest
from tests.rules.scenes import LADDER, said, seen, thing

PERSON = Rule("person", when=Condition(("person",)), confirm=2, release=2, cooldown_seconds=5)


def stored(pattern: str) -> list[tuple[float, FrameResult]]:
    """One result a second: a person (#) or nobody (.)."""
    return [(float(at), seen(*[thing()] * (word == "#"), seconds=at)) for at, word in enumerate(pattern)]


def test_it_says_when_the_rule_would_have_fired_and_for_how_long() -> None:
    outcome = backtest(PERSON, stored(".###..#########"))
    assert [(fired.began_at, fired.ended_at, fired.duration_seconds) for fired in outcome.fired] == [
        (2, 5, 3),
        (10, None, None),
    ]
    assert outcome.fired[0].reason == "1 × person"
    assert outcome.fired[0].end_reason == "not any more: nothing"
    assert outcome.fired[0].media_seconds == 2
    assert len(outcome.fired[0].detections) == 1
    assert (outcome.met, outcome.missed, outcome.unknown, outcome.results) == (12, 3, 0, 15)


def test_a_disabled_rule_is_tried_too() -> None:
    assert len(backtest(replace(PERSON, enabled=False), stored("###")).fired) == 1


def test_a_hole_in_what_is_stored_ends_an_alert() -> None:
    results = [(at + 1000 * (at > 4), result) for at, result in stored("#########")]
    fired = backtest(PERSON, results).fired
    assert [(alert.began_at, alert.ended_at) for alert in fired] == [(1, 64), (1006, None)]


def test_a_new_question_is_unknown_without_anybody_to_ask() -> None:
    outcome = backtest(LADDER, stored("####"))
    assert (outcome.fired, outcome.unknown) == ((), 4)


def test_a_new_question_is_asked_once_a_picture() -> None:
    asked: list[float] = []

    def ask(at: float, result: FrameResult) -> dict[str, Any] | None:
        asked.append(at)
        return {"answer": bool(result.detections), "reason": "a person", "text": ""} if at != 3 else None

    results = stored(".##.##")
    results[2] = (2, replace(results[2][1], reused=True))
    results[4] = (4, replace(results[4][1], error="the model failed"))
    outcome = backtest(LADDER, results, answer=ask)
    assert asked == [0, 1, 3, 5]
    assert [(fired.began_at, fired.reason) for fired in outcome.fired] == [(2, "a person")]
    assert (outcome.met, outcome.missed, outcome.unknown) == (3, 1, 2)


def test_stored_answers_stand_unless_the_question_was_changed() -> None:
    results = [(float(at), said(True)) for at in range(4)]

    def ask(at: float, result: FrameResult) -> dict[str, Any]:
        return {"answer": False, "reason": None, "text": "No."}

    assert backtest(LADDER, results, answer=ask).met == 4
    assert backtest(LADDER, results, answer=ask, ask_again=True).missed == 4


def test_outside_the_schedule_nobody_is_asked() -> None:
    rule = replace(LADDER, schedule=Schedule((TimeRange((), "00:00", "00:01"),), "UTC"))
    asked: list[float] = []

    def ask(at: float, result: FrameResult) -> None:
        asked.append(at)

    outcome = backtest(rule, [(at + 58, result) for at, result in stored("....")], answer=ask)
    assert asked == [58, 59]
    assert (outcome.unknown, outcome.off_duty) == (2, 2)


@given(pattern=st.text("#.", max_size=60))
def test_it_fires_as_the_live_rule_does(pattern: str) -> None:
    watcher = RuleWatcher(PERSON, "gate")
    live = [change for at, result in stored(pattern) for change in watcher.see(result, at)]
    fired = backtest(PERSON, iter(stored(pattern))).fired
    replayed = [at for alert in fired for at in (alert.began_at, alert.ended_at) if at is not None]
    assert replayed == [change.at for change in live]
