"""The order of notices, as sequences of hypothesis: nothing overtakes within an alert, nothing is held up across."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from streamer.alerts import Phase
from streamer.notify.base import Notice
from streamer.notify.order import plan
from tests.notify.stores import notice

NOW = 100.0


@st.composite
def pendings(draw: st.DrawFn) -> list[Notice]:
    """Alerts with rising revisions, some delivered already, interleaved as they came."""
    lives = draw(st.lists(st.tuples(st.integers(0, 4), st.booleans(), st.integers(0, 3)), max_size=4))
    rows: list[tuple[str, Phase, int]] = []
    for number, (updates, ended, gone) in enumerate(lives):
        phases: list[Phase] = ["new", *["update"] * updates, *["end"] * ended]  # type: ignore[list-item]
        rows += [(f"alert {number}", phase, place + 1) for place, phase in enumerate(phases)][gone:]
    rows = sorted(draw(st.permutations(rows)), key=lambda row: row[2])
    return [
        replace(notice(n, id=id, phase=phase, revision=r), due_at=draw(st.sampled_from([0, 50, 101, 300])),
                attempts=draw(st.integers(0, 2)))
        for n, (id, phase, r) in enumerate(rows, 1)
    ]  # fmt: skip


@given(pendings())
def test_the_first_revision_of_each_alert_is_the_only_one_tried(pending: list[Notice]) -> None:
    todo = plan(pending, NOW)
    gone = {each.id for each in todo.superseded}
    for each in todo.ready:
        earlier = [other for other in pending if other.alert == each.alert and other.revision < each.revision]
        assert {other.id for other in earlier} <= gone
        assert each.due_at <= NOW
        assert each.id not in gone
    assert len({each.alert for each in todo.ready}) == len(todo.ready)


@given(pendings())
def test_every_alert_is_ready_or_waits_for_its_time(pending: list[Notice]) -> None:
    todo = plan(pending, NOW)
    waiting = {each.alert for each in pending} - {each.alert for each in todo.ready}
    assert (todo.next_due is not None) is bool(waiting)
    assert todo.next_due is None or todo.next_due > NOW


@given(pendings())
def test_only_updates_that_a_newer_update_follows_are_dropped(pending: list[Notice]) -> None:
    for each in plan(pending, NOW).superseded:
        assert each.document["type"] == "update"
        assert any(
            other.alert == each.alert and other.revision > each.revision and other.document["type"] == "update"
            for other in pending
        )


@given(pendings())
def test_with_every_attempt_in_time_all_arrives_in_order(pending: list[Notice]) -> None:
    arrived: list[Notice] = []
    left = {each.id: each for each in pending}
    while left:
        todo = plan(list(left.values()), 1000.0)
        assert todo.ready
        for each in todo.superseded:
            del left[each.id]
        arrived.append(left.pop(todo.ready[0].id))
    for alert in {each.alert for each in pending}:
        revisions = [each.revision for each in arrived if each.alert == alert]
        assert revisions == sorted(revisions)
        assert revisions[-1] == max(each.revision for each in pending if each.alert == alert)
    ends = {each.id for each in pending if each.document["type"] in ("new", "end")}
    assert ends <= {each.id for each in arrived}


def test_new_alerts_come_before_those_that_failed() -> None:
    failed = replace(notice(1, id="a"), attempts=1)
    assert [each.id for each in plan([failed, notice(2, id="b"), notice(3, id="c")], NOW).ready] == [2, 3, 1]
