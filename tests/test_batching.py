"""How many frames are answered together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamer.batching import SLOW_SECONDS, BatchSize


def test_it_grows_while_answers_come_quickly() -> None:
    size = BatchSize(16)
    seen = []
    for _ in range(5):
        seen.append(size.current)
        size.observe(size.current, 0.1)
    assert seen == [4, 8, 16, 16, 16]


def test_it_shrinks_to_one_where_a_frame_takes_long() -> None:
    size = BatchSize(16)
    for _ in range(4):
        size.observe(size.current, SLOW_SECONDS * size.current)
    assert size.current == 1
    size.observe(1, 2.0)
    assert size.current == 1


def test_a_batch_that_was_not_full_proves_nothing() -> None:
    size = BatchSize(16)
    size.observe(0, 0.0)
    size.observe(2, 0.1)
    assert size.current == 4


@given(st.integers(1, 256), st.lists(st.floats(0, 100), max_size=50))
def test_always_between_one_and_the_most(most: int, seconds: list[float]) -> None:
    size = BatchSize(most)
    for taken in seconds:
        assert 1 <= size.current <= most
        size.observe(size.current, taken)
