"""The history over HTTP: search, export, pictures and clips."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from streamer.configuration import Configuration
from streamer.geometry import Box
from streamer.results import Detection, FrameResult
from tests.server.api.serving import GENEROUS, SCRIPT, Served, alert, break_history, eventually, jpeg, problem, serving

FIRST = float(round(time.time()) - 3600)
CLIP = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Ten results a second apart, the odd ones of the yard; the last one has odd words in it."""
    with serving(tmp_path_factory.mktemp("history"), Configuration(clip_before_seconds=0)) as served:
        history = served.station.history
        for number in range(10):
            stream, label = ("yard", "car") if number % 2 else ("gate", "person")
            found = (Detection(label, Box(0.1, 0.2, 0.3, 0.4), 7),)
            words = f"A {label} number {number}" if number < 9 else f"{SCRIPT} \ud800 end"
            answers = {"value": float("nan")} if number == 9 else {}
            result = FrameResult(
                stream, number, float(number), (320, 180), caption=words, detections=found, answers=answers
            )
            history.put(result, FIRST + number, jpeg())
        history.flush(10)
        history.put_alert(alert(1, "gate", started_at=FIRST + 2, ended_at=FIRST + 4.5, phase="end"))
        yield served


@pytest.fixture(scope="module")
def client(kept: Served) -> Iterator[httpx.Client]:
    with kept.client() as client:
        yield client


def sequences(client: httpx.Client, **filters: object) -> list[int]:
    answer = client.get("/api/v1/history", params=filters)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    return [one["sequence"] for one in answer.json()["results"]]


def test_results_are_found_by_words_and_filters(client: httpx.Client) -> None:
    assert sequences(client) == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert sequences(client, text="number 4") == [4]
    assert sequences(client, text="person", limit=2) == [8, 6]
    assert sequences(client, stream="yard", limit=2) == [9, 7]
    assert sequences(client, label=["car", "bus"], until=FIRST + 3) == [3, 1]
    assert sequences(client, has_alert=True) == [4, 2]
    assert sequences(client, rule="person", stream="gate") == [4, 2]
    assert sequences(client, since=FIRST + 8) == [9, 8]
    assert sequences(client, text="nothing of that kind") == []


def test_filters_count_before_the_limit_and_pages_have_no_gap(client: httpx.Client) -> None:
    found: list[int] = []
    cursor: str | None = None
    while True:
        asked = {"stream": "gate", "limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = client.get("/api/v1/history", params=asked).json()
        found += [one["sequence"] for one in page["results"]]
        if (cursor := page["next"]) is None:
            break
    assert found == [8, 6, 4, 2, 0]


def test_a_result_is_plain_json_whatever_was_said(client: httpx.Client) -> None:
    answer = client.get("/api/v1/history", params={"limit": 1})
    [found] = answer.json()["results"]
    assert found["caption"].startswith(SCRIPT)
    assert found["answers"] == {"value": None}
    assert found["detections"][0] == {
        "label": "car", "x1": 0.1, "y1": 0.2, "x2": 0.3, "y2": 0.4, "track_id": 7, "attributes": None,
    }  # fmt: skip
    assert answer.headers["content-type"] == "application/json"


def test_a_kept_picture_is_got_by_its_name(client: httpx.Client) -> None:
    name = client.get("/api/v1/history", params={"limit": 1}).json()["results"][0]["picture"]
    answer = client.get(f"/api/v1/snapshots/{name}")
    assert (answer.content, answer.headers["content-type"]) == (jpeg(), "image/jpeg")


@pytest.mark.parametrize(
    "name",
    [
        "..%2F..%2Fhistory.sqlite",
        "..%2Fchanges.json",
        "%2Fetc%2Fpasswd",
        "..%5C..%5Cx.jpg",
        "20250101_..%2F.._101530250_9ab3c4d2.jpg",
        "20250131_gate-5f2b1c_101530250_9ab3c4d2.jpg",
        "20250131_gate-5f2b1c_101530250_9ab3c4d2.jpg%00",
        "....%2F%2F",
        "x",
    ],
)
@pytest.mark.parametrize("kind", ["snapshots", "clips"])
def test_a_name_leads_nowhere_else(client: httpx.Client, kind: str, name: str) -> None:
    problem(client.get(f"/api/v1/{kind}/{name}"), 404)
    problem(client.get(f"/api/v1/{kind}/{name.replace('.jpg', '.mp4')}"), 404)


@pytest.fixture(scope="module")
def clip(kept: Served) -> str:
    name, path = kept.station.history.new_clip_path("gate", FIRST)
    path.write_bytes(CLIP)
    return f"/api/v1/clips/{name}"


def test_a_clip_comes_whole_or_in_parts(client: httpx.Client, clip: str) -> None:
    whole = client.get(clip)
    assert (whole.content, whole.headers["content-type"]) == (CLIP, "video/mp4")
    assert whole.headers["accept-ranges"] == "bytes"
    part = client.get(clip, headers={"range": "bytes=256-511"})
    assert (part.status_code, part.content) == (206, CLIP[256:512])
    assert part.headers["content-range"] == f"bytes 256-511/{len(CLIP)}"


def test_a_part_that_is_not_there_is_a_problem(client: httpx.Client, clip: str) -> None:
    answer = client.get(clip, headers={"range": f"bytes={len(CLIP)}-"})
    problem(answer, 416)
    assert answer.headers["content-range"] == f"bytes */{len(CLIP)}"
    problem(client.get(clip, headers={"range": "bytes=9-1"}), 400)


def test_results_are_exported_as_rows_with_an_end(client: httpx.Client) -> None:
    answer = client.get("/api/v1/history/results", params={"stream": "yard", "since": FIRST + 3})
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    *rows, end = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["sequence"] for row in rows] == [3, 5, 7, 9]
    assert {row["type"] for row in rows} == {"frame"}
    assert rows[0]["at"] == FIRST + 3
    assert rows[0]["detections"][0]["box"] == {"x1": 0.1, "y1": 0.2, "x2": 0.3, "y2": 0.4}
    assert rows[-1]["answers"] == {"value": None}
    assert end == {"type": "end", "rows": 4, "fault": None}


def test_an_export_has_at_most_so_many_rows(client: httpx.Client) -> None:
    answer = client.get("/api/v1/history/results", params={"stream": "gate", "limit": 2})
    assert len(answer.text.splitlines()) == 3
    assert problem(client.get("/api/v1/history/results"), 422)["field"] == "stream"


def test_exports_give_their_places_back(tmp_path: Path) -> None:
    one = replace(GENEROUS, exports=1)
    with serving(tmp_path, Configuration(), limits=one) as served, served.client() as client:
        for _ in range(3):
            eventually(lambda: client.get("/api/v1/history/results?stream=gate").status_code == 200)
        eventually(served.app.state.api.exports.take)
        problem(client.get("/api/v1/history/results?stream=gate"), 429)


def test_an_export_that_nobody_reads_is_cut_off(tmp_path: Path) -> None:
    short = replace(GENEROUS, exports=1, export_seconds=0.3)
    with serving(tmp_path, Configuration(), limits=short) as served, served.client() as client:
        for number in range(1500):
            served.station.history.put(FrameResult("gate", number, 0.0, (1, 1), caption="x" * 20_000), FIRST + number)
        served.station.history.flush(20)
        with client.stream("GET", "/api/v1/history/results?stream=gate") as answer:
            assert answer.status_code == 200
            eventually(served.app.state.api.exports.take)
            with pytest.raises(httpx.RemoteProtocolError):
                answer.read()


def test_what_is_kept_is_counted(client: httpx.Client) -> None:
    counts = client.get("/api/v1/history/counts").json()
    assert (counts["results"], counts["alerts"], counts["pictures"]) == (10, 1, 10)
    assert counts["oldest"] == FIRST


def test_a_broken_history_ends_an_export_with_its_fault(tmp_path: Path) -> None:
    with serving(tmp_path, Configuration()) as served, served.client() as client:
        break_history(tmp_path)
        [end] = client.get("/api/v1/history/results?stream=gate").text.splitlines()
        assert json.loads(end)["fault"]
        assert str(tmp_path) not in end
