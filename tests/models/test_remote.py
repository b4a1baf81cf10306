"""The remote model against a real server on this machine: answers, abilities, secrets."""

from __future__ import annotations

import io
import json
import logging
import traceback
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from streamer.analyzer import Analyzer, Job
from streamer.errors import ModelError, OptionError, StreamerError
from streamer.frames import Frame
from streamer.models import connect
from streamer.models.base import Request, VisionModel
from streamer.models.local import TINY_CAVEAT
from streamer.models.remote.model import RemoteModel
from streamer.secret import Secret
from streamer.tasks import Task
from tests.models.openai_server import Abilities, Fault, OpenAIServer, pictures_of
from tests.models.remotely import ask, options, remote

KEY = "sk-very-secret-0123456789"


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(lambda body: f"said {body['messages'][-1]['content'][-1]['text']}") as running:
        yield running


@pytest.fixture
def two() -> Iterator[tuple[OpenAIServer, OpenAIServer]]:
    with OpenAIServer(lambda body: "of a") as a, OpenAIServer(lambda body: "of b") as b:
        yield a, b


# -- answers


def test_answers_come_in_order_and_the_batch_is_under_way_together(server: OpenAIServer) -> None:
    with remote(server) as one:
        model: VisionModel = one
        server.fault = Fault("slow")
        answers = model.generate([ask(words=f"question {number}") for number in range(12)])
        assert [answer.text for answer in answers] == [f"said question {number}" for number in range(12)]
        assert model.generate([]) == []
    assert 2 <= server.most_under_way <= 12
    first = answers[0]
    assert (first.image_tokens, first.prompt_tokens, first.output_tokens) == (66, 8 + 2 + 2, 4)
    assert first.model_ms >= 300
    assert (model.name, model.caveat, model.structured, model.size_for((1920, 1080), 70)) == (
        "gemma", None, True, (528, 288),
    )  # fmt: skip


def test_never_more_at_a_server_than_allowed(two: tuple[OpenAIServer, OpenAIServer]) -> None:
    with remote(*two, wanted=replace(options(*two), at_once=2)) as model:
        for server in two:
            server.fault = Fault("slow")
        answers = model.generate([ask() for _ in range(10)])
    assert sorted({answer.text for answer in answers}) == ["of a", "of b"]
    assert [server.most_under_way for server in two] == [2, 2]


def test_what_is_prepared_is_not_encoded_again(server: OpenAIServer) -> None:
    with remote(server) as model:
        request = ask(200)
        model.prepare(request.images[0], 70)
        model.prepare(request.images[0], 71)
        request.images[0][:] = 0
        model.generate([request])
        model.generate([request])
    shades = [pictures_of(body)[0].getpixel((0, 0)) for body in server.asked()]
    assert shades == [(200, 200, 200), (0, 0, 0)]


def test_frames_are_analysed_with_boxes_and_checks_in_their_forms(server: OpenAIServer) -> None:
    frame = Frame(ask().images[0], stream="s", sequence=0, time_seconds=0.0, source_size=(1280, 720))
    tasks = (Task.caption(), Task.detect("car"), Task.check("Is it dry?"))
    with remote(server) as model:
        [result] = Analyzer(model).analyze([Job(frame, tasks, 70)])
    assert result.error is None
    assert result.answers["detect"] == "[]"
    assert result.answers["check"] == {"answer": True, "reason": "x", "text": "Yes: x"}
    forms = [body.get("response_format", {}).get("type") for body in server.asked()]
    assert sorted(forms, key=str) == [None, "json_schema", "json_schema"]


def test_one_bad_request_of_a_batch_costs_only_its_own_answer(server: OpenAIServer) -> None:
    server.able = replace(server.able, several=False)
    frames = [
        Frame(ask(one).images[0], stream="s", sequence=one, time_seconds=one, source_size=(9, 9)) for one in (0, 1)
    ]
    job = Job(frames[1], (Task.caption(), Task.compare(), Task.ask("Why?")), 70, (frames[0],))
    with remote(server) as model:
        [result] = Analyzer(model).analyze([job])
    assert result.error is not None
    assert "compare: " in result.error
    assert "one picture a request" in result.error
    assert set(result.answers) == {"caption", "ask"}
    assert len(server.asked()) == 2, "what was answered is not asked again"


@pytest.mark.parametrize("request_", [
    replace(ask(), budget=71), replace(ask(), start="A"), replace(ask(), max_tokens=0), replace(ask(), temperature=-1),
    replace(ask(), images=(np.zeros((3, 3), np.uint8),)),
])  # fmt: skip
def test_bad_requests_are_refused_before_they_are_sent(server: OpenAIServer, request_: Request) -> None:
    with remote(server) as model:
        with pytest.raises(OptionError):
            model.generate([request_])
        assert model.generate([ask()])[0].finish == "stop"
    assert len(server.asked()) == 1


# -- what servers can do


@pytest.mark.parametrize(("able", "said"), [
    (Abilities(), ["(vLLM) takes an image budget for each request", "holds answers to JSON schemas"]),
    (Abilities(budget=False), ["takes no image budget for a request (it answers 400: Per-req", "budget 280 allows"]),
    (Abilities(owner="library", budget=False, default_budget=560), ["(Ollama) takes no", "budget 560 allows"]),
    (Abilities(owner="llamacpp", schema=False), ["(llama.cpp)", "does not hold answers to a JSON schema"]),
    (Abilities(lists=False), ["holds answers to JSON schemas, but not lists"]),
    (Abilities(several=False), ["takes one picture a request", "At most 1 image(s)"]),
    (Abilities(owner="openai", extras=False), ["(openai) takes no image budget"]),
    (Abilities(counts=False), ["takes no image budget", "does not say how many tokens"]),
    (Abilities(thinks=True), ["thinks before it answers"]),
])  # fmt: skip
def test_what_a_server_cannot_do_is_found_out_and_said(server: OpenAIServer, able: Abilities, said: list[str]) -> None:
    server.able = able
    with remote(server) as model:
        for part in said:
            assert any(part in line for line in model.findings), model.findings
        assert model.structured is able.schema
        assert model.generate([ask()])[0].text == "said What is this?"
    [body] = server.asked()
    assert ("mm_processor_kwargs" in body) is (able.budget and able.counts and able.extras)


def test_servers_that_are_alike_share_a_sentence(two: tuple[OpenAIServer, OpenAIServer]) -> None:
    with remote(*two) as model:
        assert model.findings[0] == f"{two[0].url}, {two[1].url} (vLLM) takes an image budget for each request"
    two[1].able = replace(two[1].able, budget=False)
    with remote(*two) as model:
        assert len(model.findings) == 4
        model.generate([ask() for _ in range(4)])
    assert all("mm_processor_kwargs" in body for body in two[0].asked())
    assert not any("mm_processor_kwargs" in body for body in two[1].asked())


def test_a_server_without_the_model_says_which_it_has(server: OpenAIServer) -> None:
    server.models = ["qwen", "llama"]
    with pytest.raises(ModelError, match=r"does not have it; it has: llama, qwen \(use --model with one\)"):
        RemoteModel(options(server))


def test_the_embedded_checkpoint_is_known_wherever_it_is_served(server: OpenAIServer) -> None:
    server.able = replace(server.able, root="/somewhere/gemma/tiny")
    with remote(server) as model:
        assert (model.caveat, model.structured) == (TINY_CAVEAT, False)


@pytest.mark.parametrize(("fault", "said"), [
    (Fault("500", health=True), "it answers 500: boom"),
    (Fault("404", health=True), "it answers 404"),
    (Fault("nonsense", health=True), "its answer is no JSON"),
    (Fault("empty", health=True), r"its list of models is none \(is the address right"),
    (Fault("500"), "it answers 500"),
])  # fmt: skip
def test_a_server_that_does_not_serve_is_an_error_at_the_start(server: OpenAIServer, fault: Fault, said: str) -> None:
    server.fault = fault
    with pytest.raises(ModelError, match=said):
        RemoteModel(options(server))


def test_nobody_at_the_address() -> None:
    with OpenAIServer() as gone:
        url = gone.url
    with pytest.raises(ModelError, match=r"cannot be reached .*\(does it run\?\)"):
        connect("gemma", url)


# -- secrets


def test_the_key_opens_the_door_and_is_seen_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said = io.StringIO()
    with OpenAIServer(key=KEY) as server:
        keyed = replace(options(server), key=Secret(KEY), attempts=1)
        with remote(server, wanted=keyed) as model:
            assert model.generate([ask()])[0].text == "a street"
            for kind in ("400", "500", "cut", "nonsense"):
                picture = json.dumps(ask().prompt) + "data:image/png;base64," + "iVBORw0KGgo" * 20
                server.fault = Fault(kind, message=f"Authorization: Bearer {KEY} and {picture}")
                try:
                    model.generate([ask()])
                except StreamerError as error:
                    traceback.print_exception(error, file=said)
            said.write(f"{keyed!r} {model.findings} {vars(model)}")
        server.key = "sk-another-key"
        with pytest.raises(ModelError, match="STREAMER_MODEL_KEY") as refused:
            RemoteModel(keyed)
        traceback.print_exception(refused.value, file=said)
    everything = said.getvalue() + caplog.text
    assert "it answers 400: Authorization: Bearer ***" in everything
    assert "it answers 401: Bearer *** is no key of mine" in everything
    assert KEY not in everything
    assert "iVBORw0KGgo" not in everything
    assert "HTTP Request" in caplog.text, "the client's own log was looked at"


def test_the_environments_key_is_used(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.key = KEY
    monkeypatch.setenv("STREAMER_MODEL_KEY", KEY)
    with connect("gemma", server.url, live=True) as model:
        assert model.generate([ask()])
    monkeypatch.delenv("STREAMER_MODEL_KEY")
    with pytest.raises(ModelError, match="it answers 401"):
        connect("gemma", server.url)
