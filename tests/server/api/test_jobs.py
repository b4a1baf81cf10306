"""Files over HTTP: handed in whole or not at all, watched, looked through, taken away, removed."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from streamer.configuration import Configuration
from tests.media import even, make_clip
from tests.server.api.serving import GENEROUS, SCRIPT, Served, eventually, jpeg, problem, serving

BYTES = {"content-type": "application/octet-stream"}
JOBS = "/api/v1/jobs"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_clip(tmp_path_factory.mktemp("media") / "clip.mp4", even(20), size=(320, 192)).read_bytes()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    few = replace(GENEROUS, uploads=1, upload_pause_seconds=0.7)
    configuration = Configuration(upload_gib=2 / 1024)
    with serving(tmp_path_factory.mktemp("jobs"), configuration, limits=few) as served:
        yield served


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    """No job is there before and after."""
    with served.client() as client:
        yield client
        for job in client.get(JOBS).json()["jobs"]:
            client.delete(f"{JOBS}/{job['id']}")


def hand_in(client: httpx.Client, data: bytes, **wishes: Any) -> dict[str, Any]:
    answer = client.post(JOBS, params=wishes, content=data, headers=BYTES)
    assert answer.status_code == 201, answer.text
    job: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"{JOBS}/{job['id']}"
    return job


def done(client: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    def ended() -> dict[str, Any] | None:
        now: dict[str, Any] = client.get(f"{JOBS}/{job['id']}").json()
        return now if now["state"] in ("done", "failed") else None

    found: dict[str, Any] = eventually(ended)
    return found


def test_a_video_from_end_to_end(client: httpx.Client, clip: bytes) -> None:
    wishes = {"name": f"{SCRIPT}.mov", "task": ["caption", "detect:person"], "every": "0.5s", "budget": 70}
    job = hand_in(client, clip, **wishes, to=1.6, format=["csv", "coco"])
    assert (job["title"], job["kind"], job["width"], job["height"]) == (f"{SCRIPT}.mov", "video", 320, 192)
    assert (job["expected"], job["every"], job["end"], job["by"]) == (4, "every 0.5 s", 1.6, "owner")
    assert [task["kind"] for task in job["tasks"]] == ["caption", "detect"]
    ended = done(client, job)
    assert (ended["state"], ended["frames"], ended["failed"], ended["error"]) == ("done", 4, 0, None)
    assert [one["id"] for one in client.get(JOBS).json()["jobs"]] == [job["id"]]
    results = client.get(f"{JOBS}/{job['id']}/results").json()
    assert [one["media_seconds"] for one in results["results"]] == [0, 0.5, 1, 1.5]
    first = results["results"][0]
    assert (first["caption"], first["sequence"], first["width"]) == (f"{SCRIPT} a red car", 0, 320)
    assert first["detections"][0]["label"] == "person"
    assert not results["more"]


def test_results_come_page_by_page(client: httpx.Client, clip: bytes) -> None:
    job = done(client, hand_in(client, clip, every="all", budget=70))
    seen, cursor, more = list[int](), None, True
    while more:
        query = {"limit": 7} if cursor is None else {"limit": 7, "cursor": cursor}
        page = client.get(f"{JOBS}/{job['id']}/results", params=query).json()
        seen += [one["sequence"] for one in page["results"]]
        cursor, more = page["next"], page["more"]
    assert seen == list(range(20))
    for cursor in ("7", "x", "-1", "9" * 15):
        assert problem(client.get(f"{JOBS}/{job['id']}/results", params={"cursor": cursor}), 422)["field"] == "cursor"


def test_its_pictures_are_scaled(client: httpx.Client, clip: bytes) -> None:
    job = hand_in(client, clip, every="1s", budget=70)
    shown = client.get(f"{JOBS}/{job['id']}/picture.jpg", params={"at": 0.5, "width": 160})
    assert shown.headers["content-type"] == "image/jpeg"
    with Image.open(BytesIO(shown.content)) as picture:
        assert picture.size == (160, 96)
    problem(client.get(f"{JOBS}/{job['id']}/picture.jpg", params={"at": 1e6}), 404)
    for query in ({"at": -1}, {"at": "nan"}, {"width": 9}, {"width": 9999}):
        problem(client.get(f"{JOBS}/{job['id']}/picture.jpg", params=query), 422)


def test_files_are_taken_away_whole_or_in_parts(client: httpx.Client, clip: bytes) -> None:
    job = done(client, hand_in(client, clip, name="Straße 1.mp4", every="1s", budget=70, format=["csv", "yolo"]))
    names = {made["name"]: made["bytes"] for made in job["files"]}
    assert set(names) == {"Straße 1.jsonl", "Straße 1.csv", "Straße 1.detections.csv", "Straße 1.yolo.zip"}
    for name, size in names.items():
        whole = client.get(f"{JOBS}/{job['id']}/files/{name}")
        assert (whole.status_code, len(whole.content)) == (200, size)
        assert whole.headers["content-disposition"].startswith("attachment")
        assert whole.headers["x-content-type-options"] == "nosniff"
    part = client.get(f"{JOBS}/{job['id']}/files/Straße 1.jsonl", headers={"range": "bytes=0-14"})
    assert (part.status_code, part.content) == (206, b'{"type": "job",')
    problem(client.get(f"{JOBS}/{job['id']}/files/Straße 1.csv", headers={"range": "bytes=999999-"}), 416)
    for name in ("job.json", "..%2Fjob.json", "..%2F..%2F..%2Ftokens.json", "%2Fetc%2Fpasswd", "other.csv"):
        problem(client.get(f"{JOBS}/{job['id']}/files/{name}"), 404)


def test_a_job_is_removed(client: httpx.Client, served: Served, clip: bytes) -> None:
    job = hand_in(client, clip, every="all", budget=70)
    assert client.delete(f"{JOBS}/{job['id']}").status_code == 204
    for path in ("", "/results", "/picture.jpg", "/files/clip.jsonl"):
        problem(client.get(f"{JOBS}/{job['id']}{path}"), 404)
    problem(client.delete(f"{JOBS}/{job['id']}"), 404)
    eventually(lambda: not left(served))


def left(served: Served) -> list[str]:
    return [path.name for path in (served.station.configuration.data or Path()).joinpath("files").iterdir()]


@pytest.mark.parametrize(
    "wishes",
    [{"task": "dance"}, {"task": "ask:"}, {"every": "never"}, {"budget": 71}, {"format": "docx"}, {"from": 5, "to": 4},
     {"from": -1}, {"to": "nan"}, {"name": "x" * 201}, {"colour": "red"}, {"task": ["caption"] * 9}],
)  # fmt: skip
def test_wishes_that_cannot_be_are_refused_before_the_file_comes(
    client: httpx.Client, wishes: dict[str, Any], served: Served
) -> None:
    problem(client.post(JOBS, params=wishes, content=jpeg(), headers=BYTES), 422)
    assert left(served) == []


@pytest.mark.parametrize(
    "data", [b"words", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", b"\x89PNG\r\n\x1a\n" + bytes(50), b"<svg/>"]
)
def test_what_is_no_picture_or_video_is_refused(client: httpx.Client, data: bytes, served: Served) -> None:
    answer = client.post(JOBS, params={"name": "film.mp4"}, content=data, headers=BYTES)
    assert problem(answer, 422)["field"] == "file"
    assert str(served.station.configuration.data) not in answer.text
    assert left(served) == []


def test_a_file_is_declared_and_measured(client: httpx.Client, served: Served) -> None:
    problem(client.post(JOBS, content=jpeg(), headers={"content-type": "image/jpeg"}), 415)
    problem(client.post(JOBS, content=(piece for piece in (b"a", b"b")), headers=BYTES), 400)
    assert problem(client.post(JOBS, headers=BYTES), 422)["detail"] == "it is empty"
    assert left(served) == []


def test_a_file_that_is_too_large_is_not_read(served: Served) -> None:
    most = served.station.jobs.options.upload_bytes
    for length, status in ((most, b"408"), (most + 1, b"413")):
        with connected(served, length) as one:
            answer = one.recv(2000)
            assert answer.startswith(b"HTTP/1.1 " + status), answer[:100]
    eventually(lambda: left(served) == [])


def test_one_that_breaks_off_leaves_nothing_and_gives_its_place_back(served: Served, client: httpx.Client) -> None:
    one = connected(served, 1000)
    one.sendall(b"x" * 500)
    eventually(lambda: any(name.endswith(".part") for name in left(served)))
    problem(client.post(JOBS, content=jpeg(), headers=BYTES), 429)
    one.close()
    eventually(lambda: left(served) == [])
    job = eventually(lambda: (answer := client.post(JOBS, content=jpeg(), headers=BYTES)).status_code == 201 and answer)
    assert job.json()["kind"] == "picture"


def connected(served: Served, length: int) -> socket.socket:
    """A request whose body does not come."""
    host, port = served.url.removeprefix("http://").split(":")
    one = socket.create_connection((host, int(port)), timeout=10)
    lines = (
        f"POST {JOBS} HTTP/1.1",
        "host: localhost",
        f"content-type: {BYTES['content-type']}",
        f"content-length: {length}",
    )
    one.sendall("\r\n".join((*lines, "", "")).encode())
    return one


def test_a_large_file_goes_to_the_disk_as_it_comes(served: Served, client: httpx.Client, clip: bytes) -> None:
    """While it comes slowly, for longer than any pause may be."""
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as one:
        lines = (f"POST {JOBS}?every=1s&budget=70 HTTP/1.1", "host: localhost", f"content-length: {len(clip)}")
        one.sendall("\r\n".join((*lines, f"content-type: {BYTES['content-type']}", "", "")).encode())
        for start in range(0, len(clip), len(clip) // 4 + 1):
            one.sendall(clip[start : start + len(clip) // 4 + 1])
            time.sleep(0.3)
        answer = one.recv(20_000)
    assert answer.startswith(b"HTTP/1.1 201"), answer
    assert done(client, json.loads(answer.partition(b"\r\n\r\n")[2]))["state"] == "done"


def test_viewers_and_others_pages_hand_in_nothing(tmp_path: Path, served: Served, client: httpx.Client) -> None:
    problem(client.post(JOBS, content=jpeg(), headers={**BYTES, "origin": "http://evil.example"}), 403)
    token = served.tokens.create("vera", "viewer")
    with served.client(token) as viewer:
        problem(viewer.post(JOBS, content=jpeg(), headers=BYTES), 403)
        problem(viewer.get(JOBS), 403)
    assert left(served) == []
