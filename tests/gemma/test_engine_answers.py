"""What the engine gives back beside tokens: ends, counts, drawn answers, errors; and what it spends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamer.errors import OptionError
from streamer.gemma.checkpoint import Checkpoint, load
from streamer.gemma.engine import Engine
from streamer.models.base import Generation, Request
from tests.gemma.conftest import Reference, picture

QUESTION = "What is this?"


@pytest.fixture
def e2b(family_checkpoint: Callable[[str], Checkpoint]) -> Checkpoint:
    return family_checkpoint("E2B")


def answer(checkpoint: Checkpoint, request: Request) -> Generation:
    (generation,) = Engine(checkpoint).generate([request])
    return generation


def test_no_requests_are_no_answers(e2b: Checkpoint) -> None:
    assert Engine(e2b).generate([]) == []


def test_counts_and_times(e2b: Checkpoint) -> None:
    request = Request((picture(1), picture(2, (90, 160))), QUESTION, 70, 8)
    generation = answer(e2b, request)
    words = answer(e2b, replace(request, images=(), max_tokens=1))
    assert generation.image_tokens == 66 + 66
    assert generation.prompt_tokens == words.prompt_tokens + 2 * 2
    assert generation.output_tokens == generation.forwards == len(generation.token_ids) == 8
    assert (generation.drafted_tokens, generation.accepted_tokens) == (0, 0)
    assert generation.finish == "length"
    assert generation.preprocess_ms > 0
    assert generation.model_ms > 0


def test_an_end_token_ends_the_answer_and_is_not_in_its_text(e2b: Checkpoint) -> None:
    request = Request((picture(1),), QUESTION, 70, 12)
    plain = answer(e2b, request)
    last = plain.token_ids[5]
    first = plain.token_ids.index(last)
    ending = replace(e2b, end_ids=frozenset({last}))
    generation = answer(ending, request)
    assert generation.token_ids == plain.token_ids[: first + 1]
    assert (generation.finish, generation.forwards) == ("stop", first + 1)
    assert answer(ending, replace(request, max_tokens=first + 1)).finish == "stop"


def test_end_ids_come_from_the_generation_config(e2b: Checkpoint) -> None:
    tokens = e2b.tokenizer.convert_tokens_to_ids(["<eos>", "<turn|>", "<|tool_response>"])
    assert e2b.end_ids == set(tokens)


def test_rows_end_alone_without_disturbing_the_others(e2b: Checkpoint) -> None:
    requests = [Request((picture(seed),), QUESTION, 70, tokens) for seed, tokens in enumerate((1, 9, 3, 14, 3, 6))]
    together = Engine(e2b).generate(requests)
    alone = [answer(e2b, request) for request in requests]
    assert [one.token_ids for one in together] == [one.token_ids for one in alone]
    assert [one.forwards for one in together] == [one.forwards for one in alone] == [1, 9, 3, 14, 3, 6]


@pytest.mark.parametrize("begin", [0, 3, 7])
def test_a_stop_text_ends_the_answer_before_it(e2b: Checkpoint, begin: int) -> None:
    request = Request((picture(3),), QUESTION, 70, 24)
    whole = answer(e2b, request).text
    stop = whole[begin : begin + 2]
    generation = answer(e2b, replace(request, stop=("not in there", stop)))
    assert generation.finish == "stop"
    assert generation.text == whole[: whole.index(stop)]
    assert generation.output_tokens < 24
    assert answer(e2b, replace(request, stop=("not in there",))).text == whole


def test_a_drawn_answer_follows_its_seed_alone(e2b: Checkpoint) -> None:
    drawn = Request((picture(1),), QUESTION, 70, 16, temperature=1.0, top_p=0.95, top_k=64, seed=7)
    greedy = replace(drawn, temperature=0.0)
    first = answer(e2b, drawn)
    batch = Engine(e2b).generate([greedy, replace(drawn, seed=8), drawn, drawn])
    assert first.token_ids == batch[2].token_ids == batch[3].token_ids
    assert len({first.token_ids, batch[0].token_ids, batch[1].token_ids}) == 3
    assert batch[0].token_ids == answer(e2b, greedy).token_ids
    unseeded = Engine(e2b).generate([replace(drawn, seed=None)] * 3)
    assert len({one.token_ids for one in unseeded}) > 1


def test_drawing_from_one_token_is_greedy(e2b: Checkpoint) -> None:
    greedy = Request((picture(1),), QUESTION, 70, 12)
    expected = answer(e2b, greedy).token_ids
    assert answer(e2b, replace(greedy, temperature=2.0, top_k=1)).token_ids == expected
    assert answer(e2b, replace(greedy, temperature=2.0, top_p=1e-6)).token_ids == expected


def test_a_picture_of_several_requests_is_encoded_once(e2b: Checkpoint) -> None:
    engine = Engine(e2b)
    image, other = picture(1), picture(2)
    requests = [
        Request((image,), "What?", 70, 2),
        Request((image,), "How many?", 70, 2),
        Request((other, image), "What has changed?", 70, 2),
    ]
    engine.generate(requests)
    assert engine.pictures.encoded == 2
    engine.generate([Request((image,), "What?", 70, 1), Request((picture(1, budget=140),), "What?", 140, 1)])
    assert engine.pictures.encoded == 3  # the first is still here, at 70


def test_another_attention_gives_the_same_tokens(family_folder: Callable[[str], Path]) -> None:
    requests = [Request((picture(seed),), "Hi" * seed, 70, 8) for seed in range(3)]
    for family in ("E2B", "31B"):
        found = load(str(family_folder(family)), device="cpu", dtype="fp32", attn="eager")
        assert [one.token_ids for one in Engine(found).generate(requests)] == [
            Reference(found).ids(one) for one in requests
        ]


def test_tokens_that_the_checkpoint_forbids_do_not_come(e2b: Checkpoint) -> None:
    request = Request((picture(1),), QUESTION, 70, 8)
    common = answer(e2b, request).token_ids[0]
    forbidding = replace(e2b, suppressed_ids=(common,))
    expected = Reference(e2b).ids(request, suppress_tokens=[common])
    assert answer(forbidding, request).token_ids == expected
    assert common not in expected


def test_bf16_runs(family_folder: Callable[[str], Path]) -> None:
    for family in ("E2B", "26B-A4B", "12B"):
        found = load(str(family_folder(family)), device="cpu", dtype="bf16")
        assert answer(found, Request((picture(1),), QUESTION, 70, 4)).output_tokens == 4


@pytest.mark.parametrize(
    ("change", "option"),
    [
        ({"budget": 100}, "budget"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 5000}, "prompt"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"images": (np.zeros((48, 48), np.uint8),)}, "picture"),
    ],
)
def test_a_bad_request_is_refused_before_anything_runs(e2b: Checkpoint, change: dict[str, object], option: str) -> None:
    engine = Engine(e2b)
    good = Request((picture(1),), QUESTION, 70, 4)
    with pytest.raises(OptionError, match=f"^{option}"):
        engine.generate([good, replace(good, **change)])  # type: ignore[arg-type]
    assert engine.pictures.encoded == 0
