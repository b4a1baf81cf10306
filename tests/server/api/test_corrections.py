"""Corrections over HTTP: kept, shown with the history, exported, taken back; by admins alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from streamer.configuration import Configuration
from streamer.geometry import Box
from streamer.results import Detection, FrameResult
from tests.server.api.serving import OWNER, SCRIPT, Served, jpeg, problem, serving

FIRST = float(round(time.time()) - 3600)
BOX = {"label": "dog", "x1": 0.25, "y1": 0.5, "x2": 0.75, "y2": 1.0}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("api"), Configuration(), open_locally=False) as served:
        for number in range(3):
            found = (Detection("cat", Box(0.1, 0.2, 0.3, 0.4), 7, {"colour": "red"}),)
            result = FrameResult("gate", number, float(number), (320, 180), caption="A cat", detections=found)
            served.station.history.put(result, FIRST + number, jpeg())
        served.station.history.flush(10)
        yield served


@pytest.fixture
def client(served: Served, token: str) -> Iterator[httpx.Client]:
    """Nothing is corrected before and after."""
    with served.client(token) as client:
        yield client
        for one in results(client, corrected=True):
            client.delete(f"/api/v1/history/{one['id']}/correction")


@pytest.fixture(scope="module")
def token(served: Served) -> str:
    return served.tokens.create("anna", "admin")


def results(client: httpx.Client, **filters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/api/v1/history", params=filters).json()["results"]
    return found


def test_it_is_kept_and_shown_beside_the_answer(client: httpx.Client) -> None:
    before = results(client)[0]
    assert before["correction"] is None
    body = {"caption": SCRIPT, "detections": [BOX, before["detections"][0]]}
    answer = client.put(f"/api/v1/history/{before['id']}/correction", json=body)
    assert answer.status_code == 200, answer.text
    after = results(client)[0]
    assert after == answer.json()
    said = after.pop("correction")
    assert (said["caption"], said["by"]) == (SCRIPT, "anna")
    assert time.time() - said["at"] < 60
    assert said["detections"][0] == {**BOX, "track_id": None, "attributes": None}
    assert said["detections"][1] == before["detections"][0]
    del before["correction"], before["snippet"], after["snippet"]
    assert after == before, "the model's answer stays as it was"


def test_it_is_filtered_by_and_exported(client: httpx.Client) -> None:
    newest, _, oldest = results(client)
    client.put(f"/api/v1/history/{oldest['id']}/correction", json={"caption": "A dog", "detections": [BOX]})
    assert [one["id"] for one in results(client, corrected=True)] == [oldest["id"]]
    assert newest["id"] in [one["id"] for one in results(client, corrected=False)]

    def rows(**more: Any) -> list[tuple[str, list[str]]]:
        answer = client.get("/api/v1/history/results", params={"stream": "gate", **more})
        *found, _ = [json.loads(line) for line in answer.text.splitlines()]
        return [(row["caption"], [one["label"] for one in row["detections"]]) for row in found]

    assert rows() == [("A cat", ["cat"])] * 3
    assert rows(corrected=True) == [("A dog", ["dog"]), ("A cat", ["cat"]), ("A cat", ["cat"])]
    assert rows(only_corrected=True) == [("A dog", ["dog"])]


def test_it_is_taken_back(client: httpx.Client) -> None:
    id = results(client)[0]["id"]
    client.put(f"/api/v1/history/{id}/correction", json={"caption": None, "detections": []})
    assert results(client)[0]["correction"]["detections"] == []
    for _ in range(2):
        answer = client.delete(f"/api/v1/history/{id}/correction")
        assert (answer.status_code, answer.json()["correction"]) == (200, None)
    assert results(client, corrected=True) == []


@pytest.mark.parametrize(
    "box",
    [
        {**BOX, "x2": 0.25},
        {**BOX, "x1": -0.1},
        {**BOX, "y2": 1.01},
        {**BOX, "y2": "1"},
        {**BOX, "label": ""},
        {**BOX, "label": " "},
        {**BOX, "label": "x" * 101},
        {**BOX, "colour": "red"},
        {"label": "dog"},
        {**BOX, "attributes": {"deep": json.loads("[" * 9 + "]" * 9)}},
        {**BOX, "attributes": {"deep": json.loads("[" * 90 + "]" * 90)}},
        {**BOX, "attributes": {"long": "x" * 4000}},
    ],
)
def test_boxes_that_cannot_be_are_refused(client: httpx.Client, box: dict[str, Any]) -> None:
    id = results(client)[0]["id"]
    answer = client.put(f"/api/v1/history/{id}/correction", json={"detections": [box]})
    assert problem(answer, 422)["field"].startswith("detections")
    assert results(client, corrected=True) == []


@pytest.mark.parametrize("id", ["99", str(2**62)])
def test_a_result_that_is_not_there(client: httpx.Client, id: str) -> None:
    problem(client.put(f"/api/v1/history/{id}/correction", json={"detections": []}), 404)
    problem(client.delete(f"/api/v1/history/{id}/correction"), 404)


@pytest.mark.parametrize("id", ["x", "0", "-1", str(2**63)])
def test_what_is_no_id(client: httpx.Client, id: str) -> None:
    problem(client.put(f"/api/v1/history/{id}/correction", json={"detections": []}), 422)


def test_a_viewer_sees_it_and_changes_nothing(served: Served) -> None:
    with served.client(OWNER) as owner, served.client(served.tokens.create("bert", "viewer")) as viewer:
        id = results(owner)[0]["id"]
        owner.put(f"/api/v1/history/{id}/correction", json={"detections": [BOX]})
        assert results(viewer)[0]["correction"]["detections"][0]["label"] == "dog"
        problem(viewer.put(f"/api/v1/history/{id}/correction", json={"detections": []}), 403)
        problem(viewer.delete(f"/api/v1/history/{id}/correction"), 403)
        assert results(viewer)[0]["correction"]["detections"]
