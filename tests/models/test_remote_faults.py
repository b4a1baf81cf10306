"""Whole jobs by servers that fail in every way, through a proxy that breaks real answers by a plan.

Behind the proxy is vLLM with the embedded checkpoint where STREAMER_VLLM names its program, else the tests' own server.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from streamer.annotation import AnnotateRun
from streamer.filejob import AnnotateOptions
from streamer.models.remote.model import RemoteModel
from streamer.models.remote.options import RemoteOptions
from streamer.monitor import Monitor
from streamer.results import FrameResult
from streamer.sampling import Sampling
from streamer.secret import Secret
from streamer.settings import StreamSettings
from streamer.sources import open_source
from streamer.tasks import Task
from streamer.watching import sample_video
from tests.models.faulty_proxy import KINDS, FaultyProxy
from tests.models.openai_server import Body, OpenAIServer, pictures_of, until
from tests.models.vllm import PROGRAM, serving

KEY = "sk-very-secret-0123456789"
Rows = list[dict[str, Any]]
CAMERA = "synthetic:?live=1&fps=5&size=320x180"

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True, slots=True)
class Upstream:
    """The real server."""

    url: str
    model: str
    attempt_seconds: float
    """Longer than it takes for an answer, also when a dozen are under way."""
    live_seconds: float


def says_the_shade(body: Body) -> str:
    """Another answer for another picture."""
    return " ".join(f"{picture.resize((1, 1)).getpixel((0, 0))} at {picture.size}" for picture in pictures_of(body))


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    if PROGRAM:
        with serving(tmp_path_factory.mktemp("vllm") / "log") as url:
            yield Upstream(url, "tiny", 15, 4)
    else:
        with OpenAIServer(says_the_shade, key=KEY) as server:
            yield Upstream(server.url.removesuffix("/v1"), "gemma", 1.5, 1)


@pytest.fixture
def proxies(upstream: Upstream) -> Iterator[tuple[FaultyProxy, FaultyProxy]]:
    with FaultyProxy(upstream.url) as one, FaultyProxy(upstream.url) as other:
        yield one, other


@contextmanager
def remote(upstream: Upstream, *proxies: FaultyProxy, live: bool = False) -> Iterator[RemoteModel]:
    """It has looked at its servers before a plan begins."""
    seconds = upstream.live_seconds if live else 200.0
    options = RemoteOptions(
        tuple(f"{proxy.url}/v1" for proxy in proxies),
        upstream.model,
        key=Secret(KEY),
        deadline_seconds=seconds,
        attempt_seconds=min(upstream.attempt_seconds, seconds),
        at_once=4,
    )
    with RemoteModel(options) as model:
        yield model
    assert "remote" not in [thread.name for thread in threading.enumerate()]


def annotated(model: RemoteModel, folder: Path, beside: Callable[[], None] = lambda: None) -> Rows:
    """The rows of a file job, without what differs from run to run; ``beside`` is called with each event of it."""
    tasks = (Task.caption(), Task.check("Is there a car?"))
    options = AnnotateOptions(tasks, Sampling.every(1.5), budget=70, batch=4, formats=("jsonl",))
    for _ in AnnotateRun([(str(sample_video()), "street")], model, options, output=folder):
        beside()
    rows = [json.loads(line) for line in (folder / "street.jsonl").read_text().splitlines()]
    assert rows[-1]["type"] == "end"
    names = ("sequence", "time_seconds", "caption", "answers", "error")
    return [{name: row.get(name) for name in names} for row in rows if row["type"] == "frame"]


@pytest.fixture(scope="module")
def wanted(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """What comes of the job where nothing fails."""
    with FaultyProxy(upstream.url) as proxy, remote(upstream, proxy) as model:
        rows = annotated(model, tmp_path_factory.mktemp("wanted"))
    assert len(rows) > 8
    assert all(row["error"] is None and row["answers"] for row in rows)
    assert len({row["answers"]["caption"] for row in rows}) > 1
    return rows


RARE = ("500", "reset")
"""They are among the faults of other tests, too."""


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.slow if kind in RARE else ()) for kind in KINDS])
def test_a_file_job_ends_as_if_nothing_had_failed(
    upstream: Upstream,
    wanted: Rows,
    proxies: tuple[FaultyProxy, FaultyProxy],
    tmp_path: Path,
    kind: str,
) -> None:
    with remote(upstream, *proxies) as model:
        for proxy in proxies:
            proxy.follow(lambda place: kind if place in (0, 1, 5) else None)
        started = time.monotonic()
        assert annotated(model, tmp_path) == wanted
    assert sum(proxy.met[kind] for proxy in proxies) >= 3
    assert time.monotonic() - started < 6 * upstream.attempt_seconds + 60


def test_a_file_job_by_one_server_with_all_faults_ends_as_if_nothing_had_failed(
    upstream: Upstream, wanted: Rows, proxies: tuple[FaultyProxy, FaultyProxy], tmp_path: Path
) -> None:
    proxy = proxies[0]
    with remote(upstream, proxy) as model:
        proxy.follow(lambda place: KINDS[place // 4] if place % 4 == 1 and place < 4 * len(KINDS) else None)
        assert annotated(model, tmp_path) == wanted
    assert sum(proxy.met[kind] for kind in KINDS) >= 5


def test_a_server_that_goes_away_in_a_file_job_is_left_out_and_comes_back(
    upstream: Upstream,
    wanted: Rows,
    proxies: tuple[FaultyProxy, FaultyProxy],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    one, other = proxies
    with remote(upstream, one, other) as model, caplog.at_level(logging.WARNING):
        one.follow(lambda place: None)
        one.stop()
        assert annotated(model, tmp_path / "away") == wanted
        assert f"{one.url}/v1 is left out: it cannot be reached" in caplog.text
        assert one.met["passed"] == 0
        one.start()
        until(lambda: f"{one.url}/v1 is back" in caplog.text, 40)
        assert annotated(model, tmp_path / "back") == wanted
    assert one.met["passed"] > 0


def test_a_server_that_dies_with_answers_under_way_costs_none_of_them(
    upstream: Upstream, wanted: Rows, proxies: tuple[FaultyProxy, FaultyProxy], tmp_path: Path
) -> None:
    one, other = proxies
    with remote(upstream, one, other) as model:
        one.follow(lambda place: "slow")

        def die() -> None:
            until(lambda: one.met["slow"] >= 3, 60)
            one.stop()

        dies = threading.Thread(target=die)
        dies.start()
        assert annotated(model, tmp_path) == wanted
        dies.join()
    assert one.met["slow"] >= 3


GIVEN_UP = {
    "hang": "no answer within",
    "gone": "it cannot be reached",
    "500": "it answers 500: boom",
    "cut": "the connection broke",
    "nonsense": "its answer is no JSON",
}


@pytest.mark.parametrize(
    "kind", ["hang", "gone", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("500", "cut", "nonsense"))]
)
def test_live_frames_are_given_up_in_time_and_counted_and_the_next_ones_answered(
    upstream: Upstream, proxies: tuple[FaultyProxy, FaultyProxy], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen: list[FrameResult] = []
    with remote(upstream, *proxies, live=True) as model, Monitor(model) as monitor:
        monitor.follow(lambda result, frame: seen.append(result))
        settings = StreamSettings(tasks=(Task.caption(),), budget=70, fps=2, gate=0)
        monitor.add("gate", lambda: open_source(CAMERA, realtime=True), settings)

        def counts(name: str) -> int:
            return monitor.status("gate").counts.get(name, 0)

        until(lambda: counts("analysed") > 0, 60)
        for proxy in proxies:
            proxy.stop() if kind == "gone" else proxy.follow(lambda place: kind)
        begun = time.monotonic()
        until(lambda: counts("failed") >= 2, 60)
        assert time.monotonic() - begun < 4 * upstream.live_seconds + 8
        assert monitor.status("gate").state == "live"
        failed = [result for result in seen if result.error]
        assert all(not result.answers for result in failed)
        assert any(GIVEN_UP[kind] in str(result.error) for result in failed), failed
        until(lambda: len([result for result in seen if result.error]) == counts("failed"))
        for proxy in proxies:
            proxy.start() if kind == "gone" else proxy.follow(lambda place: None)
        analysed = counts("analysed")
        until(lambda: counts("analysed") > analysed + 1, 60)
        if kind == "hang":
            for proxy in proxies:
                proxy.follow(lambda place: "hang")
            until(lambda: sum(proxy.met["hang"] for proxy in proxies) > 0, 30)
        ended = time.monotonic()
    assert time.monotonic() - ended < 5
    headers = [header for proxy in proxies for header in proxy.headers]
    assert headers
    assert all(header.get("Authorization", header.get("authorization")) == f"Bearer {KEY}" for header in headers)
    said = [str(result.error) for result in seen]
    assert KEY not in caplog.text + "".join(said)
