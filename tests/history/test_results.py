"""Results: written behind the hot path, each once, and only as often as something changes."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from streamer.history import History, HistoryOptions
from streamer.results import FrameResult
from tests.history.conftest import Open
from tests.history.made import JPEG, NOW, result
from tests.outputs.test_jsonl import RESULTS


def test_results_come_back_as_they_were_in_order_of_time(history: History) -> None:
    for at in (3, 1, 2):
        history.put(result(f"at {at}", "car", budget=70, model="tiny"), NOW + at)
    history.put(result("elsewhere", stream="yard"), NOW + 1.5)
    history.flush(10)
    found = list(history.results("gate"))
    assert [at - NOW for at, _ in found] == [1, 2, 3]
    assert found[0][1] == result("at 1", "car", budget=70, model="tiny")
    assert [at - NOW for at, _ in history.results("gate", NOW + 2)] == [2, 3]
    assert [at - NOW for at, _ in history.results("gate", NOW + 1, NOW + 2)] == [1, 2]
    assert [at - NOW for at, _ in history.results("gate", limit=2)] == [1, 2]
    assert list(history.results("nobody")) == []


@pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=RESULTS)
def test_any_result_is_kept(history: History, one: FrameResult) -> None:
    one = replace(one, reused=False)
    history.put(one, NOW)
    history.flush(10)
    assert one in [kept for _, kept in history.results(one.stream)]
    assert history.dropped == 0


def test_reading_goes_on_over_many_pages(history: History) -> None:
    for number in range(1201):
        history.put(result(str(number)), NOW + number // 7)
        if number % 400 == 0:
            history.flush(10)
    history.flush(10)
    found = [one.caption for _, one in history.results("gate")]
    assert found == [str(number) for number in range(1201)]
    assert len(list(history.results("gate", limit=501))) == 501


def test_a_still_camera_fills_no_disk(history: History) -> None:
    one = result("nothing moves", "car")
    history.put(one, NOW, JPEG)
    for second in range(1, 300):
        history.put(replace(one, reused=True, sequence=second, time_seconds=float(second)), NOW + second, JPEG)
        if second % 50 == 0:
            history.flush(10)
    history.put(replace(one, stream="other"), NOW + 10)
    history.flush(10)
    found, other = history.search(streams=["gate"]), history.search(streams=["other"])
    assert [(row.at - NOW, row.until - NOW) for row in found + other] == [(0, 299), (10, 10)]
    assert found[0].result == one
    assert history.counts().pictures == 1
    assert history.search(since=NOW + 200, until=NOW + 201) == found, "it stood then"


def test_an_answer_that_stands_for_hours_is_a_row_an_hour(history: History) -> None:
    for minute in range(0, 150, 10):
        history.put(result("still", reused=minute > 0), NOW - 9000 + 60 * minute, JPEG)
    history.flush(10)
    assert [(row.at - NOW, row.until - NOW) for row in history.search()] == [
        (-600, -600), (-4800, -1200), (-9000, -5400)
    ]  # fmt: skip
    assert len(history.search(since=NOW - 1200, until=NOW - 1190)) == 1
    assert history.counts().pictures == 3


def test_an_answer_that_stood_is_given_again_at_its_end(history: History) -> None:
    one = result("a")
    history.put(one, NOW)
    history.put(replace(one, reused=True, time_seconds=8.0), NOW + 8)
    history.put(result("b"), NOW + 9)
    history.flush(10)
    again = replace(one, time_seconds=8.0, reused=True)
    assert list(history.results("gate", ends=True)) == [(NOW, one), (NOW + 8, again), (NOW + 9, result("b"))]
    assert list(history.results("gate", NOW + 5, NOW + 6, ends=True))[1][0] == NOW + 6


def test_a_reused_answer_that_is_another_is_a_row(history: History) -> None:
    """The one that it repeats was dropped, or written before a restart."""
    history.put(result("a"), NOW)
    history.put(result("b", reused=True), NOW + 1)
    history.put(result("b", reused=True), NOW + 2)
    history.put(result("c", reused=True, stream="yard"), NOW + 3)
    history.flush(10)
    assert [(row.caption, row.until - NOW) for row in history.search()] == [("c", 3), ("b", 2), ("a", 0)]


def test_a_row_that_was_removed_is_written_again(history: History) -> None:
    history.put(result("a"), NOW, JPEG)
    history.flush(10)
    history.retain(NOW + 40 * 86400)
    assert history.counts().results == 0
    history.put(result("a", reused=True), NOW + 5)
    history.flush(10)
    assert [(row.until - NOW, row.picture) for row in history.search()] == [(5, None)]


def test_the_nearest_picture(history: History) -> None:
    assert history.nearest_picture("gate", NOW) is None
    history.put(result("a"), NOW, b"a")
    history.put(result("a", reused=True), NOW + 60)
    history.put(result("b"), NOW + 70, b"b")
    history.put(result("no picture"), NOW + 80)
    history.flush(10)
    for at, jpeg in ((-5, b"a"), (0, b"a"), (64, b"a"), (66, b"b"), (500, b"b")):
        name = history.nearest_picture("gate", NOW + at)
        assert name is not None
        assert history.picture(name) == jpeg


def test_many_threads_put_and_nothing_is_lost(history: History) -> None:
    def put(number: int) -> None:
        for count in range(60):
            history.put(result(f"{number} {count}", stream=str(number)), NOW + count)

    threads = [threading.Thread(target=put, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    history.flush(10)
    for number in range(8):
        assert [one.caption for _, one in history.results(str(number))] == [f"{number} {count}" for count in range(60)]


def test_what_waits_is_written_at_the_end(opened: Open) -> None:
    with opened() as first:
        for number in range(300):
            first.put(result(str(number)), NOW + number)
    first.put(result("too late"), NOW)
    assert first.dropped == 1
    assert len(list(opened().results("gate"))) == 300


def test_a_result_that_cannot_be_kept_takes_no_other_with_it(history: History) -> None:
    history.put(result("before"), NOW)
    history.put(result("never"), float("nan"))
    history.put(result("in no year"), 1e300, JPEG)
    history.put(result("after", "x" * 10_000), NOW + 1)
    history.flush(10)
    assert [row.caption for row in history.search()] == ["after", "before"]
    assert (history.dropped, history.fault) == (2, None)


def test_ids_stay_and_are_never_given_again(history: History) -> None:
    history.put(result("a"), NOW)
    history.flush(10)
    (first,) = history.search()
    history.retain(NOW + 40 * 86400)
    history.put(result("b"), NOW)
    history.flush(10)
    assert history.search()[0].id > first.id


def test_nothing_runs_for_those_who_only_read(tmp_path: Path) -> None:
    before = threading.active_count()
    with History(tmp_path) as history:
        assert history.search("red") == []
        assert threading.active_count() == before
    with History(tmp_path, options=HistoryOptions(queue=1)) as history:
        history.put(result("a"), NOW)
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
