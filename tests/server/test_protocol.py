"""The messages: everything comes back as it was sent, and every example of the documentation is one of them."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from streamer.display import EncodedPicture
from streamer.errors import OptionError
from streamer.geometry import Box
from streamer.results import Detection, FrameResult, Timings
from streamer.server import protocol
from streamer.server.messages import result_message
from streamer.server.parts import TaskPart
from streamer.server.picture import HEADER_BYTES, parse_picture, picture_message
from streamer.settings import StreamSettings
from streamer.tasks import Kind, Task

SCHEMA = {"type": "object", "properties": {"cars": {"type": "integer"}}, "required": ["cars"]}
DOCUMENT = Path(__file__).parents[2] / "docs" / "protocol.md"
EXAMPLES = re.findall(r"### (\w+)\n(?:(?!###).)*?```json\n(.*?)\n```\n", DOCUMENT.read_text(), re.DOTALL)
TOLD = {model.model_fields["type"].default: model for model in get_args(protocol.Told)}
ASKED = {model.model_fields["type"].default: model for model in get_args(protocol.Asked)}

part = st.floats(0, 1)
words = st.text(max_size=200)
detections = st.builds(Detection, words, st.builds(Box, part, part, part, part), st.none() | st.integers(0, 999))
results = st.builds(
    FrameResult,
    stream=words,
    sequence=st.integers(0, 2**40),
    time_seconds=st.floats(0, 1e7),
    source_size=st.tuples(st.integers(1, 8000), st.integers(1, 8000)),
    index=st.none() | st.integers(0, 2**40),
    caption=st.none() | words,
    detections=st.lists(detections, max_size=5).map(tuple),
    answers=st.dictionaries(words, words | st.fixed_dictionaries({"answer": st.none() | st.booleans(), "text": words})),
    notes=st.dictionaries(words, words),
    reused=st.booleans(),
    timings=st.builds(Timings, age_ms=st.none() | st.floats(0, 1e6)),
    error=st.none() | words,
)


@pytest.mark.parametrize(("name", "text"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_examples_of_the_documentation_are_messages(name: str, text: str) -> None:
    message: Any = protocol.parse_told(text) if name in TOLD else protocol.parse_asked(text)
    assert message.type == name
    assert set(message.model_dump(exclude_unset=True)) >= set(type(message).model_fields) - {"error"} or name == "add"


def test_every_message_has_an_example() -> None:
    assert {name for name, _ in EXAMPLES} == TOLD.keys() | ASKED.keys()


@given(results)
def test_results_come_back_as_they_were(result: FrameResult) -> None:
    message = result_message(result)
    back = protocol.parse_told(message.model_dump_json())
    assert back == message
    assert isinstance(back, protocol.Result)
    assert [(found.label, found.x1, found.y1, found.x2, found.y2) for found in back.detections] == [
        (found.label, *found.box) for found in result.detections
    ]
    assert (back.caption, back.error, back.answers) == (result.caption, result.error, dict(result.answers))
    assert back.reused is result.reused


@given(
    number=st.integers(0, 2**32 - 1),
    sequence=st.integers(0, 2**32 - 1),
    media=st.floats(0, 1e9),
    size=st.tuples(st.integers(1, 65500), st.integers(1, 65500)),
    jpeg=st.binary(max_size=100),
)
def test_pictures_come_back_as_they_were(
    number: int, sequence: int, media: float, size: tuple[int, int], jpeg: bytes
) -> None:
    message = picture_message(number, EncodedPicture("any", sequence, media, time.monotonic() - 2, size, jpeg))
    picture = parse_picture(message)
    assert (picture.number, picture.sequence, picture.media_seconds) == (number, sequence, media)
    assert (picture.size, picture.jpeg) == (size, jpeg)
    assert picture.captured == pytest.approx(time.time() - 2, abs=0.5)


@given(st.binary(max_size=HEADER_BYTES + 3))
def test_what_is_no_picture_is_refused(message: bytes) -> None:
    if len(message) < HEADER_BYTES or message[:2] != b"\x01\x01":
        with pytest.raises(ValueError, match="not a picture"):
            parse_picture(message)


@pytest.mark.parametrize(
    "task",
    [
        Task.caption("Say it"),
        Task.detect("traffic light, dog"),
        Task.detect(),
        Task.ask("How many?", name="count"),
        Task.check("Is it day?"),
        Task.read(),
        Task.compare(frames=4),
        replace(Task.ask("And now?"), frames=3),
        Task.ask("How many?", schema=SCHEMA),
    ],
)
def test_tasks_come_back_as_they_were(task: Task) -> None:
    text = TaskPart.of(task).model_dump_json()
    assert TaskPart.model_validate_json(text).task() == task


@pytest.mark.parametrize(
    ("kind", "schema", "words"),
    [
        ("ask", {"cars": 1}, "a JSON schema that can be followed: it has none of"),
        ("ask", json.loads('{"items": ' * 120 + "{}" + "}" * 120), "parts lie in parts"),
        ("detect", {"type": "object"}, "boxes have their own form"),
    ],
)
def test_what_is_no_schema_of_a_task_is_refused(kind: Kind, schema: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        TaskPart(kind=kind, prompt="How many?", schema=schema).task()


def test_changes_leave_the_rest_alone() -> None:
    message = protocol.parse_asked('{"type": "set", "id": 1, "stream": "a", "budget": 70, "paused": true}')
    assert isinstance(message, protocol.Set)
    before = StreamSettings(tasks=(Task.read(),), fps=3)
    after = message.apply(before)
    assert (after.budget, after.paused, after.tasks, after.fps) == (70, True, before.tasks, 3)


def test_the_gate_and_the_budget_auto_are_set_like_the_rest() -> None:
    message = protocol.parse_asked(
        '{"type": "set", "id": 1, "stream": "a", "budget": "auto", "gate": 0, "gate_seconds": 5}'
    )
    assert isinstance(message, protocol.Set)
    after = message.apply(StreamSettings())
    assert (after.budget, after.gate, after.gate_seconds) == ("auto", 0, 5)
    back = protocol.parse_asked('{"type": "set", "id": 2, "stream": "a", "budget": 140}')
    assert isinstance(back, protocol.Set)
    assert (back.apply(after).budget, back.apply(after).gate) == (140, 0)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"type": "set", "id": 1, "stream": "a", "budget": "much"}', "budget.*: expected a whole number"),
        ('{"type": "set", "id": 1}', "stream: it is missing"),
        ('{"type": "set", "id": 1, "stream": "a", "paused": "ja"}', "paused: expected true or false"),
        ('{"type": "set", "id": 1, "stream": "a", "bugdet": 70}', "bugdet: there is no such field"),
        ('{"type": "set", "id": 1, "stream": ""}', "stream: expected text of at least 1 characters"),
        ('{"type": "nonsense", "id": 1}', "expected one of 'auth'.* as its type"),
        ('{"type": "set_task", "id": 1, "stream": "a", "task": {"kind": "sing"}}', "kind: expected one of 'caption'"),
        ('{"type": "ping", "sent": "' + "x" * 100 + '"}', "sent: expected a number"),
        ("[]", "the message: expected an object"),
        ("{", "the message: it is not JSON"),
        ("\udcff".encode("utf-8", "surrogatepass"), "the message: it is not JSON"),
    ],
)
def test_what_cannot_be_read_is_answered_with_words(text: str | bytes, place: str) -> None:
    with pytest.raises(ValidationError) as caught:
        protocol.parse_asked(text)
    ack = protocol.refusal(text, caught.value)
    assert not ack.ok
    assert re.search(place, ack.error or "")
    assert ack.id == (1 if b'"id": 1' in (text if isinstance(text, bytes) else text.encode()) else None)


def test_a_refusal_does_not_quote_what_it_refuses() -> None:
    text = '{"type": "auth", "token": ["hunter2"]}'
    with pytest.raises(ValidationError) as caught:
        protocol.parse_asked(text)
    assert "hunter2" not in protocol.refusal(text, caught.value).model_dump_json()


def test_a_question_needs_words() -> None:
    with pytest.raises(OptionError, match="some words"):
        TaskPart(kind="ask", prompt="  ").task()
