"""What one result says of a rule: counts, zones, dwelling, coming, leaving and crossing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.results import Detection, FrameResult
from streamer.rules import Condition, Line, Rule
from streamer.rules.judging import DetectionJudge, Outcome, QuestionJudge, judge_for
from streamer.rules.presence import MAX_STAYS
from tests.rules.scenes import LADDER, LEFT_HALF, conditions, said, seen, thing

ACROSS = ((0.0, 0.5), (1.0, 0.5))
"""From left to right: who goes up crosses it to the left."""


def judged(condition: Condition, frames: Sequence[Sequence[Detection]], *, confirm: int = 1) -> list[bool | None]:
    """The outcomes of one result a second."""
    judge = DetectionJudge(condition, confirm)
    return [judge.see(seen(*things, seconds=float(at)), float(at)).holds for at, things in enumerate(frames)]


def once(condition: Condition, result: FrameResult) -> Outcome:
    return DetectionJudge(condition, 1).see(result, 0.0)


# -- questions


@pytest.mark.parametrize(("answer", "holds"), [(True, True), (False, False), (None, None)])
def test_a_question_goes_by_the_answer_alone(answer: bool | None, holds: bool | None) -> None:
    outcome = QuestionJudge(LADDER).see(said(answer, "yes, as everybody can see"), 0.0)
    assert outcome.holds is holds
    assert holds is None or outcome.reason == "yes, as everybody can see"


def test_a_rule_may_wait_for_a_no() -> None:
    rule = Rule("ladder", question="Is the ladder there?", answer=False)
    assert judge_for(rule).see(said(False), 0.0).holds is True
    assert judge_for(rule).see(said(True), 0.0).holds is False


@pytest.mark.parametrize("value", ["yes", "Yes.", {"answer": "yes"}, {"answer": 1}, {"text": "yes"}, None, ["yes"]])
def test_words_are_never_searched_for_a_yes(value: object) -> None:
    result = FrameResult("gate", 0, 0.0, (640, 360), answers={LADDER.task_name: value})
    assert QuestionJudge(LADDER).see(result, 0.0).holds is None


def test_a_question_that_was_not_asked_says_nothing() -> None:
    assert QuestionJudge(LADDER).see(seen(thing()), 0.0) == Outcome(None, "the question was not asked")


# -- states


def test_counts_are_of_the_labels_in_the_zone() -> None:
    crowd = seen(thing(0.1), thing(0.5, label=" Person "), thing(0.6), thing(0.2, label="dog"))
    assert once(Condition(("person",), at_least=2, zone=LEFT_HALF), crowd) == Outcome(
        True, "1 × person, 1 ×  Person  in the zone", crowd.detections[:2]
    )
    assert once(Condition(("person",), at_least=3, zone=LEFT_HALF), crowd).holds is False
    assert once(Condition(("person",), at_least=3), crowd).holds is True
    assert once(Condition(at_least=4), crowd).reason.startswith("2 × person")
    assert once(Condition(("cat",)), crowd) == Outcome(False, "nothing", ())


@pytest.mark.parametrize(("count", "holds"), [(0, False), (1, False), (2, True), (3, True), (4, False)])
def test_a_count_may_have_two_bounds(count: int, holds: bool) -> None:
    assert once(Condition(at_least=2, at_most=3), seen(*[thing()] * count)).holds is holds


def test_nothing_there_is_only_sure_where_the_picture_was_searched() -> None:
    empty = Condition(("person",), at_most=0)
    assert once(empty, seen()).holds is True
    assert once(empty, seen(thing())).holds is False
    assert once(empty, seen(answers={})).holds is None
    cut_off = once(empty, seen(notes={"detect": "cut off at 64 tokens"}))
    assert cut_off == Outcome(None, "what was detected is not complete: cut off at 64 tokens")


def test_boxes_may_come_of_a_task_of_another_name() -> None:
    """Where they were looked for and none was there, that is known as well."""
    nothing, gone = Condition(at_most=0), Condition(event="leaves")
    searched = seen(answers={"things": "```json\n[]\n```"})
    assert once(nothing, searched).holds is True
    assert once(nothing, replace(searched, notes={"things": "cut off at 9 tokens"})).holds is None
    assert once(nothing, seen(answers={"count": "none"})).holds is None
    assert once(gone, searched).reason == "nothing left"
    assert once(gone, seen(answers={})).reason == "nothing was looked for in the picture"


def test_something_there_is_sure_even_in_an_answer_that_was_cut_off() -> None:
    assert once(Condition(("person",)), seen(thing(), notes={"detect": "cut off"})).holds is True
    assert once(Condition(("person",)), seen(answers={})).holds is False


def test_dwelling_is_of_the_same_object() -> None:
    stays = Condition(dwell_seconds=3, zone=LEFT_HALF)
    assert judged(stays, [[thing(0.1, number=1)]] * 5) == [False, False, False, True, True]
    assert not any(judged(stays, [[thing(0.1, number=at)] for at in range(9)]))
    assert not any(judged(stays, [[thing(0.9, number=1)]] * 9))


def test_dwelling_outlives_a_missed_detection_and_not_an_absence() -> None:
    stays = Condition(dwell_seconds=3)
    here = [thing(number=1)]
    assert judged(stays, [here, here, [], here]) == [False, False, False, True]
    assert judged(stays, [here, here, [], [], [], here, here]) == [False] * 7


def test_so_many_must_have_dwelt() -> None:
    two = [thing(number=1), thing(number=2)]
    assert judged(Condition(dwell_seconds=2, at_least=2), [two[:1], two, two, two]) == [False, False, False, True]


# -- events


def test_what_comes_appears_once_and_what_was_there_does_not() -> None:
    old, new = thing(0.2, number=1), thing(0.8, number=2)
    appears = Condition(event="appears")
    assert judged(appears, [[old], [old], [old, new], [old, new], [old]]) == [False, False, True, False, False]
    assert judged(appears, [[old, new], [old, new]]) == [False, False]


def test_what_is_seen_once_has_not_appeared_where_two_in_a_row_are_asked_for() -> None:
    frames = [[], [thing(number=1)], [], [thing(number=1)], [thing(number=1)], [thing(number=1)]]
    assert judged(Condition(event="appears"), frames, confirm=2) == [False] * 4 + [True, False]


def test_what_goes_into_the_zone_appears_there() -> None:
    way = [[thing(x, number=1)] for x in (0.9, 0.7, 0.4, 0.3, 0.2)]
    assert judged(Condition(event="appears", zone=LEFT_HALF), way) == [False, False, True, False, False]


def test_what_is_gone_for_a_while_has_left() -> None:
    here = [thing(number=1)]
    assert judged(Condition(event="leaves"), [here, here, [], [], [], []]) == [False] * 4 + [True, False]
    assert not any(judged(Condition(event="leaves"), [here, here, [], [], here, here]))


def test_one_missed_detection_is_no_leaving_however_seldom_one_looks() -> None:
    judge = DetectionJudge(Condition(event="leaves"), 1)
    stories = enumerate([[thing(number=1)], [], [thing(number=1)], [], []])
    outcomes = [judge.see(seen(*things, seconds=10 * at), 10.0 * at).holds for at, things in stories]
    assert outcomes == [False, False, False, False, True]


def test_what_walks_out_of_the_zone_has_left_it() -> None:
    way = [[thing(x, number=1)] for x in (0.2, 0.4, 0.6, 0.7, 0.8, 0.9)]
    judge = DetectionJudge(Condition(("person",), event="leaves", zone=LEFT_HALF), 1)
    outcomes = [judge.see(seen(*things, seconds=at), at) for at, things in enumerate(way)]
    assert [outcome.holds for outcome in outcomes] == [False] * 4 + [True, False]
    assert outcomes[4].reason == "1 × person left the zone"


def test_what_was_seen_once_cannot_leave_where_two_in_a_row_are_asked_for() -> None:
    assert not any(judged(Condition(event="leaves"), [[], [thing(number=1)], *[[]] * 9], confirm=2))


def test_nothing_leaves_a_picture_that_was_not_searched() -> None:
    judge = DetectionJudge(Condition(event="leaves"), 1)
    judge.see(seen(thing(number=1)), 0)
    assert not any(judge.see(seen(answers={}, seconds=at), at).holds for at in range(1, 20))


@pytest.mark.parametrize(("direction", "expected"), [("any", 2), ("left", 1), ("right", 1)])
def test_a_line_is_crossed_in_its_direction(direction: str, expected: int) -> None:
    condition = Condition(("person",), line=Line(ACROSS, direction))  # type: ignore[arg-type]
    way = [[thing(0.5, y, number=1)] for y in (0.8, 0.6, 0.4, 0.2, 0.4, 0.6)]
    outcomes = judged(condition, way, confirm=2)
    assert outcomes.count(True) == expected
    assert outcomes[2] == (direction != "right")


def test_who_stands_on_the_line_crosses_it_once() -> None:
    trembling = [[thing(0.5, 0.5 + (0.005 if at % 2 else -0.005), number=1)] for at in range(20)]
    assert judged(Condition(line=Line(ACROSS)), trembling).count(True) == 1


def test_two_objects_on_two_sides_cross_nothing() -> None:
    two = [thing(0.5, 0.4, number=1), thing(0.5, 0.6, number=2)]
    assert not any(judged(Condition(line=Line(ACROSS)), [two, two[::-1], two]))
    twins = [thing(0.5, 0.4, number=1), thing(0.5, 0.6, number=1)]
    assert not any(judged(Condition(line=Line(ACROSS)), [twins, twins]))


@pytest.mark.parametrize(
    "condition",
    [
        Condition(line=Line(ACROSS)),
        Condition(event="appears"),
        Condition(event="leaves"),
        Condition(dwell_seconds=1),
    ],
)
def test_without_track_ids_no_way_is_known_and_that_is_said(condition: Condition) -> None:
    judge = DetectionJudge(condition, 1)
    outcomes = [judge.see(seen(thing(0.5, 0.1 * at), seconds=at), at) for at in range(9)]
    assert {outcome.holds for outcome in outcomes} == {False}
    assert outcomes[-1].reason == "1 × person without a track id, which this rule needs"


def test_a_source_that_begins_anew_makes_nothing_appear_leave_or_cross() -> None:
    frames = [(0.0, thing(0.5, 0.8, number=1)), (1.0, thing(0.5, 0.8, number=1)), (0.0, thing(0.5, 0.2, number=1))]
    for condition in (Condition(event="appears"), Condition(event="leaves"), Condition(line=Line(ACROSS))):
        judge = DetectionJudge(condition, 1)
        outcomes = [judge.see(seen(who, seconds=media), at).holds for at, (media, who) in enumerate(frames)]
        assert outcomes == [False, False, False]


def test_memory_is_bounded_while_time_goes_on_and_while_it_stands() -> None:
    judge = DetectionJudge(Condition(event="leaves"), 1)
    for at in range(3000):
        judge.see(seen(thing(number=at), seconds=at), float(at))
        assert judge.remembered <= 5
    for number in range(3000, 3000 + 3 * MAX_STAYS):
        judge.see(seen(thing(number=number), seconds=3000), 3000.0)
    assert judge.remembered <= MAX_STAYS


things = st.builds(
    thing, st.floats(0, 1), st.floats(0, 1), st.none() | st.integers(1, 4), st.sampled_from(["person", "car"])
)


@settings(max_examples=50)
@given(
    condition=conditions,
    frames=st.lists(st.tuples(st.lists(things, max_size=5), st.floats(-5, 5), st.floats(-5, 100)), max_size=30),
)
def test_no_results_and_no_times_break_it(
    condition: Condition, frames: list[tuple[list[Detection], float, float]]
) -> None:
    judge = DetectionJudge(condition, 2)
    for found, media, at in frames:
        outcome = judge.see(seen(*found, seconds=media), at)
        assert outcome.reason
        assert set(outcome.detections) <= set(found)
        assert judge.remembered <= 4
