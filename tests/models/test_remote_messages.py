"""What is sent to servers and what is read out of their answers."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from streamer.analyzer import likeness
from streamer.errors import OptionError
from streamer.gemma.budget import is_target_size, size_for, token_count
from streamer.gemma.forms import CHECK_SCHEMA
from streamer.models.base import BUDGETS, Request
from streamer.models.remote.capabilities import Capabilities
from streamer.models.remote.messages import boxes_schema, chat_body, plain, read_answer
from streamer.models.remote.pictures import SentPicture, SentPictures, encode, sent_size
from streamer.tasks import Task

ABLE = Capabilities(budget=True, schema=True, lists=True)
NOISE = np.random.default_rng(1).integers(0, 256, (288, 528, 3), dtype=np.uint8)
FLAT = np.full((288, 528, 3), (200, 30, 60), np.uint8)
BIG = np.zeros((1080, 1920, 3), np.uint8)


def body(request: Request, able: Capabilities = ABLE, *, structured: bool = True) -> dict[str, Any]:
    shown = [encode(image, request.budget) for image in request.images]
    return chat_body(request, shown, "gemma", able, structured=structured)


def opened(url: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


def test_pictures_first_then_the_words() -> None:
    sent = body(Request((BIG, FLAT), "What?", 70, 9, system="Be brief.", stop=("END",)))
    system, user = sent["messages"]
    assert system == {"role": "system", "content": "Be brief."}
    assert [part["type"] for part in user["content"]] == ["image_url", "image_url", "text"]
    assert opened(user["content"][0]["image_url"]["url"]).shape == (288, 528, 3)
    assert sent["mm_processor_kwargs"] == {"max_soft_tokens": 70}
    assert sent["chat_template_kwargs"] == {"enable_thinking": False}
    assert (sent["model"], sent["max_tokens"], sent["temperature"], sent["stop"]) == ("gemma", 9, 0.0, ["END"])
    assert not {"top_k", "top_p", "seed", "response_format"} & sent.keys()


def test_only_what_the_server_takes() -> None:
    drawn = Request((FLAT,), "What?", 70, temperature=1.0, top_p=0.9, top_k=64, seed=3, schema=CHECK_SCHEMA)
    assert {"top_k", "response_format", "chat_template_kwargs"} <= body(drawn).keys()
    least = body(drawn, Capabilities(extras=False))
    assert least.keys() == {"model", "messages", "max_tokens", "temperature", "top_p", "seed"}
    assert body(drawn, Capabilities(kind="Ollama"))["reasoning_effort"] == "none"


def test_boxes_are_held_to_their_form_where_the_server_can() -> None:
    request = Request((FLAT,), "detect", 70, likeness=likeness(Task.detect("car, person")))
    schema = body(request)["response_format"]["json_schema"]["schema"]
    jsonschema.validate([{"box_2d": [1, 2, 3, 4], "label": "car"}], schema)
    jsonschema.validate([], schema)
    wrongs: list[Any] = [[{"box_2d": [1, 2, 3], "label": "car"}], [{"box_2d": [1, 2, 3, 4], "label": "dog"}], {}]
    for wrong in wrongs:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
    anything = boxes_schema(likeness(Task.detect()))
    jsonschema.validate([{"box_2d": [1, 2, 3, 4], "label": "dog"}], anything)
    assert "response_format" not in body(request, structured=False)
    assert "response_format" not in body(request, Capabilities(schema=True))
    assert boxes_schema("Yes.") is None


@pytest.mark.parametrize("mark", ["<|image|>", "<turn|>", "<|turn>", "<bos>", "<channel|>", "<|tool_call>"])
def test_words_cannot_pretend_to_be_marks(mark: str) -> None:
    said = plain(f"a{mark}b <b> 1<2 |> ok")
    assert mark not in said
    assert said == f"a< {mark[1:]}b <b> 1<2 |> ok"


@given(st.text(alphabet="<|>abturnosiemg ", max_size=60))
def test_all_else_of_the_words_stays(text: str) -> None:
    assert plain(text).replace(" ", "") == text.replace(" ", "")
    assert plain(plain(text)) == plain(text)


CAMERAS = ((1920, 1080), (1280, 720), (640, 480), (704, 576), (2592, 1944), (1280, 960), (1080, 1920), (2688, 1520))


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("size", CAMERAS)
def test_the_server_comes_to_the_size_that_a_local_model_shows(size: tuple[int, int], budget: int) -> None:
    assert size_for(sent_size(size, budget), budget) == size_for(size, budget)


@given(st.integers(1, 5000), st.integers(1, 5000), st.sampled_from(BUDGETS))
def test_no_more_is_sent_than_the_budget_shows(width: int, height: int, budget: int) -> None:
    sent = sent_size((width, height), budget)
    assert sent[0] * sent[1] <= budget * 48**2 * 1.02 or sent == size_for((width, height), budget)
    assert is_target_size(sent, budget) or sent[0] * sent[1] >= budget * 48**2 * 0.95


def test_sizes_of_wide_pictures() -> None:
    assert [sent_size((1920, 1080), budget) for budget in (70, 140, 280)] == [(528, 288), (757, 426), (1056, 576)]


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([70, 140, 280]))
def test_a_sent_picture_is_of_that_size(width: int, height: int, budget: int) -> None:
    sent = encode(np.zeros((height, width, 3), np.uint8), budget)
    assert opened(sent.url).shape == (sent.size[1], sent.size[0], 3)
    assert sent.size in ((width, height), sent_size((width, height), budget))
    assert encode(opened(sent.url), budget).size == sent.size


def test_drawn_pictures_travel_exactly_and_camera_pictures_small() -> None:
    assert encode(FLAT, 70).url.startswith("data:image/png")
    assert np.array_equal(opened(encode(FLAT, 70).url), FLAT)
    assert encode(NOISE, 70).url.startswith("data:image/jpeg")
    assert len(encode(NOISE, 70).url) < 0.6 * len(encode(NOISE, 70, lossless=True).url)
    assert np.array_equal(opened(encode(NOISE, 70, lossless=True).url), NOISE)


def test_a_picture_is_encoded_once_for_all_questions_of_a_call() -> None:
    sent, seen = SentPictures(), dict[tuple[int, int], SentPicture]()
    first = sent.get(FLAT, 70, seen)
    assert sent.get(FLAT, 70, seen) is first
    assert sent.get(FLAT, 140, seen) is not first
    buffer = FLAT.copy()
    before = sent.get(buffer, 70, {})
    buffer[:] = 7
    assert sent.get(buffer, 70, {}) != before, "another call looks at the picture as it is then"


def test_pictures_are_encoded_ahead_within_bounds() -> None:
    sent, seen = SentPictures(), dict[tuple[int, int], SentPicture]()
    pictures = [np.zeros((1200, 2112, 3), np.uint8) for _ in range(12)]
    for picture in pictures:
        sent.prepare(picture, 1120)
    assert len(sent._ahead) * pictures[0].nbytes <= 64 * 2**20
    for picture in pictures:
        sent.get(picture, 1120, seen)
    assert not sent._ahead
    sent.prepare(FLAT, 70)
    sent.forget()
    assert not sent._ahead


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), BIG[:0]])
def test_what_is_no_picture(image: NDArray[Any]) -> None:
    with pytest.raises(OptionError, match="picture"):
        encode(image, 70)


def answered(text: Any, *, finish: str | None = "stop", usage: Any = None) -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return {"choices": [choice], "usage": usage}


def test_tokens_by_the_servers_own_count_or_by_the_rule() -> None:
    request, shown = Request((FLAT,), "What?", 70), [encode(FLAT, 70)]
    said = read_answer(answered("A.", usage={"prompt_tokens": 90, "completion_tokens": 3}), request, shown, ABLE)
    assert (said.image_tokens, said.prompt_tokens, said.output_tokens, said.finish) == (66, 24, 3, "stop")
    details = {
        "prompt_tokens": 90,
        "completion_tokens": 3,
        "prompt_tokens_details": {"multimodal_tokens": {"image": 65}},
    }
    assert read_answer(answered("A.", usage=details), request, shown, Capabilities()).image_tokens == 65
    fixed = Capabilities(fixed_budget=280)
    assert read_answer(answered("A."), request, shown, fixed).image_tokens == token_count((528, 288), 280)
    assert read_answer(answered("A."), request, shown, Capabilities(picture_tokens=99)).image_tokens == 99
    assert read_answer(answered("A.", finish="length"), request, shown, ABLE).finish == "length"


def test_answers_end_where_the_request_says() -> None:
    def text(said: str, **wanted: Any) -> str:
        return read_answer(answered(said), Request((), "?", 70, **wanted), [], ABLE).text

    assert text('```json\n[{"a": "]"}]\n``` and more', ends_with_list=True) == '```json\n[{"a": "]"}]'
    assert text("[1, 2", ends_with_list=True) == "[1, 2"
    assert text('{"a": 1}, {"a": 2} [1]', ends_with_list=True) == '{"a": 1}, {"a": 2} [1]'
    assert text("one END two", stop=("END",)) == "one "
    assert text("thought\nhm<channel|>A car.") == "A car."


@pytest.mark.parametrize(
    "document",
    [{}, {"choices": []}, {"choices": "x"}, {"choices": [1]}, {"choices": [{}]}, {"choices": [{"message": "x"}]},
     answered(7), answered(["x"]), answered("x", finish="abort"), answered("x", finish="error")],
)  # fmt: skip
def test_what_is_no_answer(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="its answer has no"):
        read_answer(document, Request((), "?"), [], ABLE)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON, JSON)
def test_odd_documents_are_answers_or_refused(message: Any, finish: Any, usage: Any) -> None:
    document = {"choices": [{"message": message, "finish_reason": finish}], "usage": usage}
    try:
        said = read_answer(document, Request((), "?"), [], ABLE)
    except ValueError:
        return
    assert said.prompt_tokens >= 0
    json.dumps(said.text)
