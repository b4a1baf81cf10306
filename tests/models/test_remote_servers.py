"""The remote model and servers with faults, servers that go and come back, and its own end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from streamer.errors import ModelError, ModelInterrupted
from tests.models.openai_server import Fault, OpenAIServer, until
from tests.models.remotely import ask, options, remote


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(lambda body: f"said {body['messages'][-1]['content'][-1]['text']}") as running:
        yield running


@pytest.fixture
def two() -> Iterator[tuple[OpenAIServer, OpenAIServer]]:
    with OpenAIServer(lambda body: "of a") as a, OpenAIServer(lambda body: "of b") as b:
        yield a, b


# -- faults


@pytest.mark.parametrize("kind", ["500", "429", "cut", "nonsense", "empty", "endless"])
def test_a_passing_fault_is_tried_again(server: OpenAIServer, kind: str) -> None:
    with remote(server) as model:
        server.fault = Fault(kind, times=2)
        assert model.generate([ask()])[0].text == "said What is this?"
    assert len(server.asked()) == 3


@pytest.mark.parametrize(("kind", "said"), [
    ("500", "it answers 500: boom (attempt 4)"), ("cut", "connection broke"), ("empty", "its answer has no choices"),
])  # fmt: skip
def test_a_lasting_fault_is_an_error_after_a_few_attempts(
    two: tuple[OpenAIServer, OpenAIServer], kind: str, said: str
) -> None:
    with remote(*two) as model:
        for server in two:
            server.fault = Fault(kind)
        with pytest.raises(ModelError) as failed:
            model.generate([ask()])
    assert said in str(failed.value)
    assert 1 < sum(len(server.asked()) for server in two) <= 4


@pytest.mark.parametrize("status", ["400", "401", "413", "422"])
def test_what_cannot_get_better_is_not_tried_again(server: OpenAIServer, status: str) -> None:
    with remote(server) as model:
        server.fault = Fault(status, message="no such thing")
        with pytest.raises(ModelError, match=f"it answers {status}: no such thing"):
            model.generate([ask()])
        server.fault = None
        assert model.generate([ask()])
    assert len(server.asked()) == 2


def test_a_hanging_server_costs_its_time_and_the_other_one_answers(two: tuple[OpenAIServer, OpenAIServer]) -> None:
    with remote(*two, wanted=replace(options(*two), attempt_seconds=1)) as model:
        two[0].fault = Fault("hang")
        started = time.monotonic()
        answers = model.generate([ask() for _ in range(4)])
    assert [answer.text for answer in answers] == ["of b"] * 4
    assert time.monotonic() - started < 8


def test_a_live_frame_is_not_asked_about_again_when_its_time_is_over(two: tuple[OpenAIServer, OpenAIServer]) -> None:
    live = replace(options(*two), deadline_seconds=1, attempt_seconds=1)
    with remote(*two, wanted=live) as model:
        two[0].fault, two[1].fault = Fault("hang"), Fault("hang")
        started = time.monotonic()
        with pytest.raises(ModelError, match=r"no answer within [01](\.\d+)? s"):
            model.generate([ask()])
    assert time.monotonic() - started < 3
    assert sum(len(server.asked()) for server in two) == 1


def test_a_server_that_asks_for_time_gets_it_within_the_deadline(server: OpenAIServer) -> None:
    with remote(server) as model:
        server.fault = Fault("429", times=1, headers={"Retry-After": "1"})
        started = time.monotonic()
        assert model.generate([ask()])
        assert time.monotonic() - started >= 1
        server.fault = Fault("503", times=1, headers={"Retry-After": "60"})
        started = time.monotonic()
        with pytest.raises(ModelError, match="it answers 503"):
            model.generate([ask()])
        assert time.monotonic() - started < 5


def test_while_one_asks_for_time_the_other_one_answers(two: tuple[OpenAIServer, OpenAIServer]) -> None:
    with remote(*two) as model:
        two[0].fault = Fault("429", times=1, headers={"Retry-After": "60"})
        assert [answer.text for answer in model.generate([ask() for _ in range(2)])] == ["of b"] * 2
        assert [answer.text for answer in model.generate([ask() for _ in range(6)])] == ["of b"] * 6
    assert len(two[0].asked()) == 1


def test_a_server_that_dies_is_left_out_and_comes_back(
    two: tuple[OpenAIServer, OpenAIServer], caplog: pytest.LogCaptureFixture
) -> None:
    with remote(*two) as model, caplog.at_level(logging.WARNING):
        two[0].stop()
        for _ in range(3):
            assert [answer.text for answer in model.generate([ask() for _ in range(4)])] == ["of b"] * 4
        assert f"{two[0].url} is left out: it cannot be reached" in caplog.text
        two[0].start()
        until(lambda: f"{two[0].url} is back" in caplog.text)
        assert {answer.text for answer in model.generate([ask() for _ in range(4)])} == {"of a", "of b"}


def test_the_model_is_at_fault_while_no_server_answers(two: tuple[OpenAIServer, OpenAIServer]) -> None:
    with remote(*two, wanted=replace(options(*two), deadline_seconds=2, attempt_seconds=1)) as model:
        two[0].stop()
        with suppress(ModelError):
            model.generate([ask() for _ in range(4)])
        assert model.fault is None
        two[1].stop()
        with pytest.raises(ModelError):
            model.generate([ask()])
        assert model.fault == "none of its servers answers"
        two[1].start()
        until(lambda: model.fault is None)


def test_a_server_that_was_not_there_at_the_start_joins_later(
    two: tuple[OpenAIServer, OpenAIServer], caplog: pytest.LogCaptureFixture
) -> None:
    two[0].stop()
    with remote(*two) as model, caplog.at_level(logging.WARNING):
        assert f"{two[0].url} is left out until it answers: it cannot be reached" in model.findings[-1]
        two[0].start()
        until(lambda: f"{two[0].url} is back" in caplog.text)
        two[0].asked()
        assert {answer.text for answer in model.generate([ask() for _ in range(4)])} == {"of a", "of b"}
    assert all("mm_processor_kwargs" in body for body in two[0].asked())


def test_a_server_that_comes_back_with_another_model_stays_out(
    two: tuple[OpenAIServer, OpenAIServer], caplog: pytest.LogCaptureFixture
) -> None:
    with remote(*two) as model, caplog.at_level(logging.WARNING):
        two[0].models = ["other"]
        assert {answer.text for answer in model.generate([ask() for _ in range(4)])} == {"of b"}
        looks = two[0].looks
        until(lambda: two[0].looks > looks)
        assert {answer.text for answer in model.generate([ask() for _ in range(4)])} == {"of b"}
    assert "is back" not in caplog.text


def test_requests_wait_for_the_only_server_within_the_deadline(server: OpenAIServer) -> None:
    with remote(server) as model:
        server.stop()
        later = threading.Timer(0.7, server.start)
        later.start()
        try:
            assert [answer.text for answer in model.generate([ask(), ask()])] == ["said What is this?"] * 2
        finally:
            later.join()


def test_a_server_that_is_still_loading_is_waited_for(server: OpenAIServer, caplog: pytest.LogCaptureFixture) -> None:
    with remote(server) as model:
        server.fault = Fault("503", health=True, message="Loading model")
        later = threading.Timer(1.5, lambda: setattr(server, "fault", None))
        later.start()
        assert model.generate([ask()])[0].text == "said What is this?"
        later.join()
    assert "is left out: it answers 503: Loading model" in caplog.text


def test_no_server_in_time_says_what_is_wrong_with_each(two: tuple[OpenAIServer, OpenAIServer]) -> None:
    with remote(*two, wanted=replace(options(*two), deadline_seconds=0.8)) as model:
        for server in two:
            server.stop()
        started = time.monotonic()
        with pytest.raises(ModelError) as failed:
            model.generate([ask()])
        assert time.monotonic() - started < 3
    assert "cannot be reached" in str(failed.value)


# -- the end


def test_a_running_call_is_called_off_within_a_second_and_the_next_one_is_whole(server: OpenAIServer) -> None:
    with remote(server) as model:
        model.interrupt()
        server.fault = Fault("hang")
        called_off: list[float] = []

        def call_off() -> None:
            until(lambda: server.under_way >= 3)
            called_off.append(time.monotonic())
            model.interrupt()

        caller = threading.Thread(target=call_off)
        caller.start()
        with pytest.raises(ModelInterrupted, match="gemma: it was interrupted"):
            model.generate([ask() for _ in range(3)])
        assert time.monotonic() - called_off[0] < 1
        caller.join()
        server.fault = None
        assert model.generate([ask()])[0].text == "said What is this?"


def test_closing_ends_what_runs_and_asking_after_it_is_an_error(server: OpenAIServer) -> None:
    with remote(server) as model:
        server.fault = Fault("hang")
        closer = threading.Timer(0.3, model.close)
        closer.start()
        with pytest.raises(ModelInterrupted):
            model.generate([ask()])
        closer.join()
        model.close()
        with pytest.raises(ModelError, match="gemma: it is closed"):
            model.generate([ask()])
