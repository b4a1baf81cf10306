"""The engine's tokens are those of transformers' own ``generate``, however the requests are batched."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from streamer.gemma.checkpoint import Checkpoint
from streamer.gemma.engine import Engine
from streamer.models.base import Request
from tests.families import FAMILIES
from tests.gemma.conftest import CLEAR, Reference, picture

WIDE, TALL, SQUARE, STRIP = (160, 90), (90, 160), (100, 100), (400, 60)


def requests_of_all_kinds() -> list[Request]:
    """One picture, several, none; short and long words; different aspects and budgets."""
    return [
        Request((picture(1, WIDE),), "What is this?", 70, 16),
        Request((picture(2, TALL), picture(3, SQUARE)), "What has changed between the two pictures?", 70, 12),
        Request((picture(4, WIDE, 140),), "Hi", 140, 20),
        Request((picture(5, STRIP), picture(1, WIDE), picture(6, SQUARE)), "Compare.", 70, 9, system="A camera."),
        Request((), "No picture at all, only a few more words than the sliding window is long", 70, 14),
        Request((picture(1, WIDE),), "detect car, output only ```json", 70, 1),
    ]


def test_equal_to_generate_one_by_one_and_in_one_ragged_batch(checkpoint: Checkpoint) -> None:
    engine, reference = Engine(checkpoint), Reference(checkpoint)
    requests = requests_of_all_kinds()
    expected = [reference.ids(request) for request in requests]
    assert [engine.generate([request])[0].token_ids for request in requests] == expected
    assert [answer.token_ids for answer in engine.generate(requests)] == expected


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_equal_to_generate_in_batches_of_any_size(checkpoint: Checkpoint, size: int) -> None:
    engine, reference = Engine(checkpoint), Reference(checkpoint)
    requests = [
        Request((picture(10 + number, [WIDE, TALL, SQUARE][number % 3]),), "Look! " * (number % 4), 70, 8 + number)
        for number in range(size)
    ]
    expected = [reference.ids(request) for request in requests]
    assert [answer.token_ids for answer in engine.generate(requests)] == expected


@pytest.mark.parametrize("budget", [280, 560])
def test_equal_to_generate_at_high_budgets(family_checkpoint: Callable[[str], Checkpoint], budget: int) -> None:
    for family in ("E2B", "31B"):
        checkpoint = family_checkpoint(family)
        request = Request((picture(7, WIDE, budget),), "What is this?", budget, 6)
        mixed = [request, Request((picture(8),), "And this?", 70, 12)]
        reference = Reference(checkpoint)
        assert [answer.token_ids for answer in Engine(checkpoint).generate(mixed)] == [
            reference.ids(one) for one in mixed
        ]


kinds = st.builds(
    lambda pictures, words, tokens, budget: Request(
        tuple(picture(seed, size, budget) for seed, size in pictures), words, budget, tokens
    ),
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from([WIDE, TALL, SQUARE, STRIP])), max_size=3),
    st.text(alphabet="abc xyz,.?", max_size=40).filter(lambda text: bool(text.strip())),
    st.integers(1, 12),
    st.sampled_from([70, 70, 140]),
)


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=st.lists(kinds, min_size=1, max_size=6))
def test_equal_to_generate_for_any_batch(
    family_checkpoint: Callable[[str], Checkpoint], family: str, requests: list[Request]
) -> None:
    checkpoint = family_checkpoint(family)
    reference = Reference(checkpoint)
    expected = [reference.ids(request) for request in requests]
    assume(reference.margin > CLEAR)
    assert [answer.token_ids for answer in Engine(checkpoint).generate(requests)] == expected


def test_the_random_checkpoints_look_at_the_picture(checkpoint: Checkpoint) -> None:
    """Else the equality above would prove little."""
    requests = [Request((picture(seed),), "What is this?", 70, 16) for seed in range(6)]
    answers = [answer.token_ids for answer in Engine(checkpoint).generate(requests)]
    assert len(set(answers)) == len(answers)
    assert len({token for answer in answers for token in answer}) > 12
