"""Answers that are started, ended or held to a form for the model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.errors import OptionError
from streamer.gemma.budget import size_for
from streamer.gemma.checkpoint import Checkpoint, load
from streamer.gemma.engine import Engine
from streamer.gemma.forms import CHECK_SCHEMA
from streamer.gemma.rows import list_end
from streamer.models.base import Request
from streamer.pictures import read_picture
from streamer.watching import sample_video
from tests.gemma.conftest import Reference, picture

SCHEMA = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "green"]}, "count": {"type": "integer", "minimum": 0, "maximum": 99}},
    "required": ["colour", "count"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_answers_of_any_checkpoint_follow_the_schema(checkpoint: Checkpoint, temperature: float) -> None:
    engine = Engine(checkpoint)
    requests = [
        Request((picture(seed),), "What?", 70, 40, schema=SCHEMA, temperature=temperature, seed=seed)
        for seed in range(3)
    ]
    free = Request((picture(0),), "What?", 70, 12)
    *held, plain = engine.generate([*requests, free])
    for answer in held:
        document = json.loads(answer.text)
        assert set(document) == {"colour", "count"}
        assert document["colour"] in ("red", "green")
        assert 0 <= document["count"] <= 99
        assert answer.finish == "stop"
    assert plain.token_ids == Reference(checkpoint).ids(free)


def test_the_limit_leaves_a_valid_document(checkpoint: Checkpoint) -> None:
    request = Request((picture(1),), "Is it?", 70, 60, schema=CHECK_SCHEMA)
    [answer] = Engine(checkpoint).generate([request])
    document = json.loads(answer.text)
    assert document["answer"] in ("yes", "no")
    assert isinstance(document["reason"], str)
    assert answer.output_tokens <= 60


def test_what_the_schema_forces_costs_no_forward(checkpoint: Checkpoint) -> None:
    request = Request((picture(1),), "What?", 70, 40, schema=SCHEMA)
    [answer] = Engine(checkpoint).generate([request])
    [slowly] = Engine(checkpoint).generate([replace(request, temperature=1e-6)])  # as good as greedy, and not drafted
    assert answer.text == slowly.text
    assert answer.forwards < slowly.forwards / 2


def test_a_draft_under_a_schema_changes_nothing(checkpoint: Checkpoint) -> None:
    request = Request((picture(2),), "What?", 70, 40, schema=SCHEMA)
    [first] = Engine(checkpoint).generate([request])
    [again] = Engine(checkpoint).generate([replace(request, draft=first.token_ids)])
    [stale] = Engine(checkpoint).generate([replace(request, draft=(9, *first.token_ids[2:]))])
    assert first.token_ids == again.token_ids == stale.token_ids
    assert again.forwards == 1


def test_too_little_room_for_the_schema_is_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(OptionError, match="max_tokens"):
        Engine(checkpoint).generate([Request((picture(1),), "What?", 70, 3, schema=SCHEMA)])


def test_what_could_cut_a_document_is_refused(checkpoint: Checkpoint) -> None:
    request = Request((picture(1),), "What?", 70, 40, schema=SCHEMA)
    for other in ({"stop": (",",)}, {"ends_with_list": True}, {"start": "{"}):
        with pytest.raises(OptionError):
            Engine(checkpoint).generate([replace(request, **other)])


def test_a_started_answer_goes_on_as_generate_would(checkpoint: Checkpoint) -> None:
    """The same as the model's own answer where it would have begun so; and the start is part of the text."""
    engine = Engine(checkpoint)
    request = Request((picture(3),), "What?", 70, 20, start="```json\n[")
    [answer] = engine.generate([request])
    assert answer.text.startswith("```json\n[")
    ids = answer.token_ids
    given = len(checkpoint.tokenizer("```json\n[", add_special_tokens=False)["input_ids"])
    for shorter in (8, 14):
        [part] = engine.generate([replace(request, max_tokens=given + shorter - 7)])
        assert part.token_ids == ids[: given + shorter - 7]
    with pytest.raises(OptionError, match="start"):
        engine.generate([replace(request, max_tokens=2)])


def street_request() -> Request:
    frame = read_picture(str(sample_video()), lambda size: size_for(size, 70))
    return Request((frame.image,), "detect all objects, output only ```json", 70, 300)


def test_a_detection_is_ended_at_its_closing_bracket() -> None:
    checkpoint = load("tiny", device="cpu", dtype="fp32")
    with_fence = street_request()
    [whole] = Engine(checkpoint).generate([with_fence])
    [ended] = Engine(checkpoint).generate([replace(with_fence, ends_with_list=True)])
    end = list_end(whole.text)
    assert end is not None
    assert ended.text == whole.text[:end]
    assert ended.output_tokens < whole.output_tokens


def test_the_form_of_a_detection_saves_forwards_and_changes_nothing() -> None:
    checkpoint = load("tiny", device="cpu", dtype="fp32")
    request = street_request()
    likeness = '```json\n[\n  {"box_2d": [500, 500, 500, 500], "label": "car"}\n]\n```'
    [plain] = Engine(checkpoint).generate([request])
    [formed] = Engine(checkpoint).generate([replace(request, likeness=likeness)])
    assert formed.token_ids == plain.token_ids
    assert formed.forwards < plain.forwards


objects = st.dictionaries(
    st.text(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner))
)


@settings(max_examples=40)
@given(st.text(alphabet="abc :.,\n") | st.just("As [you] asked: "), st.lists(objects), st.text())
def test_the_end_of_a_list_is_found_wherever_it_stands(before: str, document: list[object], after: str) -> None:
    written = json.dumps(document)
    assert list_end(before + written + after) == len(before) + len(written)
    assert list_end(before + written[:-1]) is None
    assert list_end(before + json.dumps({"boxes": document}) + written) is None, "objects without a list go on"


def test_families_share_one_grammar_cache(family_checkpoint: Callable[[str], Checkpoint]) -> None:
    engine = Engine(family_checkpoint("E2B"))
    request = Request((picture(1),), "What?", 70, 40, schema=SCHEMA)
    assert [a.text for a in engine.generate([request, request])] == [a.text for a in engine.generate([request]) * 2]
