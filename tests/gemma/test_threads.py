"""The number of threads that passes take."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from streamer.gemma.threads import LATE, PassThreads, ThreadChoice


def run(choice: ThreadChoice, pace: dict[int, float], passes: int) -> list[int]:
    taken = []
    for _ in range(passes):
        threads = choice.pick()
        taken.append(threads)
        choice.observe(threads, pace[threads])
    return taken


@pytest.mark.parametrize("best", [1, 2, 4, 8, 12])
def test_the_quickest_number_is_found_and_kept(best: int) -> None:
    pace = {count: 1.0 + abs(count - best) for count in (1, 2, 4, 8, 12)}
    choice = ThreadChoice(12)
    run(choice, pace, 100)
    assert choice.current == best
    assert run(choice, pace, 1000).count(best) > 950


def test_it_follows_when_another_program_takes_the_cores() -> None:
    choice = ThreadChoice(2)
    run(choice, {1: 2.0, 2: 1.0}, 50)
    assert choice.current == 2
    run(choice, {1: 2.0, 2: 20.0}, 2 * LATE)
    assert choice.current == 1


def test_trials_become_rare_where_they_gain_nothing() -> None:
    choice = ThreadChoice(2)
    assert run(choice, {1: 20.0, 2: 1.0}, 2000).count(1) < 15


@given(st.integers(1, 100), st.lists(st.floats(1e-6, 10), min_size=1, max_size=200))
def test_never_more_than_there_are(most: int, paces: list[float]) -> None:
    choice = ThreadChoice(most)
    for pace in paces:
        threads = choice.pick()
        assert 1 <= threads <= most
        choice.observe(threads, pace)


def test_a_wide_model_and_a_gpu_keep_torchs_own_number() -> None:
    before = torch.get_num_threads()
    for chosen in (PassThreads.of(torch.device("cpu"), 2048), PassThreads.of(torch.device("cuda"), 256)):
        with chosen.over("text", 100):
            assert torch.get_num_threads() == before


def test_a_pass_sets_the_number() -> None:
    before = torch.get_num_threads()
    try:
        threads = PassThreads(2)
        for _ in range(20):
            with threads.over("text", 100):
                assert torch.get_num_threads() in (1, 2)
    finally:
        torch.set_num_threads(before)
