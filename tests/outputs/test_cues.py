"""Captions merged into cues: never two at once, nothing lost, gaps where nothing is known."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from streamer.outputs.base import Annotations, Segment
from streamer.outputs.cues import (
    CAVEAT_MS,
    LONGEST_MS,
    SHORTEST_MS,
    Cue,
    caption_of,
    chapters_of,
    cues_of,
    plain,
    spans_of,
    with_caveat,
)
from streamer.results import FrameResult

ANY = st.text(st.characters(), max_size=12)
CAPTIONS = st.sampled_from([None, "", " \n", "a car", "a  car", "a dog", "\x00", "\ud83d"]) | ANY


def result(sequence: int, seconds: float, caption: str | None = None, **values: Any) -> FrameResult:
    return FrameResult("clip", sequence, seconds, (640, 360), caption=caption, **values)


def about(*rows: FrameResult, **values: Any) -> Annotations:
    return Annotations("clip", "clip.mp4", (640, 360), rows, **values)


def said(*captions: str | None, every: float = 1.0, **values: Any) -> Annotations:
    """A result every so many seconds; "!" stands for an error."""
    rows = [
        result(number, number * every, caption, error="failed" if caption == "!" else None)
        for number, caption in enumerate(captions)
    ]
    return about(*rows, **values)


@st.composite
def many(draw: st.DrawFn) -> Annotations:
    gaps = st.floats(0, 2) | st.sampled_from([0.0, 0.0001, 0.04, 1.0, 31.0, 100.0])
    times, now = [], draw(st.floats(0, 5))
    for gap in draw(st.lists(gaps, max_size=12)):
        times.append(now)
        now += gap
    rows = [
        result(number, time, draw(CAPTIONS), error=draw(st.sampled_from([None, None, None, "failed"])))
        for number, time in enumerate(times)
    ]
    duration = draw(st.none() | st.just(now) | st.floats(0, now + 5))
    return about(*rows, duration_seconds=duration)


def words(row: FrameResult) -> str:
    return "" if row.error else plain(caption_of(row))


def test_a_cue_lasts_from_its_frame_to_the_next() -> None:
    assert cues_of(said("a", "b", "c")) == [Cue(0, 1000, "a"), Cue(1000, 2000, "b"), Cue(2000, 3000, "c")]


def test_cues_of_one_text_are_one() -> None:
    assert cues_of(said("a", "a ", "b", "b", "a")) == [Cue(0, 2000, "a"), Cue(2000, 4000, "b"), Cue(4000, 5000, "a")]


@pytest.mark.parametrize("nothing", ["!", None, "", " \n "])
def test_errors_and_silence_make_gaps(nothing: str | None) -> None:
    assert cues_of(said("a", nothing, "a", nothing)) == [Cue(0, 1000, "a"), Cue(2000, 3000, "a")]


def test_an_error_is_never_shown_even_beside_a_caption() -> None:
    assert cues_of(about(result(0, 0, "half an answer", error="detect: no memory"))) == []


def test_all_answers_in_words_are_said() -> None:
    row = result(0, 0, "A car.", answers={"caption": "A car.", "detect": "[]", "ask": "Two\nwheels.", "n": {"n": 2}})
    assert [cue.text for cue in cues_of(about(row))] == ['A car. · Two wheels. · {"n": 2}']


def test_short_cues_reach_into_the_gap_behind_them() -> None:
    assert cues_of(said("a", None, "b", every=0.4)) == [Cue(0, 700, "a"), Cue(800, 1500, "b")]
    assert cues_of(said("a", None, "b", every=0.3)) == [Cue(0, 600, "a"), Cue(600, 1300, "b")]
    assert cues_of(said("a", "b", "c", every=0.1))[:2] == [Cue(0, 100, "a"), Cue(100, 200, "b")]


def test_the_last_cue_ends_with_the_source() -> None:
    assert cues_of(said("a", "b", every=1, duration_seconds=1.25))[-1] == Cue(1000, 1250, "b")
    assert cues_of(said("a", "b", every=0.1, duration_seconds=9))[-1] == Cue(100, 800, "b")
    assert cues_of(said("a", "b", every=1, duration_seconds=0.5))[-1] == Cue(1000, 2000, "b")  # it was said wrongly


def test_long_cues_are_cut_into_equal_ones() -> None:
    assert [(cue.start_ms, cue.end_ms) for cue in cues_of(said(*["a"] * 70))] == [
        *((0, 23_333), (23_333, 46_666), (46_666, 70_000))
    ]
    assert len(cues_of(said(*["a"] * 30))) == 1


def test_equal_times_lose_nothing() -> None:
    rows = [result(number, 2.0, text) for number, text in enumerate("abc")]
    assert cues_of(about(*rows, result(3, 3.0, "d")))[:3] == [
        *(Cue(2000, 2001, "a"), Cue(2001, 2002, "b"), Cue(2002, 3000, "c"))
    ]


def test_nothing_gives_nothing() -> None:
    assert (cues_of(about()), spans_of(about()), chapters_of(about())) == ([], [], [])


@given(many())
def test_cues_never_overlap_and_rise(found: Annotations) -> None:
    cues = cues_of(found)
    assert all(isinstance(edge, int) for cue in cues for edge in (cue.start_ms, cue.end_ms))
    assert all(0 <= cue.start_ms < cue.end_ms for cue in cues)
    assert all(before.end_ms <= after.start_ms for before, after in pairwise(cues))


@given(many())
def test_every_text_is_on_the_screen_at_its_frames_time(found: Annotations) -> None:
    cues = cues_of(found)
    for row, (start, end) in zip(found.results, spans_of(found), strict=True):
        shown = [cue.text for cue in cues if cue.start_ms <= start < cue.end_ms]
        if words(row):
            assert shown == [words(row)]
            assert [cue.text for cue in cues if cue.start_ms < end <= cue.end_ms] == [words(row)]
        else:  # at most what a short cue before it reaches over
            assert [cue for cue in cues if cue.start_ms <= start < cue.end_ms and cue.end_ms - cue.start_ms > 700] == []


@given(many())
def test_lengths(found: Annotations) -> None:
    cues = cues_of(found)
    assert all(cue.end_ms - cue.start_ms <= LONGEST_MS for cue in cues)
    for before, after in pairwise(cues):
        assert before.end_ms - before.start_ms >= min(SHORTEST_MS, after.start_ms - before.start_ms)


@given(many())
def test_no_more_cues_than_needed(found: Annotations) -> None:
    texts = [words(row) for row in found.results]
    runs = sum(1 for before, after in pairwise(["", *texts]) if after and after != before)
    spans = spans_of(found)
    seconds = sum(end - start for (start, end), text in zip(spans, texts, strict=True) if text) / 1000
    assert len(cues_of(found)) <= runs + seconds // (LONGEST_MS / 1000)


@given(many())
def test_ends_are_those_of_the_annotations(found: Annotations) -> None:
    rows = found.results
    times = [row.time_seconds for row in rows]
    assume(all(after - before > 0.002 for before, after in pairwise(times)))  # others are moved apart
    for place, (start, end) in enumerate(spans_of(found)):
        assert start == round(times[place] * 1000)
        assert end == max(start + 1, round(found.end_seconds(place) * 1000))


@given(ANY)
def test_plain_is_one_line_that_can_be_written(text: str) -> None:
    line = plain(text)
    assert line.encode().decode() == line
    assert line.splitlines() in ([line], [])
    assert line == plain(line)
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in line)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_plain_keeps_every_word(text: str) -> None:
    assert plain(text).split() == text.split()


def test_a_caveat_has_its_own_cue_where_there_is_room() -> None:
    found = about(result(0, 3, "a"), caveat="not for use")
    assert with_caveat(found, cues_of(found)) == [Cue(0, CAVEAT_MS, "not for use"), Cue(3000, 4000, "a")]


def test_a_caveat_without_room_stands_before_the_first_seconds_cues() -> None:
    found = said("a", "b", "c", "d", caveat="not\nfor use")
    assert [cue.text for cue in with_caveat(found, cues_of(found))] == [
        *("[not for use] a", "[not for use] b", "[not for use] c", "d")
    ]


@given(many(), st.text(st.characters(exclude_categories=["Cc", "Cs", "Z"]), min_size=1, max_size=9))
def test_a_caveat_moves_and_loses_nothing(found: Annotations, caveat: str) -> None:
    cues = cues_of(found)
    told = with_caveat(dataclasses.replace(found, caveat=caveat), cues)
    assert with_caveat(found, cues) == cues
    assert bool(cues) == any(caveat in cue.text for cue in told)
    assert all(before.end_ms <= after.start_ms for before, after in pairwise(told))
    rest = told[len(told) - len(cues) :]
    assert [dataclasses.replace(cue, text=cue.text.removeprefix(f"[{caveat}] ")) for cue in rest] == [
        dataclasses.replace(cue, text=cue.text.removeprefix(f"[{caveat}] ")) for cue in cues
    ]


def test_chapters_are_the_segments_in_order() -> None:
    segments = (Segment(2, 4, "rain"), Segment(0, 3, "a\nstreet"), Segment(9, 9, "end"), Segment(4, 5, " "))
    assert chapters_of(about(segments=segments)) == [
        *(Cue(0, 2000, "a street"), Cue(2000, 4000, "rain"), Cue(9000, 9001, "end"))
    ]


@given(st.lists(st.builds(Segment, st.floats(0, 9), st.floats(0, 9), ANY), max_size=6))
def test_chapters_never_overlap(segments: list[Segment]) -> None:
    chapters = chapters_of(about(segments=tuple(segments)))
    assert sorted(chapter.text for chapter in chapters) == sorted(filter(None, (plain(s.text) for s in segments)))
    assert all(chapter.start_ms < chapter.end_ms for chapter in chapters)
    assert all(before.end_ms <= after.start_ms for before, after in pairwise(chapters))
