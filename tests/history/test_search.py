"""Search: the same answers on both databases, whatever is typed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.history import Found, History
from streamer.history.words import words_of
from streamer.results import FrameResult
from tests.history.made import JPEG, NOW, alert, result
from tests.history.postgres import Cluster


def fill(history: History, *results: FrameResult) -> None:
    for number, one in enumerate(results):
        history.put(one, NOW + number, JPEG)
    history.flush(10)


def captions(found: list[Found]) -> list[str | None]:
    return [one.caption for one in found]


RED, BLUE, DOG = "A red car near the gate", "A blue car, red lights", "A dog sleeps"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [DOG, BLUE, RED]),
        ("   ", [DOG, BLUE, RED]),
        ("RED", [BLUE, RED]),
        ("red car", [BLUE, RED]),
        ('"red car"', [RED]),
        ('"red ca', [RED]),
        ('"red ca"', []),
        ("car re", [BLUE, RED]),
        ("re car", []),
        ("dog car", []),
        ("slee", [DOG]),
        ('"car red', [BLUE]),
        ("!!!", []),
        ("red OR dog", []),
        ("near-the", [RED]),
    ],
)
def test_words(history: History, text: str, found: list[str]) -> None:
    fill(history, result(RED), result(BLUE), result(DOG))
    assert captions(history.search(text)) == found


def test_every_text_of_a_result_is_found(history: History) -> None:
    answers = {
        "caption": "ein Wagen",
        "check": {"answer": True, "reason": "a ladder leans there", "text": "Yes: a ladder."},
        "read": "B-MW 1234",
        "form": {"speed": 50, "signs": ["Ausfahrt", {"colour": "türkis"}]},
    }
    fill(history, result("ein Wagen", "semi-trailer", answers=answers, notes={"read": "cutoff"}, error="kaputt"))
    for text in ("wagen", "ladder leans", "b-mw 12", "50", "ausfahrt", "TÜRKIS", '"semi trailer"'):
        assert history.search(text), text
    for text in ("speed", "cutoff", "kaputt", "true", '"wagen a"'):
        assert not history.search(text), text


def test_what_is_found_leads_to_picture_and_moment(history: History) -> None:
    one = result(RED, "car", stream="Tür/../7 \udcff\0", answers={"caption": RED})
    history.put(one, NOW + 0.123456, JPEG)
    history.flush(10)
    (found,) = history.search("gate")
    assert (found.stream, found.at, found.until, found.caption) == (one.stream, NOW + 0.123456, NOW + 0.123456, RED)
    assert (found.result, found.snippet) == (one, RED)
    assert found.picture is not None
    assert history.picture(found.picture) == JPEG
    assert history.search(streams=[one.stream]) == [found]


def test_filters_count_before_the_limit(history: History) -> None:
    fill(history, result(RED, "Car", stream="a"), *(result(DOG, "dog", stream="b") for _ in range(9)))
    for found in (
        history.search(streams=["a"], limit=1),
        history.search(labels=["car", "bus"], limit=1),
        history.search("red", limit=1),
        history.search(until=NOW, limit=1),
    ):
        assert captions(found) == [RED]
    assert len(history.search(labels=["DOG", "car"])) == 10
    assert history.search(labels=["do"]) == []
    assert len(history.search(since=NOW + 7)) == 3
    assert history.search("red", streams=["b"]) == []
    assert history.search(limit=0) == []


def test_no_streams_are_not_all_streams(history: History) -> None:
    fill(history, result(RED))
    assert history.search(streams=()) == []
    assert history.search("red", streams=[]) == []
    assert len(history.search(streams=None)) == 1


def test_pages_follow_each_other(history: History) -> None:
    for number in range(10):
        history.put(result(f"number {number}"), NOW + number // 3)
    history.flush(10)
    pages, before = [], None
    while page := history.search("number", limit=3, before=before):
        pages += captions(page)
        before = page[-1].cursor
    assert pages == [f"number {number}" for number in reversed(range(10))]


def test_results_with_an_alert(history: History) -> None:
    fill(history, *(result(f"second {number}") for number in range(6)), result("elsewhere", stream="yard"))
    history.put_alert(alert(1, started_at=NOW + 1, ended_at=NOW + 2, phase="end"))
    history.put_alert(alert(2, started_at=NOW + 5, rule="fire"))
    assert captions(history.search(has_alert=True)) == ["second 5", "second 2", "second 1"]
    assert captions(history.search(has_alert=False, streams=["gate"])) == ["second 4", "second 3", "second 0"]
    assert captions(history.search(rule="fire")) == ["second 5"]
    assert history.search(rule="fire", has_alert=False) == []
    assert captions(history.search("second", rule="person", limit=1)) == ["second 2"]


# -- whatever is typed


SAID = [
    "a red car near the gate", "the car is red", "don't park here", "semi-trailer 40 t", "B-MW 1234", "3.5 m, 1e5",
    "http://a.example/x_y?z=1", "un été à la plage", "红色汽车在门口", "ΟΔΟΣ όδος", "x" * 80,
    "", "a & b | c ! d : e * f",
]  # fmt: skip


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Iterator[list[History]]:
    cluster.empty()
    with ExitStack() as stack:
        folders = [(tmp_path_factory.mktemp("sqlite"), None), (tmp_path_factory.mktemp("postgresql"), cluster.url)]
        histories = [stack.enter_context(History(Path(folder), url)) for folder, url in folders]
        for history in histories:
            fill(history, *(result(text or None, *text.split()[:2]) for text in SAID))
        yield histories


ODD = st.text(st.sampled_from("ab\"'*()-+:^{}%_\\&|!<>~ \0¶éß红́"), max_size=20)
PARTS = st.lists(st.sampled_from([word for text in SAID for word in text.split()] + ['"', "re", "OR"]), max_size=4)


@settings(deadline=None, max_examples=80)
@given(st.text(max_size=40) | ODD | PARTS.map(" ".join))
def test_any_text_gives_the_same_on_both(both: list[History], text: str) -> None:
    on_sqlite, on_postgresql = (captions(history.search(text)) for history in both)
    assert on_sqlite == on_postgresql


@settings(deadline=None, max_examples=60)
@given(st.sampled_from([text for text in SAID if text]), st.data())
def test_what_was_said_is_found_by_its_words(both: list[History], text: str, data: st.DataObject) -> None:
    words = data.draw(st.lists(st.sampled_from(text.split()), min_size=1, max_size=3))
    for history in both:
        if words_of(" ".join(words)):
            assert text in captions(history.search(" ".join(words).upper()))
        assert text in captions(history.search(f'"{text}"'))


def test_a_question_without_end(history: History) -> None:
    fill(history, result(RED))
    assert history.search("red " * 5000)
    assert not history.search("red " * 20 + "x" * 100_000)
    assert not history.search('"' + "red " * 5000)
    assert history.search("red", streams=[f"s{number}" for number in range(500)] + ["gate"])
