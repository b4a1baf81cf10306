"""One picture of a live stream, asked in several ways."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from streamer.analyzer import Job
from streamer.configuration import Configuration, StreamEntry
from streamer.frames import Frame
from streamer.models.base import Generation, Request
from streamer.models.scripted import ScriptedModel
from streamer.monitor import Monitor
from streamer.questions import MAX_QUESTIONS, Question, Questions
from streamer.settings import StreamSettings
from streamer.tasks import Task
from tests.server.api.serving import GENEROUS, Served, problem, say, serving
from tests.server.rig import Camera, eventually

URL = "/api/v1/streams/gate/comparisons"
TWO = {"variants": [{"budget": 70}, {"budget": 280}]}
QUIET = StreamEntry("gate", "synthetic:?live=1&fps=10&size=640x360", StreamSettings(tasks=(), display_fps=1))


def quiet(**more: Any) -> Configuration:
    return Configuration(streams=(replace(QUIET, **more),))


@pytest.fixture(scope="module")
def looked() -> list[Request]:
    return []


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, looked: list[Request]) -> Iterator[Served]:
    def look(request: Request) -> str:
        looked.append(request)
        return say(request)

    with serving(tmp_path_factory.mktemp("compared"), quiet(), script=look) as served:
        yield served


def test_the_same_picture_is_asked_in_each_way(compared: Served, looked: list[Request]) -> None:
    looked.clear()
    ways = [
        {"budget": 70, "tasks": [{"kind": "caption"}, {"kind": "detect", "labels": ["person"]}]},
        {"budget": 280, "tasks": [{"kind": "ask", "prompt": "Who?"}, {"kind": "ask", "prompt": "Where?"}]},
        {"budget": 1120},
    ]
    with compared.client() as client:
        answer = client.post(URL, json={"variants": ways, "width": 320})
    assert answer.status_code == 200, answer.text
    values = answer.json()
    first, second, third = values["variants"]
    assert [one["budget"] for one in values["variants"]] == [70, 280, 1120]
    assert (set(first["answers"]), first["detections"][0]["label"]) == ({"caption", "detect"}, "person")
    assert set(second["answers"]) == {"ask", "ask-2"}
    assert third["caption"] == first["caption"]
    assert first["usage"]["output_tokens"] > 0
    assert (first["width"], first["height"], values["stream"]) == (640, 360, "gate")
    assert abs(values["captured"] - time.time()) < 10
    assert all(one["caveat"].startswith("scripted") and one["model"] == "scripted" for one in values["variants"])
    shown = np.asarray(Image.open(BytesIO(base64.b64decode(values["picture"]))).convert("RGB").resize((64, 36)))
    assert {request.budget for request in looked} == {70, 280, 1120}
    for request in looked:  # each was asked about that picture, at its own size
        assert request.images[0].size > {70: 0, 280: 3e5, 1120: 2e6}[request.budget]
        seen = np.asarray(Image.fromarray(request.images[0]).resize((64, 36)))
        assert np.abs(seen.astype(float) - shown).mean() < 12


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"variants": [{}]}, "variants"),
        ({"variants": [{}] * 5}, "variants"),
        ({"variants": [{"budget": 71}, {}]}, "budget"),
        ({"variants": [{"tasks": [{"kind": "compare"}]}, {}]}, "tasks"),
        ({"variants": [{"tasks": [{"kind": "ask"}]}, {}]}, "ask"),
        ({"variants": [{"model": "x"}, {}]}, "model"),
        ({**TWO, "width": 5}, "width"),
    ],
)
def test_what_cannot_be_asked_is_refused(compared: Served, body: dict[str, Any], field: str) -> None:
    with compared.client() as client:
        values = problem(client.post(URL, json=body), 422)
        assert field in f"{values.get('field')} {values['detail']}"
        problem(client.post("/api/v1/streams/nobody/comparisons", json=TWO), 404)


def test_a_stream_without_pictures_is_not_waited_for(tmp_path: Path) -> None:
    gone = quiet(address=str(tmp_path / "nothing.mp4"))
    short = replace(GENEROUS, next_picture_seconds=0.2)
    with serving(tmp_path, gone, limits=short) as served, served.client() as client:
        assert "no picture" in problem(client.post(URL, json=TWO), 504)["detail"]


def test_a_busy_model_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    short = replace(GENEROUS, analyze_seconds=0.3)
    with serving(tmp_path, quiet(), limits=short, seconds=2) as served, served.client() as client:
        assert "busy" in problem(client.post(URL, json=TWO), 504)["detail"]


def test_only_so_many_are_made_at_once(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait(request: Request) -> str:
        begun.set()
        go_on.wait(10)
        return say(request)

    with (
        serving(tmp_path, quiet(), limits=replace(GENEROUS, comparisons=1), script=wait) as served,
        served.client() as client,
        ThreadPoolExecutor(1) as pool,
    ):
        first = pool.submit(client.post, URL, json=TWO)
        assert begun.wait(10)
        answer = client.post(URL, json=TWO)
        problem(answer, 429)
        assert answer.headers["retry-after"] == "1"
        go_on.set()
        assert first.result(10).status_code == 200
        assert client.post(URL, json=TWO).status_code == 200


class Noted(ScriptedModel):
    """Remembers what came in each batch."""

    def __init__(self) -> None:
        super().__init__(seconds=0.02)
        self.batches: list[list[str]] = []

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        self.batches.append([request.prompt for request in requests])
        return super().generate(requests)


def test_what_is_asked_alone_has_a_batch_of_its_own_and_streams_every_other_one() -> None:
    busy = StreamSettings(tasks=(Task.caption("Own"),), fps=50, gate=0)
    with Noted() as model, Monitor(model) as monitor:
        monitor.add("gate", lambda: Camera(fps=60), busy)
        eventually(lambda: len(model.batches) > 3)
        asked = [monitor.submit(question(alone=True).job, alone=True) for _ in range(6)]
        assert all(future.result(5).error is None for future in asked)
        batches = list(model.batches)
    mine = [place for place, batch in enumerate(batches) if batch != ["Own"]]
    assert [batches[place] for place in mine] == [[Task.caption().prompt]] * 6
    assert all(later - sooner >= 2 for sooner, later in pairwise(mine))


def question(*, alone: bool = False) -> Question:
    frame = Frame(np.zeros((48, 48, 3), np.uint8), (48, 48), "x", 0, 0.0)
    return Question(Job(frame, (Task.caption(),), 70), Future(), alone)


def test_who_is_asked_next() -> None:
    questions = Questions()
    plain, first, second, last = question(), question(alone=True), question(alone=True), question()
    assert all(questions.put(one) for one in (plain, first, second, last))
    assert questions.take(frames_wait=True) == [plain]
    assert questions.take(frames_wait=True) == [first]
    assert questions.take(frames_wait=True) == [], "it is the streams' turn"
    assert questions.take(frames_wait=True) == [second]
    assert questions.take(frames_wait=False) == [last]
    assert questions.take(frames_wait=False) == []
    gone = question()
    gone.future.cancel()
    questions.put(gone)
    assert questions.take(frames_wait=False) == []
    assert all(questions.put(question()) for _ in range(MAX_QUESTIONS))
    assert not questions.put(question())
    questions.cancel()
    assert len(questions) == 0


def test_a_viewer_compares_what_may_be_seen(tmp_path: Path) -> None:
    with serving(tmp_path, quiet(), open_locally=False) as served:
        token = served.tokens.create("anna", "viewer", ["gate"])
        blind = served.tokens.create("bert", "viewer", ["yard"])
        with served.client(token) as client:
            assert client.post(URL, json=TWO).status_code == 200
        with served.client(blind) as client:
            problem(client.post(URL, json=TWO), 404)


def test_the_end_of_the_server_is_no_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody compares nearly always when it ends."""
    begun = threading.Event()

    def note(request: Request) -> str:
        begun.set()
        time.sleep(2)
        return say(request)

    with ThreadPoolExecutor(1) as pool:
        with serving(tmp_path, quiet(), script=note) as served, served.client() as client:
            asked = pool.submit(client.post, URL, json=TWO)
            assert begun.wait(10)
        with suppress(httpx.HTTPError):
            assert asked.result(10).status_code == 503
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


def test_nothing_waits_when_the_client_goes_away(tmp_path: Path) -> None:
    with serving(tmp_path, quiet(), seconds=0.5) as served:
        with served.client() as client, pytest.raises(httpx.ReadTimeout):
            client.post(URL, json=TWO, timeout=0.2)
        with served.client() as client:
            assert client.post(URL, json=TWO).status_code in (200, 429)
            assert client.post(URL, json=TWO).status_code == 200
