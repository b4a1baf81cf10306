"""Readiness, the server's own routes and channels."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest

from streamer.configuration import read_configuration
from streamer.display import encode_jpeg
from streamer.models.scripted import ScriptedModel
from streamer.server import Server
from streamer.station import Station
from tests.server.api.serving import PASSWORD, Served, alert, break_history, eventually, of_streams, problem, serving

FILE = """
data = "data"
allow = ["rtsp://"]

[[streams]]
name = "gate"
address = "synthetic:?live=1"

[channels.siren]
type = "command"
argv = ["/bin/false"]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "streams.toml"
    path.write_text(FILE)
    return path


@pytest.fixture
def fresh(tmp_path: Path, path: Path) -> Iterator[Served]:
    with serving(tmp_path, read_configuration(path)) as served:
        yield served


@pytest.fixture
def client(fresh: Served) -> Iterator[httpx.Client]:
    with fresh.client() as client:
        yield client


def test_it_is_ready_while_model_and_history_work(client: httpx.Client, fresh: Served) -> None:
    assert client.get("/readyz").json() == {"status": "ready"}
    fresh.model.fault = "none of its servers answers"
    assert "none of its servers" in problem(client.get("/readyz"), 503)["detail"]
    assert "streamer_model_up 0.0" in client.get("/metrics").text
    fresh.model.fault = None
    assert "streamer_model_up 1.0" in client.get("/metrics").text
    fresh.station.monitor.close()
    assert "model" in problem(client.get("/readyz"), 503)["detail"]


def test_it_is_not_ready_where_nothing_can_be_written(client: httpx.Client, fresh: Served, tmp_path: Path) -> None:
    break_history(tmp_path)
    values = problem(eventually(lambda: (found := client.get("/readyz")).status_code != 200 and found), 503)
    assert "history" in values["detail"]
    assert str(tmp_path) not in values["detail"]


def test_the_configuration_is_read_again(client: httpx.Client, fresh: Served, path: Path) -> None:
    path.write_text(FILE.replace('"gate"', '"yard"'))
    assert client.post("/api/v1/reload").json()["reloads"] >= 1
    assert [one["stream"] for one in client.get("/api/v1/streams").json()["streams"]] == ["yard"]


def test_a_configuration_that_cannot_be_used_says_why_without_a_value(client: httpx.Client, path: Path) -> None:
    for line in (f'pasword = "{PASSWORD}"', f"fps = '{PASSWORD}'", f"{PASSWORD} =", "fps = ["):
        path.write_text(FILE.replace("[channels", f"{line}\n[channels"))
        values = problem(client.post("/api/v1/reload"), 422)
        assert values["field"]
        assert PASSWORD not in values["detail"]
        assert client.get("/api/v1/server").json()["configuration_in_use"] is False
        assert client.get("/api/v1/streams/gate").status_code == 200


def test_dead_notices_are_listed_and_tried_again(client: httpx.Client, fresh: Served) -> None:
    history = fresh.station.history
    history.put_alert(alert(1), ["other"])  # no channel of the configuration takes it
    history.put_alert(alert(2), ["siren"])
    [status] = client.get("/api/v1/channels").json()["channels"]
    assert status["name"] == "siren"
    for notice in history.due_notices("siren", 1e11, 10):
        history.notice_dead(notice.id, "it hung")
    [dead] = client.get("/api/v1/channels/siren/dead").json()["notices"]
    assert (dead["alert"], dead["error"]) == (f"{2:032x}", "it hung")
    assert client.post("/api/v1/channels/siren/replay", json={"ids": [dead["id"] + 1]}).json() == {"replayed": 0}
    assert client.post("/api/v1/channels/siren/replay", json={"ids": [dead["id"]]}).json() == {"replayed": 1}
    assert client.get("/api/v1/channels/siren/dead").json()["notices"] == []
    problem(client.get("/api/v1/channels/other/dead"), 404)
    problem(client.post("/api/v1/channels/other/replay", json={}), 404)


def test_the_server_says_what_it_is(client: httpx.Client) -> None:
    values = client.get("/api/v1/server").json()
    assert (values["model"], values["name"], values["can_add"]) == ("scripted", "owner", True)
    assert values["caveat"].startswith("scripted")
    assert values["budgets"] == [70, 140, 280, 560, 1120]


def test_a_request_that_the_end_cuts_off_is_no_fault(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The model takes a minute for a picture; the server ends meanwhile, in time and without a traceback."""
    with (
        Station(ScriptedModel(seconds=60), replace(of_streams("gate"), data=tmp_path / "data")) as station,
        Server(station.monitor, port=0, station=station) as server,
        ThreadPoolExecutor(1) as asking,
    ):
        picture = encode_jpeg(np.zeros((48, 48, 3), np.uint8))
        url, kind = f"{server.address}api/v1/analyze", {"content-type": "image/jpeg"}
        asked = asking.submit(httpx.post, url, content=picture, headers=kind, timeout=30)
        eventually(lambda: asked.running())
        time.sleep(0.5)
        started = time.monotonic()
        server.close()
        assert time.monotonic() - started < 4
        assert asked.exception(10) is not None
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
