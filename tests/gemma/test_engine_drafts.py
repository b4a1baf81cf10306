"""Drafts and shared pictures change how fast an answer comes, and never the answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from streamer.gemma.checkpoint import Checkpoint
from streamer.gemma.engine import Engine
from streamer.gemma.pictures import AHEAD_TOKENS
from streamer.models.base import Generation, Request
from tests.families import FAMILIES
from tests.gemma.conftest import CLEAR, Reference, picture

WIDE, TALL, SQUARE = (160, 90), (90, 160), (100, 100)
WORDS = ("What is this?", "detect car, output only ```json", "Hi", "a rather long question, longer than the window is")


def test_the_right_draft_takes_one_forward(checkpoint: Checkpoint) -> None:
    request = Request((picture(1),), "What is this?", 70, 24)
    expected = Reference(checkpoint).ids(request)
    [plain] = Engine(checkpoint, draft=False).generate([request])
    [drafted] = Engine(checkpoint).generate([replace(request, draft=expected)])
    assert plain.token_ids == drafted.token_ids == expected
    assert plain.forwards == len(expected)
    assert drafted.forwards == 1
    assert drafted.drafted_tokens >= drafted.accepted_tokens == len(expected) - 1


def test_a_draft_with_one_wrong_token_takes_a_few_forwards(checkpoint: Checkpoint) -> None:
    engine = Engine(checkpoint)
    request = Request((picture(2),), "What is this?", 70, 24)
    [plain] = engine.generate([request])
    wrong = (*plain.token_ids[:9], (plain.token_ids[9] + 1) % 40 + 30, *plain.token_ids[10:])
    [drafted] = Engine(checkpoint).generate([replace(request, draft=wrong)])
    assert drafted.token_ids == plain.token_ids
    # Two, and the tries that it takes to find out that these weights have wild guesses behind a wrong token.
    assert 2 <= drafted.forwards <= 4


def test_tasks_about_one_picture_share_it(checkpoint: Checkpoint) -> None:
    engine, reference = Engine(checkpoint), Reference(checkpoint)
    image = picture(3, SQUARE)
    requests = [Request((image,), words, 70, 6 + 5 * number) for number, words in enumerate(WORDS)]
    answers = engine.generate(requests)
    assert [answer.token_ids for answer in answers] == [reference.ids(request) for request in requests]
    assert engine.pictures.encoded == 1
    assert engine.forwards == max(answer.forwards for answer in answers)


def test_a_picture_that_is_asked_about_again_is_not_encoded_again(checkpoint: Checkpoint) -> None:
    engine = Engine(checkpoint)
    first = engine.generate([Request((picture(4),), "Hi", 70, 5)])
    again = engine.generate([Request((picture(4).copy(),), "Hi", 70, 5)])
    assert [answer.token_ids for answer in first] == [answer.token_ids for answer in again]
    assert engine.pictures.encoded == 1
    engine.generate([Request((picture(5),), "Hi", 70, 5)])
    assert engine.pictures.encoded == 2


def test_drafts_leave_sampling_alone(checkpoint: Checkpoint) -> None:
    engine = Engine(checkpoint)
    request = Request((picture(6),), "Hi", 70, 12, temperature=1.0, seed=3)
    [plain] = engine.generate([request])
    [drafted] = engine.generate([replace(request, draft=plain.token_ids)])
    assert drafted.token_ids == plain.token_ids
    assert drafted.drafted_tokens == 0


@st.composite
def drafted_requests(draw: st.DrawFn) -> tuple[Request, tuple[int, ...]]:
    """A request, and how its draft is made of the right answer: kept pieces of it and foreign tokens."""
    images = draw(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([WIDE, TALL, SQUARE])), min_size=1, max_size=3))
    request = Request(
        tuple(picture(seed, size) for seed, size in images),
        draw(st.sampled_from(WORDS)),
        70,
        draw(st.integers(1, 14)),
    )
    return request, tuple(draw(st.lists(st.integers(-1, 60), max_size=24)))


def draft_of(answer: Generation, pattern: tuple[int, ...]) -> tuple[int, ...]:
    """``-1`` stands for the next token of the right answer, other numbers for themselves; the rest is kept."""
    right = iter(answer.token_ids)
    made = [next(right, 5) if item < 0 else item for item in pattern]
    return (*made, *(right if len(pattern) % 2 else ()))


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(drafted_requests(), min_size=1, max_size=8))
def test_equal_to_generate_for_any_drafts(
    family_checkpoint: Callable[[str], Checkpoint], family: str, asked: list[tuple[Request, tuple[int, ...]]]
) -> None:
    checkpoint = family_checkpoint(family)
    engine, reference = Engine(checkpoint), Reference(checkpoint)
    requests = [request for request, _ in asked]
    expected = [reference.ids(request) for request in requests]
    assume(reference.margin > CLEAR)
    plain = Engine(checkpoint, share=False, draft=False).generate(requests)
    assert [answer.token_ids for answer in plain] == expected
    drafted = [
        replace(request, draft=draft_of(answer, pattern))
        for (request, pattern), answer in zip(asked, plain, strict=True)
    ]
    for _ in range(2):  # the second time with measured costs and kept pictures
        answers = engine.generate(drafted)
        assert [answer.token_ids for answer in answers] == [answer.token_ids for answer in plain]
        for answer in answers:
            assert answer.accepted_tokens <= answer.drafted_tokens
            # Each forward gives one token that was not proposed; but the last ends with a proposed end.
            assert answer.forwards - (answer.output_tokens - answer.accepted_tokens) in (0, 1)


@pytest.mark.parametrize("budget", [140, 280, 560])
@pytest.mark.parametrize("family", ["E2B", "31B"])
def test_equal_to_generate_with_drafts_at_high_budgets(
    family_checkpoint: Callable[[str], Checkpoint], family: str, budget: int
) -> None:
    checkpoint = family_checkpoint(family)
    reference = Reference(checkpoint)
    image = picture(7, WIDE, budget)
    requests = [Request((image,), words, budget, 8) for words in WORDS[:2]] + [Request((picture(8),), "Hi", 70, 9)]
    expected = [reference.ids(request) for request in requests]
    stale = [replace(request, draft=(*ids[:3], 40, *ids[4:])) for request, ids in zip(requests, expected, strict=True)]
    assert [answer.token_ids for answer in Engine(checkpoint).generate(stale)] == expected


def test_a_picture_prepared_ahead_is_taken_as_it_is(checkpoint: Checkpoint) -> None:
    image = picture(9)
    request = Request((image,), "Hi", 70, 5)
    [plain] = Engine(checkpoint).generate([request])
    engine = Engine(checkpoint)
    engine.pictures.prepare(image, 70)
    kept = image.copy()
    image[:] = 0  # what was prepared is what counts: proof that it is not cut again
    [prepared] = engine.generate([request])
    assert prepared.token_ids == plain.token_ids
    image[:] = kept
    assert engine.generate([request])[0].token_ids == plain.token_ids
    assert engine.pictures.encoded == 1  # its name was made when it was prepared


def test_pictures_prepared_ahead_are_bounded(checkpoint: Checkpoint) -> None:
    engine = Engine(checkpoint)
    images = [picture(seed, (1000, 1000), 1120) for seed in range(6)]
    for image in images:
        engine.pictures.prepare(image, 1120)
    engine.pictures.prepare(images[0], 1120)
    expected = Engine(checkpoint).generate([Request((images[0],), "Hi", 1120, 3)])[0].token_ids
    assert engine.generate([Request((images[0],), "Hi", 1120, 3)])[0].token_ids == expected
    assert sum(one.patches.soft_tokens for one in engine.pictures._ahead.values()) <= AHEAD_TOKENS


def test_the_form_of_an_answer_says_nothing_about_the_next_draft(checkpoint: Checkpoint) -> None:
    """A form that is mostly wrong must not keep the answer itself from being drafted from."""
    request = Request((picture(2),), "What is this?", 70, 24, likeness="box_2d the car and " * 12)
    [answer] = Engine(checkpoint).generate([request])
    assert answer.drafted_tokens > answer.accepted_tokens
    assert answer.agreement == request.agreement
