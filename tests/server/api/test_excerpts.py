"""A part of the history as a ZIP over HTTP: what is in it, for whom, how much, and what is left of it: nothing."""

from __future__ import annotations

import json
import socket
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import httpx
import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from streamer.configuration import Configuration
from streamer.display import encode_jpeg
from streamer.geometry import Box
from streamer.history import Correction
from streamer.history.excerpt import POSSIBLE
from streamer.results import Detection, FrameResult
from tests.server.api.serving import GENEROUS, OWNER, SCRIPT, Served, break_history, eventually, jpeg, problem, serving

FIRST = float(round(time.time()) - 3600)
EXCERPT = "/api/v1/history/excerpt"
ODD = "yard/north %2F höfe\n😀 .."
FEW = replace(GENEROUS, excerpts=1, excerpt_results=8)


def fill(served: Served, stream: str, count: int, picture: bytes | None = None) -> None:
    size = (320, 180) if picture is None else (1280, 720)
    for number in range(count):
        found = (Detection("cat", Box(0.25, 0.5, 0.75, 1.0), 7, {"colour": "red"}),)
        result = FrameResult(stream, number, float(number), size, caption=f"{SCRIPT} {number}", detections=found)
        served.station.history.put(result, FIRST + number, picture or jpeg())
    served.station.history.flush(20)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Ten results of the gate, of which the third is corrected, and fewer of others; at most eight in an excerpt."""
    with serving(tmp_path_factory.mktemp("excerpts"), Configuration(), open_locally=False, limits=FEW) as served:
        fill(served, "gate", 10)
        fill(served, "vault", 2)
        fill(served, ODD, 1)
        history = served.station.history
        history.put(FrameResult("blind", 0, 0.0, (320, 180), caption="nothing to be seen"), FIRST)
        history.flush(10)
        third = history.search(streams=("gate",), until=FIRST + 2, limit=1)[0]
        history.correct(third.id, Correction((Detection("wolf", Box(0, 0, 0.5, 0.5)),), "A wolf", "anna", time.time()))
        yield served


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    """Nothing is left on the disk behind any of its requests."""
    with served.client(OWNER) as client:
        yield client
    eventually(lambda: not left(served))


def left(served: Served) -> list[str]:
    folder = (served.station.configuration.data or Path()) / "excerpts"
    return [path.name for path in folder.iterdir()] if folder.exists() else []


def fetched(client: httpx.Client, **wishes: Any) -> tuple[httpx.Response, zipfile.ZipFile]:
    answer = client.get(EXCERPT, params={"stream": "gate", "since": FIRST + 0.5, "until": FIRST + 5, **wishes})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    archive = zipfile.ZipFile(BytesIO(answer.content))
    assert archive.testzip() is None
    return answer, archive


def rows(archive: zipfile.ZipFile, name: str = "gate") -> list[dict[str, Any]]:
    found = [json.loads(line) for line in archive.read(f"{name}.jsonl").splitlines()]
    return [row for row in found if row["type"] == "frame"]


def test_it_is_the_dataset_that_the_command_writes(client: httpx.Client, tmp_path: Path) -> None:
    answer, archive = fetched(client, formats="coco,YOLO, csv")
    assert answer.headers["content-disposition"] == "attachment; filename=\"gate.zip\"; filename*=utf-8''gate.zip"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert (answer.headers["x-pictures"], answer.headers["x-left-out"]) == ("5", "0")
    archive.extractall(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "gate.jsonl", "gate.pictures", "gate.frames", "gate.coco.json", "gate.yolo", "gate.csv", "gate.detections.csv",
    }  # fmt: skip
    coco = COCO(str(tmp_path / "gate.coco.json"))
    assert (len(coco.getImgIds()), len(coco.getAnnIds(catIds=coco.getCatIds(["cat"])))) == (5, 5)
    [box] = {tuple(one["bbox"]) for one in coco.loadAnns(coco.getAnnIds())}
    assert box == pytest.approx((80, 90, 160, 90), abs=0.5)
    for image in coco.loadImgs(coco.getImgIds()):
        with Image.open(tmp_path / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"]) == (320, 180)
    assert [row["time_seconds"] for row in rows(archive)] == [0, 1, 2, 3, 4]


def test_what_has_to_be_said_of_a_models_answers_is_said(tmp_path: Path) -> None:
    with serving(tmp_path, Configuration()) as served, served.client() as client:
        for number, model in enumerate((served.model.name, "another")):
            seen = FrameResult("gate", number, 0.0, (320, 180), caption="x", model=model)
            served.station.history.put(seen, FIRST + number, jpeg())
        served.station.history.flush(10)
        for until, caveat in ((FIRST + 0.5, served.model.caveat), (FIRST + 5, None)):
            _, archive = fetched(client, since=0, until=until)
            assert json.loads(archive.read("gate.jsonl").splitlines()[0])["caveat"] == caveat


def test_every_format_that_there_is_names_no_place_of_the_server(served: Served, client: httpx.Client) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    _, archive = fetched(client, formats="all")
    names = "\n".join(archive.namelist())
    assert all(f"gate.{ending}" in names for ending in ("srt", "vtt", "csv", "parquet", "yolo/", "voc/", "cvat-video"))
    for name in archive.namelist():
        assert not name.startswith(("/", "."))
        assert b"excerpt-" not in archive.read(name)
        assert str(served.station.configuration.data).encode() not in archive.read(name)


def test_the_journal_alone_is_there_without_a_wish(client: httpx.Client) -> None:
    _, archive = fetched(client)
    assert {name.partition("/")[0] for name in archive.namelist()} == {"gate.jsonl", "gate.pictures"}


@pytest.mark.parametrize(
    ("wish", "labels"),
    [("", "cat cat cat cat cat"), ("corrected", "cat wolf cat cat cat"), ("only_corrected", "wolf")],
)
def test_what_people_corrected(client: httpx.Client, wish: str, labels: str) -> None:
    _, archive = fetched(client, **({wish: True} if wish else {}))
    assert [row["detections"][0]["label"] for row in rows(archive)] == labels.split()


@pytest.mark.parametrize("formats", ["docx", "mp4", "coco,mp4", "", ",", "../x", SCRIPT])
def test_formats_that_cannot_be(client: httpx.Client, formats: str) -> None:
    for stream in ("gate", "nobody"):
        said = problem(client.get(EXCERPT, params={"stream": stream, "formats": formats}), 422)
        assert said["field"] == "formats"
        assert all(name in said["detail"] for name in POSSIBLE)


@pytest.mark.parametrize(
    "wishes",
    [{"since": "nan"}, {"until": -1}, {"stream": ""}, {"stream": "x" * 101}, {"limit": 3}, {"formats": "x" * 201}],
)
def test_wishes_that_cannot_be(client: httpx.Client, wishes: dict[str, Any]) -> None:
    problem(client.get(EXCERPT, params={"stream": "gate", **wishes}), 422)


def test_a_range_with_nothing_in_it(client: httpx.Client) -> None:
    for wishes in ({"until": 1}, {"since": FIRST + 5, "until": FIRST + 2}, {"stream": "blind"}):
        said = problem(client.get(EXCERPT, params={"stream": "gate", **wishes}), 422)
        assert (said["field"], said["detail"]) == ("stream", "expected one with pictures in that time")
    said = problem(client.get(EXCERPT, params={"stream": "vault", "only_corrected": True}), 422)
    assert said["detail"] == "expected one with corrected pictures in that time"


def test_too_much_says_how_much_and_what_to_do(client: httpx.Client) -> None:
    said = problem(client.get(EXCERPT, params={"stream": "gate"}), 422)
    assert said["field"] == "since"
    assert said["detail"] == "expected a shorter time: at most 8 results fit in one excerpt"
    assert fetched(client, since=FIRST + 1.5, until=FIRST + 9.5)[0].headers["x-pictures"] == "8"
    assert fetched(client, since=0, only_corrected=True)[0].headers["x-pictures"] == "1", "what is asked for counts"


def test_an_odd_name_leads_nowhere_else(client: httpx.Client) -> None:
    answer, archive = fetched(client, stream=ODD, since=0)
    told = unquote(answer.headers["content-disposition"].partition("''")[2])
    assert told == "yard-north -2F höfe.zip"
    parts = {"yard-north -2F höfe.jsonl", "yard-north -2F höfe.pictures"}
    assert {name.partition("/")[0] for name in archive.namelist()} == parts


@pytest.mark.parametrize("stream", ["..", "~", "/etc/passwd", "a\0b", "*", "日" * 100, "http://x/y", "-", "\n"])
def test_a_stream_that_nobody_knows(client: httpx.Client, stream: str) -> None:
    problem(client.get(EXCERPT, params={"stream": stream}), 404)
    problem(client.get(f"{EXCERPT}?stream=%ED%A0%80{quote(stream)[:50]}"), 404)


@pytest.mark.parametrize("stream", ["~", "a\0b", "日" * 100, "CON", ".."])
def test_any_name_of_a_stream_can_be_taken_away(tmp_path: Path, stream: str) -> None:
    with serving(tmp_path, Configuration()) as served, served.client() as client:
        fill(served, stream, 1)
        _, archive = fetched(client, stream=stream, since=0, formats="coco")
        assert len([name for name in archive.namelist() if name.endswith("000000.jpg")]) == 2


def test_who_may_not_see_a_stream_hears_the_same_as_of_none(served: Served, client: httpx.Client) -> None:
    token = served.tokens.create("gatekeeper", "viewer", ["gate*"])
    with served.client(token) as gatekeeper:
        for more in ({}, {"until": 1}, {"formats": "docx"}, {"only_corrected": True}, {"since": "nan"}):
            hidden = gatekeeper.get(EXCERPT, params={"stream": "vault", **more})
            assert hidden.content == gatekeeper.get(EXCERPT, params={"stream": "nobody", **more}).content
            assert hidden.status_code in (404, 422)
        assert fetched(gatekeeper)[0].headers["x-pictures"] == "5"
    with served.client() as nobody:
        problem(nobody.get(EXCERPT, params={"stream": "gate"}), 401)


def test_so_many_at_once_and_every_place_comes_back(served: Served, client: httpx.Client) -> None:
    places = served.app.state.api.excerpts
    assert places.take()
    refused = client.get(EXCERPT, params={"stream": "gate"})
    assert problem(refused, 429)["detail"]
    assert int(refused.headers["retry-after"]) >= 1
    places.release()
    for wishes in ({"until": 1}, {"stream": "nobody"}, {"formats": "docx"}, {}, {"until": FIRST + 5}) * 2:
        client.get(EXCERPT, params={"stream": "gate", **wishes})
        eventually(places.take)
        places.release()


def noise() -> bytes:
    """A picture of 1280 by 720 that takes half a megabyte."""
    return encode_jpeg(np.random.default_rng(0).integers(0, 255, (720, 1280, 3), np.uint8))


def asking(served: Served, query: str) -> socket.socket:
    """One who asks and does not read."""
    host, port = served.url.removeprefix("http://").split(":")
    one = socket.create_connection((host, int(port)), timeout=60)
    one.sendall(f"GET {EXCERPT}?{query} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
    return one


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Served]:
    """An excerpt that takes a while to make, and more bytes than lie in a socket."""
    given = replace(GENEROUS, excerpts=1)
    with serving(tmp_path, Configuration(), limits=given) as served:
        fill(served, "gate", 40, noise())
        yield served


def test_who_goes_away_while_it_is_made_calls_it_off(large: Served) -> None:
    one = asking(large, "stream=gate&formats=all")
    eventually(lambda: left(large))
    with large.client() as client:
        assert client.get("/api/v1/history?limit=1").status_code == 200, "others are answered meanwhile"
        problem(client.get(EXCERPT, params={"stream": "gate"}), 429)
    one.close()
    eventually(lambda: not left(large))
    eventually(large.app.state.api.excerpts.take)


def test_who_goes_away_while_it_is_sent_leaves_nothing(large: Served) -> None:
    with asking(large, "stream=gate&formats=coco") as one:
        assert one.recv(500).startswith(b"HTTP/1.1 200")
        assert left(large) == [], "it has no name on the disk any more"
        assert not large.app.state.api.excerpts.take()
    eventually(large.app.state.api.excerpts.take)


def test_one_that_nobody_reads_is_cut_off(tmp_path: Path) -> None:
    short = replace(GENEROUS, excerpts=1, export_seconds=0.3)
    with serving(tmp_path, Configuration(), limits=short) as served:
        fill(served, "gate", 40, noise())
        with asking(served, "stream=gate&formats=coco"):
            eventually(lambda: not served.app.state.api.excerpts.take() or served.app.state.api.excerpts.release())
            eventually(served.app.state.api.excerpts.take)


def test_what_a_killed_run_has_left_goes_at_the_next_start(tmp_path: Path) -> None:
    leftover = tmp_path / "data" / "excerpts" / "excerpt-x"
    leftover.mkdir(parents=True)
    with serving(tmp_path, Configuration()):
        assert not leftover.exists()


def test_a_picture_that_is_none_and_a_history_that_is_broken(tmp_path: Path) -> None:
    with serving(tmp_path, Configuration()) as served, served.client() as client:
        served.station.history.put(FrameResult("gate", 0, 0.0, (320, 180), caption="x"), FIRST, b"no picture")
        served.station.history.flush(10)
        said = problem(client.get(EXCERPT, params={"stream": "gate", "formats": "coco"}), 503)
        assert said["detail"] == "a picture that is kept of that time cannot be read"
        break_history(tmp_path)
        answer = client.get(EXCERPT, params={"stream": "gate"})
        problem(answer, 503)
        assert str(tmp_path) not in answer.text
        assert left(served) == []
