"""Streams and their tasks over HTTP."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from streamer.server.parts import TaskPart
from tests.server.api.serving import PASSWORD, Served, eventually, jpeg, of_streams, problem, serving

ODD = "yard/north %2F"
ODD_PATH = "yard%2Fnorth%20%252F"


@pytest.fixture(scope="module")
def allowed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("allowed")
    (folder / "picture.jpg").write_bytes(jpeg())
    return folder


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, allowed: Path) -> Iterator[Served]:
    with serving(
        tmp_path_factory.mktemp("streams"), of_streams("gate", ODD, allow=(str(allowed), "rtsp://127.0.0.1:9"))
    ) as served:
        yield served


@pytest.fixture(scope="module")
def client(fresh: Served) -> Iterator[httpx.Client]:
    with fresh.client() as client:
        yield client


def test_all_streams_are_listed_as_they_stand(client: httpx.Client) -> None:
    found = eventually(
        lambda: [one for one in client.get("/api/v1/streams").json()["streams"] if one["state"] == "live"][:2]
    )
    assert {one["stream"] for one in found} <= {"gate", ODD}
    assert found[0]["settings"]["budget"] == 70


def test_a_stream_is_found_whatever_it_is_called(client: httpx.Client) -> None:
    answer = client.get(f"/api/v1/streams/{ODD_PATH}")
    assert answer.json()["stream"] == ODD
    problem(client.get("/api/v1/streams/nobody"), 404)


def test_only_the_settings_that_are_given_change(client: httpx.Client, fresh: Served) -> None:
    answer = client.patch("/api/v1/streams/gate", json={"fps": 2.5, "budget": "auto"})
    assert (answer.json()["settings"]["fps"], answer.json()["settings"]["budget"]) == (2.5, "auto")
    settings = fresh.station.monitor.status("gate").settings
    assert (settings.fps, settings.budget, settings.gate, len(settings.tasks)) == (2.5, "auto", 0, 2)
    assert fresh.station.entries()[0].settings == settings  # kept


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"fps": 1000}, "fps"),
        ({"fps": "fast"}, "fps"),
        ({"budget": 7}, "budget"),
        ({"paused": "yes"}, "paused"),
        ({"colour": "red"}, "colour"),
        ({"tasks": [{"kind": "ask"}]}, "question of task ask"),
        ({"tasks": [{"kind": "caption"}, {"kind": "caption"}]}, "tasks"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_their_field(
    client: httpx.Client, fresh: Served, change: dict[str, object], field: str
) -> None:
    before = fresh.station.monitor.status("gate").settings
    values = problem(client.patch("/api/v1/streams/gate", json=change), 422)
    assert values["field"].startswith(field)
    assert fresh.station.monitor.status("gate").settings == before


def test_a_stream_is_paused_and_goes_on(client: httpx.Client) -> None:
    assert client.post("/api/v1/streams/gate/pause").json()["settings"]["paused"] is True
    assert client.post("/api/v1/streams/gate/resume").json()["settings"]["paused"] is False


def test_a_restart_opens_the_source_again(client: httpx.Client, fresh: Served) -> None:
    def pictures() -> int:
        return fresh.station.monitor.status("gate").counts.get("pictures", 0)

    eventually(pictures)
    before = client.get("/api/v1/streams/gate").json()["sequence"]
    assert client.post("/api/v1/streams/gate/restart").status_code == 200
    eventually(lambda: client.get("/api/v1/streams/gate").json()["sequence"] > before)


def test_a_stream_is_added_from_an_allowed_folder_and_removed(client: httpx.Client, allowed: Path) -> None:
    new = {"name": "a b", "address": str(allowed / "picture.jpg"), "fps": 3, "group": "files", "loop": True}
    answer = client.post("/api/v1/streams", json=new)
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == "/api/v1/streams/a%20b"
    assert answer.json()["settings"]["fps"] == 3
    assert client.get(answer.headers["location"]).status_code == 200
    assert problem(client.post("/api/v1/streams", json=new), 409)["field"] == "name"
    assert client.delete("/api/v1/streams/a%20b").status_code == 204
    problem(client.delete("/api/v1/streams/a%20b"), 404)


@pytest.mark.parametrize(
    "address",
    [
        "/etc/passwd",
        "file:///etc/passwd",
        "../../etc/passwd",
        "http://127.0.0.1/x",
        "rtsp://127.0.0.1:10/live",
        "webcam:0",
        "/dev/video0",
        "concat:/etc/passwd",
    ],
)
def test_other_sources_are_refused_and_nothing_is_told_of_them(client: httpx.Client, address: str) -> None:
    values = problem(client.post("/api/v1/streams", json={"name": "x", "address": address}), 422)
    assert values["field"] == "address"
    assert "passwd" not in values["detail"]


def test_a_password_is_never_given_out(client: httpx.Client) -> None:
    for place in ("127.0.0.1:9", "127.0.0.2:9"):  # the first is allowed
        new = {"name": f"cam {place}", "address": f"rtsp://me:{PASSWORD}@{place}/live"}
        answer = client.post("/api/v1/streams", json=new)
        assert answer.status_code in (201, 422)
        assert PASSWORD not in answer.text
    listed = client.get("/api/v1/streams").text
    assert "rtsp://***@127.0.0.1:9/live" in listed
    assert PASSWORD not in listed + client.get("/metrics").text


def test_the_newest_picture_is_a_jpeg(client: httpx.Client) -> None:
    answer = eventually(lambda: (found := client.get("/api/v1/streams/gate/picture.jpg")).status_code == 200 and found)
    assert answer.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(answer.content)).format == "JPEG"


def test_before_its_first_picture_a_stream_has_none(client: httpx.Client) -> None:
    client.post("/api/v1/streams", json={"name": "dark", "address": "rtsp://127.0.0.1:9/live"})
    problem(client.get("/api/v1/streams/dark/picture.jpg"), 404)


def test_tasks_are_set_one_by_one(client: httpx.Client) -> None:
    path = "/api/v1/streams/gate/tasks"
    assert [task["name"] for task in client.get(path).json()["tasks"]] == ["caption", "detect"]
    put = client.put(f"{path}/how%2Fmany", json={"kind": "ask", "prompt": "How many?"})
    assert (put.status_code, put.json()["name"], put.json()["prompt"]) == (200, "how/many", "How many?")
    again = client.put(f"{path}/how%2Fmany", json={"kind": "ask", "prompt": "How many cars?", "name": "how/many"})
    assert TaskPart.model_validate(again.json()).prompt == "How many cars?"
    assert [task["name"] for task in client.get(path).json()["tasks"]] == ["caption", "detect", "how/many"]
    schema = {"type": "object", "properties": {"cars": {"type": ["integer", "null"]}}, "required": ["cars"]}
    held = client.put(f"{path}/how%2Fmany", json={"kind": "ask", "prompt": "How many?", "schema": schema})
    assert held.json()["schema"] == client.get(path).json()["tasks"][2]["schema"] == schema
    assert client.delete(f"{path}/how%2Fmany").status_code == 204
    problem(client.delete(f"{path}/how%2Fmany"), 404)


def test_a_task_of_another_name_or_without_words_is_refused(client: httpx.Client) -> None:
    path = "/api/v1/streams/gate/tasks"
    assert problem(client.put(f"{path}/a", json={"kind": "caption", "name": "b"}), 422)["field"] == "name"
    problem(client.put(f"{path}/a", json={"kind": "ask"}), 422)
    refused = problem(client.put(f"{path}/a", json={"kind": "ask", "prompt": "How many?", "schema": {"cars": 1}}), 422)
    assert "a JSON schema that can be followed" in refused["detail"]
    half = client.put(
        f"{path}/a", content=b'{"kind": "ask", "prompt": "x", "schema": {"enum": ["\\ud800"]}}',
        headers={"content-type": "application/json"},
    )  # fmt: skip
    problem(half, 422)
    problem(client.put(f"{path}/{'a' * 101}", json={"kind": "caption"}), 422)
