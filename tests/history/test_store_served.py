"""Pictures and clips of a store over HTTP, as a page asks for them, and a live job whose alerts keep theirs there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from streamer.rules import Rule
from tests.history.made import wait_for
from tests.history.s3 import S3Server
from tests.models.faulty_proxy import FaultyProxy
from tests.server.api.serving import Served, eventually, jpeg, of_streams, problem, serving

CLIP = bytes(range(256)) * 10_000
"""More than two parts of what is fetched at a time."""
AT = float(round(time.time()) - 600)


@pytest.fixture
def served(tmp_path: Path, s3: FaultyProxy, bucket: str) -> Iterator[Served]:
    with serving(tmp_path, of_streams("gate", pictures=f"s3://{bucket}")) as served:
        yield served


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


@pytest.fixture
def clip(served: Served) -> str:
    history = served.station.history
    name, path = history.new_clip_path("gate", AT)
    path.write_bytes(CLIP)
    history.keep_clip(name, AT - 5)
    wait_for(lambda: history._shelf.here(name) is None)
    return f"/api/v1/clips/{name}"


def test_a_clip_comes_whole_or_in_parts(client: httpx.Client, clip: str) -> None:
    whole = client.get(clip)
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, CLIP, "video/mp4")
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["x-started-at"] == f"{AT - 5:.3f}"
    size = len(CLIP)
    for asked, start, stop in (
        ("bytes=256-511", 256, 512),
        ("bytes=0-0", 0, 1),
        (f"bytes={size - 3}-", size - 3, size),
        ("bytes=-5", size - 5, size),
        (f"bytes=-{2 * size}", 0, size),
        (f"bytes=1000-{2 * size}", 1000, size),
        ("bytes=1-2, 5-6", 1, 3),
    ):
        part = client.get(clip, headers={"range": asked})
        assert (part.status_code, part.content) == (206, CLIP[start:stop]), asked
        assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"


def test_a_part_that_is_not_there_is_a_problem(client: httpx.Client, clip: str) -> None:
    answer = client.get(clip, headers={"range": f"bytes={len(CLIP)}-"})
    problem(answer, 416)
    assert answer.headers["content-range"] == f"bytes */{len(CLIP)}"
    problem(client.get(clip, headers={"range": "bytes=-0"}), 416)
    for asked in ("bytes=9-1", "bytes=-", "lines=1-2", "bytes=a-b"):
        problem(client.get(clip, headers={"range": asked}), 400)


def test_a_store_that_is_away_is_a_passing_problem(client: httpx.Client, clip: str, s3: FaultyProxy) -> None:
    s3.stop()
    assert problem(client.get(clip), 503)["detail"].startswith("the history cannot be read")
    problem(client.get(clip.replace("_gate-", "_gate2-")), 404)
    s3.start()
    assert client.get(clip).content == CLIP


def test_a_store_that_breaks_off_in_a_clip_ends_the_answer(client: httpx.Client, clip: str, s3: FaultyProxy) -> None:
    s3.counted = ("GET",)
    s3.follow(lambda place: "404" if place >= 1 else None)
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(clip)
    s3.follow(lambda place: None)
    assert client.get(clip).content == CLIP


def test_a_live_job_keeps_its_alerts_pictures_in_the_store(
    served: Served, client: httpx.Client, bucket: str, s3_server: S3Server, s3: FaultyProxy
) -> None:
    station = served.station
    s3.stop()
    station.set_rule(Rule("somebody", question="Is somebody there?", confirm=1))
    alerts = eventually(lambda: station.history.alerts())
    assert alerts[0].snapshot is not None, "the alert does not wait for the store"
    assert alerts[0].faults == {}
    answer = client.get(f"/api/v1/snapshots/{alerts[0].snapshot}")
    assert (answer.status_code, answer.content[:2]) == (200, jpeg()[:2])
    eventually(lambda: station.history.fault)
    analysed = station.monitor.status("gate").counts["analysed"]
    eventually(lambda: station.monitor.status("gate").counts["analysed"] > analysed + 3)
    s3.start()
    eventually(lambda: any(key.endswith(str(alerts[0].snapshot)) for key in s3_server.keys(bucket)), 40)
    eventually(lambda: station.history._shelf.fault is None, 40)  # retention says its own a minute later
    assert client.get(f"/api/v1/snapshots/{alerts[0].snapshot}").content == answer.content
