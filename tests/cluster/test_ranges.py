"""A file cut into parts, and the pieces of it put together again: nothing is missing, nothing is there twice."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.cluster.pieces import HELD_FRAMES, Pieces
from streamer.cluster.ranges import FEW, MAX_FRAMES, Part, expected, planned, split
from streamer.sampling import Sampling
from streamer.sources.base import SourceInfo

HOUR = SourceInfo("film.mp4", "file", (1920, 1080), duration_seconds=3600.0, rate=25.0, picture_count=90_000)


@given(st.none() | st.integers(0, 10_000), st.integers(1, 3_000), st.integers(0, 10_000))
def test_parts_follow_each_other_without_gaps(frames: int | None, size: int, begin: int) -> None:
    parts = split(frames, size, begin=begin)
    assert parts[0].first == begin
    assert parts[-1].count is None
    for one, two in pairwise(parts):
        assert one.count == size
        assert two.first == one.first + size
    if frames is not None and frames > begin:
        last = frames - parts[-1].first
        assert 0 < last <= size + size // 2
        assert len(parts) == 1 or last >= size // 2


@pytest.mark.parametrize(
    ("words", "seconds", "parts"),
    [
        ("every 1 s", 300, 12),
        ("every 1 s", 60, 60),
        ("every 2 s from 600 to 1200", 300, 2),
        ("5 fps", 300, 12),
        ("every 50th", 300, 12),
        ("at 1,2.5,3599", 300, 3),
        ("scenes", 300, 1),  # whether a picture begins one depends on the one before it
        ("keyframes", 300, 1),
        ("all", 300, 1),  # to begin anywhere would mean to decode all before it
    ],
)
def test_an_hour_is_cut(words: str, seconds: float, parts: int) -> None:
    found = planned("film.mp4", HOUR, Sampling.parse(words), begin=0, seconds=seconds, whole=False)
    assert len(found) == parts
    assert planned("film.mp4", HOUR, Sampling.parse(words), begin=0, seconds=seconds, whole=True) == [Part(0, None)]


def test_what_was_answered_is_left_out() -> None:
    found = planned("film.mp4", HOUR, Sampling.every(1), begin=3_000, seconds=300, whole=False)
    assert found == [Part(3_000, 300), Part(3_300, None)]


def test_a_file_that_has_to_be_read_through_is_cut_into_few() -> None:
    """Else each part would read all that lies before it."""
    found = planned("film.mkv", HOUR, Sampling.every(1), begin=0, seconds=60, whole=False)
    assert len(found) == FEW


def test_a_part_is_never_large() -> None:
    found = planned("film.mp4", HOUR, Sampling.fps(10), begin=0, seconds=3_000, whole=False)
    assert max(part.count or 0 for part in found) == MAX_FRAMES


def test_of_a_live_length_nothing_is_guessed() -> None:
    unknown = SourceInfo("film.mp4", "file", (64, 64))
    assert expected(unknown, Sampling.every(1)) is None
    assert planned("film.mp4", unknown, Sampling.every(1), begin=7, seconds=300, whole=False) == [Part(7, None)]


class Nodes:
    """Decodes and answers pieces of a film of so many frames, in any order, and loses some of them."""

    def __init__(self, pieces: Pieces, frames: int, seed: int) -> None:
        self.pieces, self.frames, self.chance = pieces, frames, random.Random(seed)
        self.rows: list[int] = []
        self.losses = 30

    def work(self) -> None:
        while len(self.pieces):
            steps = [self.begin, self.decode, self.answer, self.lose, self.take]
            self.chance.choice(steps)()

    def begin(self) -> None:
        if (piece := self.pieces.waiting) is not None:
            piece.state = "decoding"

    def decode(self) -> None:
        for piece in self.pieces._pieces:
            if piece.state == "decoding" and self.chance.random() < 0.5:
                left = max(0, self.frames - piece.first)
                left = left if piece.count is None else min(left, piece.count)
                if size := min(left, self.chance.randint(1, 7)):
                    self.pieces.cut(piece, size, None, new=size)
                if size == left:
                    self.pieces.decoded(piece)
                return

    def answer(self) -> None:
        if ready := list(self.pieces.ready):
            piece = self.chance.choice(ready)
            assert piece.count is not None
            self.pieces.answered(piece, range(piece.first, piece.first + piece.count))

    def lose(self) -> None:
        lost = [piece for piece in self.pieces._pieces if piece.state in ("decoding", "ready", "asked")]
        if lost and self.losses:
            self.losses -= 1
            self.pieces.lost(self.chance.choice(lost), "a node")

    def take(self) -> None:
        for piece in self.pieces.taken():
            self.rows += piece.content


@given(st.integers(0, 150), st.none() | st.integers(0, 200), st.integers(1, 40), st.integers(0, 10**9))
def test_each_frame_once_in_order_whatever_is_lost(frames: int, guess: int | None, size: int, seed: int) -> None:
    nodes = Nodes(Pieces(split(guess, size)), frames, seed)
    nodes.work()
    assert nodes.rows == list(range(frames))


def test_a_fault_ends_the_file_there() -> None:
    pieces = Pieces(split(30, 10))
    first, second, third = pieces._pieces
    block = pieces.cut(second, 4, None, new=4)
    pieces.decoded(second, "broken")
    assert not pieces.has(third)
    assert list(pieces.taken()) == []  # the first part is still missing
    pieces.answered(block, "rows")
    pieces.answered(pieces.cut(first, 10, None, new=10), "rows")
    pieces.decoded(first)
    assert [piece.content for piece in pieces.taken()] == ["rows", "rows", "broken"]
    assert len(pieces) == 0


def test_nothing_is_begun_far_ahead_of_a_frame_that_is_missing() -> None:
    pieces = Pieces(split(3 * HELD_FRAMES, 1_000))
    begun = 0
    while (piece := pieces.waiting) is not None:
        piece.state = "decoding"
        begun += 1
    assert begun == HELD_FRAMES // 1_000 + 1
