"""One picture of a live stream, shown to several models."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamer.analyzer import Job
from streamer.configuration import Configuration, StreamEntry
from streamer.errors import ModelError, OptionError
from streamer.frames import Frame
from streamer.further import MAX_WAITING, FurtherModel, FurtherModels
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.settings import StreamSettings
from streamer.sharing import SharedModel
from streamer.tasks import Task
from tests.server.api.serving import GENEROUS, Served, problem, say, serving

URL = "/api/v1/streams/gate/comparisons"
GATE = StreamEntry("gate", "synthetic:?live=1&fps=10&size=320x180", StreamSettings(tasks=(), display_fps=1))
QUIET = Configuration(streams=(GATE,))


def further(name: str = "other", words: str = "A blue bus.", **more: Any) -> FurtherModel:
    return FurtherModel(name, lambda: ScriptedModel(lambda _: words, name=f"{name} as loaded"), **more)


def missing(name: str = "gone") -> FurtherModel:
    def load() -> ScriptedModel:
        raise ModelError(name, "there is no such folder", "name another")

    return FurtherModel(name, load)


def of(*models: str | None, **more: Any) -> dict[str, Any]:
    return {"variants": [{"budget": 70, **({"model": model} if model else {})} for model in models], **more}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    models = (further(), further(), missing(), further("near", "A near bus.", beside=True))
    with serving(tmp_path_factory.mktemp("models"), QUIET, further=models) as served:
        yield served


def test_each_variant_has_its_models_answer_name_and_caveat(served: Served) -> None:
    with served.client() as client:
        assert client.get("/api/v1/server").json()["models"] == ["scripted", "other", "other (2)", "gone", "near"]
        answer = client.post(URL, json=of(None, "other", "near", "scripted"))
    assert answer.status_code == 200, answer.text
    found = answer.json()["variants"]
    assert [one["model"] for one in found] == ["scripted", "other", "near", "scripted"]
    assert [one["caption"] for one in found] == [say(_asked()), "A blue bus.", "A near bus.", say(_asked())]
    assert all(one["error"] is None and one["caveat"].startswith("scripted") for one in found)
    assert all(one["timings"]["total_ms"] >= 0 and one["usage"]["output_tokens"] for one in found)


def test_a_model_that_cannot_be_loaded_is_its_columns_error(served: Served) -> None:
    with served.client() as client:
        first, second = client.post(URL, json=of(None, "gone")).json()["variants"]
    assert first["error"] is None
    assert (second["model"], second["error"]) == ("gone", "there is no such folder (name another)")
    assert second["caveat"] is None


def test_an_unknown_model_is_refused_with_those_that_are_known(served: Served) -> None:
    with served.client() as client:
        values = problem(client.post(URL, json=of("nobody", None)), 422)
    assert values["field"] == "model"
    assert "one of scripted, other, other (2), gone, near" in values["detail"]


def test_a_viewer_asks_all_models_about_what_may_be_seen(tmp_path: Path) -> None:
    with serving(tmp_path, QUIET, open_locally=False, further=(further(),)) as served:
        token = served.tokens.create("anna", "viewer", ["gate"])
        blind = served.tokens.create("bert", "viewer", ["yard"])
        with served.client(token) as client:
            assert client.get("/api/v1/server").json()["models"] == ["scripted", "other"]
            assert client.post(URL, json=of(None, "other")).status_code == 200
        with served.client(blind) as client:
            problem(client.post(URL, json=of(None, "other")), 404)


def test_one_that_is_slow_is_given_up_and_can_be_asked_again(tmp_path: Path) -> None:
    begun, slow = threading.Event(), threading.Event()
    slow.set()

    class Slow(ScriptedModel):
        def generate(self, requests: Any) -> Any:
            begun.set()
            self._seconds = 30.0 if slow.is_set() else 0.0
            return super().generate(requests)

    short = replace(GENEROUS, analyze_seconds=0.5)
    with (
        serving(tmp_path, QUIET, limits=short, further=(FurtherModel("slow", Slow),)) as served,
        served.client() as client,
    ):
        assert "the model slow is busy" in problem(client.post(URL, json=of(None, "slow")), 504)["detail"]
        assert begun.is_set()
        slow.clear()
        assert client.post(URL, json=of(None, "slow")).json()["variants"][1]["error"] is None


def test_servers_that_were_away_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def load() -> ScriptedModel:
        tries.append(1)
        if len(tries) == 1:
            raise ModelError("far", "it cannot be reached")
        return ScriptedModel()

    with ScriptedModel() as own, FurtherModels([FurtherModel("far", load)], SharedModel(own)) as models:
        assert models.submit("far", _job()).result(5).error == "it cannot be reached"
        assert models.submit("far", _job()).result(5).error == "it cannot be reached"
        assert len(tries) == 1, "not at every question"
        monkeypatch.setattr("streamer.further.AGAIN_SECONDS", 0.0)
        assert models.submit("far", _job()).result(5).caption == "1 picture(s): Say it"
    near = FurtherModel("near", missing()._load, beside=True)
    for _ in range(2):
        with pytest.raises(ModelError, match="no such folder"):
            near.open()


def test_one_on_the_same_machine_waits_for_its_turn() -> None:
    busy, go_on = threading.Event(), threading.Event()

    def wait(request: Request) -> str:
        busy.set()
        go_on.wait(10)
        return "own"

    shared = SharedModel(ScriptedModel(wait))
    request = Request((np.zeros((48, 48, 3), np.uint8),), "x", 70)
    with FurtherModels([further("near", beside=True), further("far")], shared) as models:
        live = threading.Thread(target=lambda: shared.live.generate([request]))
        live.start()
        assert busy.wait(5)
        near = models.submit("near", _job())
        assert models.submit("far", _job()).result(5).caption == "A blue bus."
        time.sleep(0.2)
        assert not near.done(), "the streams' batch comes first"
        go_on.set()
        assert near.result(5).caption == "A blue bus."
        live.join(5)


def test_what_waits_is_bounded_and_the_end_is_soon() -> None:
    loaded: list[ScriptedModel] = []

    def load() -> ScriptedModel:
        loaded.append(ScriptedModel(seconds=60))
        return loaded[0]

    models = FurtherModels([FurtherModel("slow", load), missing()], SharedModel(ScriptedModel()))
    first = models.submit("slow", _job())
    _eventually(first.running)
    waiting = [models.submit("slow", _job()) for _ in range(MAX_WAITING)]
    with pytest.raises(ModelError, match="too many questions"):
        models.submit("slow", _job())
    with pytest.raises(OptionError, match="one of scripted, slow, gone"):
        models.submit("nobody", _job())
    models.give_up("slow", waiting[0])
    started = time.monotonic()
    models.close()
    models.close()
    assert time.monotonic() - started < 2
    assert all(future.cancelled() for future in waiting)
    assert first.result(0).error is not None
    assert loaded[0].closed
    with pytest.raises(ModelError, match="closed"):
        models.submit("slow", _job())


def test_what_is_loaded_after_the_end_is_closed_too() -> None:
    begun, go_on = threading.Event(), threading.Event()
    model = ScriptedModel()

    def load() -> ScriptedModel:
        begun.set()
        go_on.wait(10)
        return model

    one = FurtherModel("late", load)
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(one.open)
        assert begun.wait(5)
        one.close()
        go_on.set()
        with pytest.raises(ModelError, match="closed"):
            opening.result(5)
    assert model.closed


def _asked() -> Request:
    return Request((), Task.caption().prompt)


def _job() -> Job:
    frame = Frame(np.zeros((48, 48, 3), np.uint8), (48, 48), "x", 0, 0.0)
    return Job(frame, (Task.caption("Say it"),), 70)


def _eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
