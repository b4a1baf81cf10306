"""Results by stream and time, counted."""

from __future__ import annotations

from streamer.history import Filters, History
from tests.history.made import NOW, result


def test_results_are_counted_by_stream_and_time(history: History) -> None:
    for second in range(100):
        labels = ("dog",) if second >= 80 else ()
        history.put(result(f"number {second}", *labels), NOW + second)
    history.put(result("alone", stream="yard"), NOW + 99)
    history.flush(10)
    found = history.spread(Filters(until=NOW + 99.99, since=NOW), 10)
    assert found is not None
    assert found.streams == {
        "gate": ([10] * 10, [0] * 8 + [10, 10]),
        "yard": ([0] * 9 + [1], [0] * 10),
    }
    assert (found.since, round(found.until - NOW, 2)) == (NOW, 99.99)


def test_the_time_is_that_of_what_is_found(history: History) -> None:
    for second in (10, 20, 30):
        history.put(result("a bus"), NOW + second)
    history.put(result("a car"), NOW + 500)
    history.flush(10)
    found = history.spread(Filters("bus"), 4)
    assert found is not None
    assert (found.since, found.until) == (NOW + 10, NOW + 30)
    assert found.streams == {"gate": ([1, 0, 1, 1], [0] * 4)}
    lone = history.spread(Filters("car"), 3)
    assert lone is not None
    assert lone.streams == {"gate": ([1, 0, 0], [0] * 3)}


def test_where_there_is_nothing(history: History) -> None:
    history.put(result("a bus"), NOW)
    history.flush(10)
    for filters in (Filters("zebra"), Filters("…"), Filters(streams=()), Filters(since=NOW + 9)):
        assert history.spread(filters, 5) is None


def test_one_that_stood_when_the_time_began_is_in_its_first_stretch(history: History) -> None:
    history.put(result("stands"), NOW)
    history.put(result("stands", reused=True), NOW + 60)
    history.flush(10)
    found = history.spread(Filters(since=NOW + 30, until=NOW + 90), 3)
    assert found is not None
    assert found.streams == {"gate": ([1, 0, 0], [0, 0, 0])}
