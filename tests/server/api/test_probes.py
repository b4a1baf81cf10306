"""A source is looked at before it is added: its first picture, or why there is none, and nothing else."""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.media import even, make_clip
from tests.server.api.serving import GENEROUS, PASSWORD, Served, eventually, of_streams, problem, serving
from tests.sources.cameras import free_port, mjpeg_camera, mute_camera

SECONDS = 2.0
"""Of a probe in these tests."""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Where sources are, and what is allowed of them."""
    folder = tmp_path_factory.mktemp("allowed")
    make_clip(folder / "clip.mp4", even(20), size=(320, 180))
    (folder / "broken.mp4").write_bytes(b"\0" * 5000)
    with mjpeg_camera() as camera, mute_camera() as mute:
        yield {"folder": folder, "camera": camera, "mute": f"rtsp://127.0.0.1:{mute}", "dead": free_port()}


@pytest.fixture(scope="module")
def probing(places: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    allow = (str(places["folder"]), places["camera"], places["mute"], f"rtsp://127.0.0.1:{places['dead']}")
    limits = replace(GENEROUS, probe_seconds=SECONDS)
    with serving(tmp_path_factory.mktemp("probes"), of_streams(allow=allow), limits=limits) as served:
        yield served


@pytest.fixture(scope="module")
def prober(probing: Served) -> Iterator[httpx.Client]:
    with probing.client() as client:
        yield client


def probe(client: httpx.Client, address: str, **more: Any) -> httpx.Response:
    return client.post("/api/v1/probes", json={"address": address, **more})


def test_a_file_shows_its_first_picture(prober: httpx.Client, places: dict[str, Any]) -> None:
    values = probe(prober, str(places["folder"] / "clip.mp4")).json()
    assert (values["width"], values["height"], values["codec"]) == (320, 180, "h264")
    assert values["fps"] == pytest.approx(10, abs=0.1)
    with Image.open(io.BytesIO(base64.b64decode(values["picture"]))) as picture:
        assert (picture.format, picture.size) == ("JPEG", (320, 180))
        assert picture.convert("L").getpixel((5, 5)) in range(60)  # the strip on top says number 0


def test_a_camera_shows_its_first_picture_and_is_let_go(prober: httpx.Client, places: dict[str, Any]) -> None:
    values = probe(prober, f"{places['camera']}/cam").json()
    assert (values["width"], values["height"]) == (320, 180)
    eventually(lambda: not [one for one in threading.enumerate() if places["camera"] in one.name])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("{camera}/denied", "refuses the login"),
        ("{camera}/nothing", "no such address"),
        ("rtsp://me:hunter2@127.0.0.1:{dead}/live", "nothing listens there"),
        ("{folder}/broken.mp4", "cannot be read as a video"),
    ],
)
def test_what_gives_no_picture_says_why(prober: httpx.Client, places: dict[str, Any], name: str, reason: str) -> None:
    answer = probe(prober, name.format(**places))
    values = problem(answer, 422)
    assert values["field"] == "address"
    assert reason in values["detail"]
    assert PASSWORD not in answer.text


def test_a_camera_that_says_nothing_is_given_up_in_time(prober: httpx.Client, places: dict[str, Any]) -> None:
    begun = time.monotonic()
    problem(probe(prober, f"{places['mute']}/live"), 422)
    assert time.monotonic() - begun < SECONDS + 2


def test_at_most_two_are_looked_at_at_once(prober: httpx.Client, probing: Served, places: dict[str, Any]) -> None:
    address = f"{places['mute']}/live"
    answers: list[int] = []

    def ask() -> None:
        with probing.client() as client:
            answers.append(probe(client, address).status_code)

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(answers) == [422, 422, 429, 429, 429]
    eventually(lambda: probe(prober, str(places["folder"] / "clip.mp4")).status_code == 200)


@pytest.mark.parametrize(
    "address",
    [
        "/etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1/x",
        "webcam:0",
        "synthetic:?live=1",
        "rtsp://127.0.0.1:10/a",
    ],
)
def test_only_what_may_be_added_may_be_looked_at(prober: httpx.Client, address: str) -> None:
    values = problem(probe(prober, address), 422)
    assert values["field"] == "address"
    assert "may not be added" in values["detail"]
    assert "passwd" not in values["detail"]


def test_nothing_is_allowed_by_default(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", even(5))
    with serving(tmp_path) as served, served.client() as client:
        problem(probe(client, str(tmp_path / "clip.mp4")), 422)


def test_what_cannot_be_asked_is_refused(prober: httpx.Client) -> None:
    assert problem(probe(prober, ""), 422)["field"] == "address"
    assert problem(probe(prober, "rtsp://x/y", speed=3), 422)["field"] == "speed"
    assert problem(probe(prober, "rtsp://x/y", udp="yes"), 422)["field"] == "udp"
