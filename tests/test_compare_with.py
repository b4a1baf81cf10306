"""``watch --compare-with``: models beside the job's own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import torch

from streamer.commands.comparing import further_models, opened
from streamer.configuration import read_configuration
from streamer.errors import ModelError, OptionError
from streamer.models import load
from tests.models.openai_server import OpenAIServer
from tests.server.rig import eventually

HERE = Path(__file__).parents[1]
ALL = ["tiny", "tiny (bf16)", "gemma ({host})", "missing"]


@dataclass(frozen=True, slots=True)
class Watched:
    client: httpx.Client
    process: subprocess.Popen[str]
    said: Path


@pytest.fixture(scope="module")
def far() -> Iterator[OpenAIServer]:
    with OpenAIServer(lambda body: "Two cars.") as server:
        yield server


@pytest.fixture(scope="module")
def watched(far: OpenAIServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The command with three further models, one of which is not there; one stands in the configuration."""
    folder = tmp_path_factory.mktemp("watch")
    (folder / "streams.toml").write_text('compare_with = ["missing"]\n')
    words = [
        *("watch", HERE / "sample_videos" / "street.mp4", "--loop", "--port", 0, "-c", folder / "streams.toml"),
        *("--no-history", "--model", "tiny", "--device", "cpu", "--dtype", "fp32", "--budget", 70),
        *("--compare-with", "tiny,dtype=bf16", "--compare-with", f"gemma@{far.url}"),
    ]
    command = [sys.executable, "-m", "streamer", *map(str, words)]
    with (folder / "said").open("w") as said:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, cwd=folder)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().removeprefix("page: ").strip()
        with httpx.Client(base_url=url, timeout=60) as client:
            yield Watched(client, process, folder / "said")
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def test_a_model_is_compared_with_itself_otherwise_and_with_a_servers(watched: Watched, far: OpenAIServer) -> None:
    host = far.url.split("/")[2]
    models = watched.client.get("/api/v1/server").json()["models"]
    assert models == [name.format(host=host) for name in ALL]
    tasks = [{"kind": "caption"}, {"kind": "detect", "labels": ["car"]}]
    ways = [{"model": model, "budget": 70, "tasks": tasks} for model in models]
    answer = watched.client.post("/api/v1/streams/street.mp4/comparisons", json={"variants": ways})
    assert answer.status_code == 200, answer.text
    own, other, remote, missing = answer.json()["variants"]
    for one in (own, other):
        assert one["error"] is None
        assert len(one["caption"].split()) > 3
        assert one["timings"]["model_ms"] > 0
        assert one["caveat"].startswith("tiny knows only")
    assert own["usage"]["image_tokens"] == other["usage"]["image_tokens"] > 0
    assert (remote["caption"], remote["caveat"]) == ("Two cars.", None)
    assert "there is no such folder" in missing["error"] or "hub" in missing["error"]


def test_what_cannot_be_loaded_is_said_at_the_start_and_the_job_goes_on(watched: Watched) -> None:
    said = " ".join(watched.said.read_text().split())
    assert "note: there will be no comparisons with missing: model missing: " in said
    assert "note: tiny (bf16): tiny knows only drawn street scenes" in said
    status = watched.client.get("/api/v1/streams").json()["streams"][0]
    assert status["state"] == "live"
    eventually(lambda: watched.client.get("/api/v1/streams").json()["streams"][0]["counts"]["analysed"] > 0)


def test_the_jobs_threads_are_as_before() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        [one] = further_models(["tiny,dtype=fp32"], url=None, device="cpu")
        with opened([one]):
            assert one.model is not None
            assert torch.get_num_threads() == 3, "tiny takes one for itself"
        assert one.model is None
        load("tiny", device="cpu").close()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("text", "url", "name", "beside"),
    [
        ("google/gemma-4-E4B-it", None, "google/gemma-4-E4B-it", True),
        ("google/gemma-4-E4B-it,quantize=int4,device=cuda:1", None, "google/gemma-4-E4B-it (int4, cuda:1)", True),
        ("a,b,revision=main", None, "a,b (main)", True),
        ("other", "http://gpu:8000/v1", "other", False),
        ("other@http://gpu:8000/v1,http://b", "http://gpu/v1", "other (gpu:8000 and 1 more)", False),
        ("org/m@2@https://gpu", None, "org/m@2 (gpu)", False),
    ],
)
def test_what_a_text_names(text: str, url: str | None, name: str, beside: bool) -> None:
    [one] = further_models([text], url=url)
    assert (one.name, one.beside) == (name, beside)


def test_a_folder_is_shown_by_its_last_part(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    [one] = further_models([f"{tmp_path / 'mine'},dtype=fp32"], url=None)
    assert one.name == "mine (fp32)"
    with pytest.raises(ModelError), opened([one]):
        one.open()


@pytest.mark.parametrize(
    ("texts", "ray", "said"),
    [
        ([""], None, "expected a model's name"),
        (["@http://gpu/v1"], None, "expected a model's name"),
        (["x@http://me:secret@gpu/v1"], None, "an address alone"),
        (["x,quantize=int2"], None, "--compare-with quantize: 'int2' cannot be used; expected int8 or int4"),
        (["x,dtype="], None, "expected auto or bf16 or fp32"),
        (["x"], "local", "beside --ray"),
        (["x"] * 8, None, "at most 7 models"),
    ],
)
def test_what_means_nothing_is_refused_before_anything_is_loaded(texts: list[str], ray: str | None, said: str) -> None:
    with pytest.raises(OptionError) as error:
        further_models(texts, url=None, ray=ray)
    assert said in str(error.value)
    assert "secret" not in str(error.value)


def test_the_configuration_names_them(tmp_path: Path) -> None:
    path = tmp_path / "streams.toml"
    path.write_text('compare_with = ["tiny", "x@http://gpu/v1"]\n')
    assert read_configuration(path).compare_with == ("tiny", "x@http://gpu/v1")
    path.write_text('compare_with = "tiny"\n')
    with pytest.raises(OptionError, match="compare_with"):
        read_configuration(path)
