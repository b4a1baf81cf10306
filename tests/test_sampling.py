"""Which pictures are chosen: values only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import OptionError, SourceError
from streamer.sampling import Due, Sampling, cheaper_to_seek, content_change, select


@dataclass(frozen=True)
class Item:
    time: Fraction
    key_frame: bool = False


def items(*times: object) -> list[Item]:
    return [Item(Fraction(str(time))) for time in times]


def chosen(spec: str | Sampling, given_items: list[Item]) -> list[int]:
    sampling = Sampling.parse(spec) if isinstance(spec, str) else spec
    return [given_items.index(item) for item in select(given_items, sampling)]


@pytest.mark.parametrize(
    ("text", "sampling"),
    [
        ("all", Sampling.all()),
        ("every frame", Sampling.all()),
        ("every 2 s", Sampling.every(2)),
        ("every 0.1s", Sampling.every(Fraction(1, 10))),
        ("every 250 ms", Sampling.every("0.25")),
        ("every 2 minutes", Sampling.every(120)),
        ("every second", Sampling.every(1)),
        ("2 fps", Sampling.every(0.5)),
        ("30000/1001 FPS", Sampling.every(Fraction(1001, 30000))),
        ("every 5th", Sampling.every_nth(5)),
        ("every 2nd frame", Sampling.every_nth(2)),
        ("every 5 frames", Sampling.every_nth(5)),
        ("at 1,2.5,10", Sampling.at([1, 2.5, 10])),
        ("at 0:01:30, 5", Sampling.at([5, 90])),
        ("keyframes", Sampling.key_frames()),
        ("key frames", Sampling.key_frames()),
        ("scenes", Sampling.scene_changes()),
        ("scene changes 0.3", Sampling.scene_changes(0.3)),
        ("2 fps from 10 to 1:00", Sampling.fps(2).between(10, 60)),
    ],
)
def test_words_are_understood_and_written_back(text: str, sampling: Sampling) -> None:
    assert Sampling.parse(text) == sampling
    assert Sampling.parse(str(sampling)) == sampling


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2",
        "every",
        "every 0 s",
        "every -1 s",
        "nan fps",
        "inf fps",
        "every 1/0 s",
        "-2 fps",
        "every 0th",
        "at",
        "at x",
        "every 1.5 frames",
        "every -5 frames",
        "scenes 2",
        "scenes 0",
        "all from 5 to 3",
        "all from x",
        "now and then",
    ],
)
def test_nonsense_is_refused_in_words(text: str) -> None:
    with pytest.raises(OptionError, match="expected"):
        Sampling.parse(text)


def test_values_are_checked() -> None:
    for bad in (0, -1, float("nan"), float("inf"), "x"):
        with pytest.raises(OptionError):
            Sampling.every(bad)
        with pytest.raises(OptionError):
            Sampling.fps(bad)
    with pytest.raises(OptionError):
        Sampling.every_nth(0)
    with pytest.raises(OptionError):
        Sampling.every_nth(True)
    with pytest.raises(OptionError):
        Sampling.at([])


def test_the_interval_that_holds_the_asked_time_decides() -> None:
    pictures = items(0, 0.4, 1, 1.9, 3)
    assert chosen("every 1 s", pictures) == [0, 2, 3, 4]
    assert chosen("at 0.39,0.4,1.89,2.99,3", pictures) == [0, 1, 2, 3, 4]
    assert chosen("every 0.01 s", pictures) == [0, 1, 2, 3, 4]


def test_the_last_picture_holds_as_long_as_the_gap_before_it() -> None:
    assert chosen("at 2.49", items(0, 1, 2.0)) == [2]
    assert chosen("at 3", items(0, 1, 2.0)) == []
    assert chosen("at 0", items(0)) == [0]
    assert chosen("at 1", items(0)) == []
    assert chosen("every 1 s", []) == []


def test_times_before_the_first_picture_take_the_first() -> None:
    assert chosen("at 0,0.5", items(2, 3)) == [0]


def test_a_window_is_closed_at_its_start_and_open_at_its_end() -> None:
    pictures = items(0, 1, 2, 3, 4)
    assert chosen("all from 1 to 3", pictures) == [1, 2]
    assert chosen("every 2 s from 1 to 3", pictures) == [1]
    assert chosen("every 2 frames from 1", pictures) == [1, 3]
    assert chosen("at 0,1,3 from 1 to 3", pictures) == [1]


def test_key_frames_and_scenes() -> None:
    pictures = [Item(Fraction(n), key_frame=n % 3 == 0) for n in range(7)]
    assert chosen("keyframes", pictures) == [0, 3, 6]
    looks = {n: np.full((4, 4, 3), 10 if n < 4 else 200, np.uint8) for n in range(7)}
    found = select(pictures, Sampling.scene_changes(), lambda item: looks[int(item.time)])
    assert [int(item.time) for item in found] == [0, 4]
    with pytest.raises(OptionError):
        select(pictures, Sampling.scene_changes())
    assert content_change(looks[0], looks[6]) == pytest.approx(190 / 255)


def test_exact_times_do_not_drift() -> None:
    rate = Fraction(30000, 1001)
    pictures = [Item(n / rate) for n in range(20_000)]
    assert [i.time * rate for i in select(pictures, Sampling.fps("30000/1001"))] == list(range(20_000))
    asked = [item.time for item in select(pictures, Sampling.every(0.1))]
    assert len(asked) == int(20_000 / rate * 10) + 1


def test_reading_stops_when_nothing_more_is_asked() -> None:
    read = []

    def source() -> Iterator[Item]:
        for item in items(*range(100)):
            read.append(item)
            yield item

    assert len(list(select(source(), Sampling.at([3])))) == 1
    assert len(read) == 5


def test_what_was_read_before_a_fault_is_chosen_first() -> None:
    def source() -> Iterator[Item]:
        yield from items(0, 1, 2)
        raise SourceError("a.mp4", "it broke")

    found = select(source(), Sampling.every(1))
    assert [next(found).time for _ in range(3)] == [0, 1, 2]
    with pytest.raises(SourceError, match="it broke"):
        next(found)


@given(
    gaps=st.lists(st.integers(1, 5000), min_size=1, max_size=60),
    asked=st.lists(st.integers(0, 200_000), min_size=1, max_size=20),
)
def test_the_rule_holds_for_any_times(gaps: list[int], asked: list[int]) -> None:
    times = [Fraction(sum(gaps[:n]), 1000) for n in range(len(gaps))]
    pictures = [Item(time) for time in times]
    end = times[-1] + (times[-1] - times[-2] if len(times) > 1 else 0)
    expected = set()
    for moment in (Fraction(value, 1000) for value in asked):
        holding = [n for n, time in enumerate(times) if time <= moment and (moment < end or moment == times[-1])]
        expected |= {holding[-1]} if holding else set()
    assert chosen(Sampling.at([Fraction(value, 1000) for value in asked]), pictures) == sorted(expected)


@given(
    gaps=st.lists(st.integers(1, 3000), min_size=2, max_size=60),
    interval=st.fractions(min_value=Fraction(1, 50), max_value=5),
)
def test_every_is_at_of_its_grid(gaps: list[int], interval: Fraction) -> None:
    pictures = [Item(Fraction(sum(gaps[:n]), 1000)) for n in range(len(gaps))]
    grid = [n * interval for n in range(int(sum(gaps) / 1000 / interval) + 2)]
    assert chosen(Sampling.every(interval), pictures) == chosen(Sampling.at(grid), pictures)


def test_seeking_pays_over_a_distance() -> None:
    assert not cheaper_to_seek(100, 90)
    assert not cheaper_to_seek(100, 103)
    assert cheaper_to_seek(100, 200)


def test_due_keeps_its_grid() -> None:
    due = Due(Fraction(1, 2))
    moments = [10.0, 10.1, 10.49, 10.6, 10.9, 11.0, 14.2, 14.3, 14.5]
    assert [moment for moment in moments if due(moment)] == [10.0, 10.6, 11.0, 14.2, 14.5]
