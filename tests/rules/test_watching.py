"""When alerts begin and end: confirmation, hysteresis, cooldown, silence and schedule."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.results import FrameResult
from streamer.rules import Change, Condition, Line, Rule, RuleWatcher, Schedule, TimeRange
from streamer.rules.watching import MAX_SILENCE_SECONDS
from tests.rules.scenes import LADDER, said, seen, thing

ERROR = FrameResult("gate", 0, 0.0, (640, 360), error="the model failed")
WORDS = {"y": said(True, "a man on it"), "n": said(False, "nobody"), "?": said(None), "e": ERROR}


def follow(watcher: RuleWatcher, story: str, *, start: float = 0.0, step: float = 1.0) -> list[tuple[str, float]]:
    """What changed over a story of answers: y, n, ? (neither), e (an error), one a ``step`` seconds."""
    changes: list[Change] = []
    for place, word in enumerate(story):
        changes += watcher.see(WORDS[word], start + place * step)
    return [(change.kind, change.at) for change in changes]


def watch(**fields: float) -> RuleWatcher:
    return RuleWatcher(replace(LADDER, **fields), "gate")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("story", "changes"),
    [
        ("yyyyyyyyyy", [("begin", 1)]),
        ("ynynynynyn", []),
        ("y?y", [("begin", 2)]),
        ("yey", [("begin", 2)]),
        ("??ee", []),
        ("yynnynnynn", [("begin", 1)]),
        ("yynnn", [("begin", 1), ("end", 4)]),
        ("yyn?n?en", [("begin", 1), ("end", 7)]),
        ("yynnnyyyyyyy", [("begin", 1), ("end", 4)]),
    ],
)
def test_begins_after_two_in_a_row_and_ends_after_three_not(story: str, changes: list[tuple[str, float]]) -> None:
    assert follow(watch(), story) == changes


def test_still_met_when_the_cooldown_is_over_it_begins_then() -> None:
    assert follow(watch(cooldown_seconds=10), "yynnn" + "y" * 20) == [("begin", 1), ("end", 4), ("begin", 14)]


def test_reused_answers_count_as_frames() -> None:
    watcher = watch()
    assert watcher.see(WORDS["y"], 0) == ()
    assert [change.kind for change in watcher.see(replace(WORDS["y"], reused=True), 1)] == ["begin"]


def test_a_change_says_why_when_and_by_what() -> None:
    watcher = RuleWatcher(Rule("gate", when=Condition(("person",)), confirm=1, release=1), "gate")
    found = seen(thing(), seconds=7.5)
    assert watcher.see(found, 100) == (Change("begin", 100, "1 × person", found.detections, 7.5),)
    assert watcher.see(seen(seconds=8.5), 101) == (Change("end", 101, "not any more: nothing", (), 8.5),)


def test_an_event_begins_at_once_goes_on_with_the_next_and_ends_by_release() -> None:
    line = Condition(line=Line(((0, 0.5), (1, 0.5))))
    watcher = RuleWatcher(Rule("line", when=line, confirm=5, release=2, cooldown_seconds=3), "gate")
    ways = [0.7, 0.3, 0.3, 0.7, 0.7, 0.7, 0.3, 0.7, 0.7, 0.3]
    changes = [change for at, y in enumerate(ways) for change in watcher.see(seen(thing(0.5, y, 1), seconds=at), at)]
    # 0.3 again at 6 falls into the cooldown, and is lost
    assert [(change.kind, change.at) for change in changes] == [("begin", 1), ("end", 5), ("begin", 9)]


def test_21_hits_with_gaps_in_15_seconds_are_one_alert() -> None:
    assert follow(watch(), "yyn" * 10, step=0.5) == [("begin", 0.5)]


# -- silence


def test_a_dead_camera_ends_the_alert_at_the_same_moment_however_seldom_it_is_asked() -> None:
    for asked in (62, 100, 5000):
        watcher = watch()
        follow(watcher, "yy")
        assert watcher.pass_time(30) == ()
        assert watcher.pass_time(asked) == (Change("end", 1 + MAX_SILENCE_SECONDS, "nothing was seen for 60 s"),)
        assert watcher.pass_time(asked + 100) == ()


def test_a_model_that_gives_no_answer_any_more_ends_the_alert_and_it_is_said_why() -> None:
    watcher = watch()
    changes = [change for at, word in enumerate("yy" + "?" * 80) for change in watcher.see(WORDS[word], at)]
    assert [(change.kind, change.at) for change in changes] == [("begin", 1), ("end", 61)]
    assert changes[1].reason == "nothing was seen for 60 s (the model said neither yes nor no)"


def test_what_lies_before_a_silence_is_not_in_a_row_with_what_comes_after() -> None:
    assert follow(watch(), "yyy", step=MAX_SILENCE_SECONDS + 1) == []
    assert follow(watch(), "yyy", step=MAX_SILENCE_SECONDS) == [("begin", 60)]


def test_a_slow_stream_may_be_silent_for_longer() -> None:
    watcher = RuleWatcher(LADDER, "gate", max_silence_seconds=1000)
    assert follow(watcher, "yyy", step=300) == [("begin", 300)]


def test_what_is_there_after_a_silence_has_not_appeared() -> None:
    watcher = RuleWatcher(Rule("new", when=Condition(event="appears"), confirm=1), "gate")
    changes = [watcher.see(seen(thing(number=number), seconds=at), at) for number, at in ((1, 0), (1, 1), (2, 500))]
    assert changes == [(), (), ()]
    assert watcher.see(seen(thing(number=2), thing(number=3), seconds=501), 501)[0].kind == "begin"


# -- schedule, closing, state


def test_an_alert_ends_with_the_schedule_and_confirms_anew_when_it_holds_again() -> None:
    rule = replace(LADDER, schedule=Schedule((TimeRange((), "22:00", "06:00"),), "UTC"), cooldown_seconds=0)
    watcher = RuleWatcher(rule, "gate")
    ten, six = 22 * 3600, 30 * 3600
    assert follow(watcher, "yyyyy", start=ten - 3) == [("begin", ten + 1)]
    follow(watcher, "yyy", start=six - 3)
    assert watcher.active
    assert watcher.pass_time(six) == (Change("end", six, "the rule is off by its schedule"),)
    assert watcher.state.kind == "off schedule"
    assert follow(watcher, "yyyy", start=six + 1) == []


def test_confirmation_does_not_reach_over_a_time_off_duty() -> None:
    schedule = Schedule((TimeRange((), "00:00", "00:01"), TimeRange((), "00:02", "00:03")), "UTC")
    watcher = RuleWatcher(replace(LADDER, schedule=schedule), "gate")
    assert follow(watcher, "n" * 59 + "y" * 63) == [("begin", 121)]


def test_a_closed_watcher_ends_its_alert_and_says_nothing_more() -> None:
    watcher = watch()
    follow(watcher, "yy")
    assert watcher.close(5) == (Change("end", 5, "the rule is not watched any more"),)
    assert watcher.close(6) == watcher.pass_time(500) == ()
    assert follow(watcher, "yyyy", start=600) == []
    assert watcher.state.kind == "disabled"


def test_a_disabled_rule_never_begins() -> None:
    watcher = RuleWatcher(replace(LADDER, enabled=False), "gate")
    assert follow(watcher, "yyyyyy") == []
    assert watcher.state.kind == "disabled"


def test_the_state_tells_the_way_of_an_alert() -> None:
    watcher, states = watch(cooldown_seconds=2), []
    for at, word in enumerate("nyynynnnnnn"):
        watcher.see(WORDS[word], at)
        states.append((watcher.state.kind, watcher.state.count, watcher.state.needed))
    assert states == [
        ("idle", 0, 2),
        ("confirming", 1, 2),
        ("active", 0, 3),
        ("releasing", 1, 3),
        ("active", 0, 3),
        ("releasing", 1, 3),
        ("releasing", 2, 3),
        ("cooling", 0, 2),
        ("cooling", 0, 2),
        ("idle", 0, 2),
        ("idle", 0, 2),
    ]
    follow(watcher, "yynnn", start=20)
    assert (watcher.state.kind, watcher.state.until) == ("cooling", 26)


# -- clocks


def test_results_that_come_late_do_not_disturb_the_time() -> None:
    watcher = watch()
    for at in range(100, 110):
        watcher.pass_time(at + 40)  # the clock now; the result's picture is 40 s old
        watcher.see(WORDS["y"], at)
    assert watcher.active
    assert watcher.state.since == 101


def test_the_cooldown_counts_from_an_end_that_was_told_before_its_beginning() -> None:
    watcher = watch(release=1, confirm=1, cooldown_seconds=10)
    changes = [watcher.see(WORDS[word], at) for word, at in (("y", 100), ("n", 95), ("y", 106), ("y", 109), ("y", 110))]
    assert [change.kind for told in changes for change in told] == ["begin", "end", "begin"]
    assert changes[4][0].at == 110


def test_silence_counts_from_the_newest_picture_in_whatever_order_they_come() -> None:
    watcher = watch()
    follow(watcher, "yy", start=100)
    watcher.see(WORDS["y"], 60)
    assert watcher.pass_time(150) == ()
    assert watcher.pass_time(162)[0].at == 161


def test_a_clock_that_is_set_back_does_not_stop_cooldown_or_silence() -> None:
    watcher = watch(cooldown_seconds=10)
    assert follow(watcher, "yynnn", start=10_000) == [("begin", 10_001), ("end", 10_004)]
    assert follow(watcher, "y" * 12, start=1000) == [("begin", 1010)]
    assert watcher.pass_time(1011 + 61) == (Change("end", 1011 + 60, "nothing was seen for 60 s"),)


def test_an_end_is_never_before_its_beginning() -> None:
    watcher = watch()
    assert follow(watcher, "yy", start=10_000) == [("begin", 10_001)]
    assert follow(watcher, "nnn", start=1000) == [("end", 10_001)]


# -- any story

stories = st.lists(
    st.tuples(st.sampled_from("yyyynnn?e"), st.sampled_from([0.0, 0.5, 1.0, 1.0, 2.0, 7.0, 61.0])), max_size=120
)
counts = st.integers(1, 4)
cooldowns = st.sampled_from([0.0, 3.0, 20.0, 100.0])


def told(rule: Rule, story: list[tuple[str, float]]) -> list[tuple[float, str, tuple[Change, ...]]]:
    watcher, at, lines = RuleWatcher(rule, "gate"), 0.0, []
    for word, gap in story:
        at += gap
        lines.append((at, word, watcher.see(WORDS[word], at)))
        assert watcher.active == (watcher.state.kind in ("active", "releasing"))
    return lines


@given(story=stories, confirm=counts, release=counts, cooldown=cooldowns)
def test_an_alert_begins_exactly_when_it_should(
    story: list[tuple[str, float]], confirm: int, release: int, cooldown: float
) -> None:
    rule = replace(LADDER, confirm=confirm, release=release, cooldown_seconds=cooldown)
    row, heard, ended, active = "", 0.0, -1000.0, False
    for at, word, changes in told(rule, story):
        if at - heard > MAX_SILENCE_SECONDS and row:
            if active:
                assert changes[0].kind == "end"
                active, ended, changes = False, changes[0].at, changes[1:]
                assert ended == heard + MAX_SILENCE_SECONDS
            row = ""
        if word in "yn":
            row, heard = row + word, at
        begins = word == "y" and row.endswith("y" * confirm) and not active and at >= ended + cooldown
        ends = word == "n" and active and row.endswith("n" * release)
        assert [change.kind for change in changes] == ["begin"] * begins + ["end"] * ends
        active, ended = (active or begins) and not ends, at if ends else ended
        if ends:
            row = ""


jitter = st.lists(
    st.tuples(st.sampled_from("yyyynn?e"), st.floats(-20, 25), st.booleans()), max_size=100
)  # results out of order


@given(story=jitter, confirm=counts, release=counts, cooldown=cooldowns)
def test_times_out_of_order_make_no_second_beginning_and_none_within_the_cooldown(
    story: list[tuple[str, float, bool]], confirm: int, release: int, cooldown: float
) -> None:
    rule = replace(LADDER, confirm=confirm, release=release, cooldown_seconds=cooldown)
    watcher, at = RuleWatcher(rule, "gate"), 1000.0
    changes: list[Change] = []
    for place, (word, gap, passes) in enumerate(story):
        at = 1000 + 5 * place + gap
        changes += watcher.pass_time(at) if passes else watcher.see(WORDS[word], at)
    changes += watcher.close(at)
    assert [change.kind for change in changes] == ["begin", "end"] * (len(changes) // 2)
    for end, begin in zip(changes[1::2], changes[2::2], strict=False):
        assert begin.at >= end.at + cooldown


@given(story=st.lists(st.tuples(st.sampled_from("yn?e"), st.floats(-1e6, 1e6)), max_size=50))
def test_no_clock_breaks_it(story: list[tuple[str, float]]) -> None:
    watcher = watch(cooldown_seconds=5)
    changes = [change for word, at in story for change in watcher.see(WORDS[word], at)]
    kinds = [change.kind for change in changes]
    assert kinds == (["begin", "end"] * len(kinds))[: len(kinds)]
    assert all(begin.at <= end.at for begin, end in zip(changes[::2], changes[1::2], strict=False))
