"""``--model-url`` on the command line, and what people are told."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamer.cli import main
from tests.models.openai_server import OpenAIServer

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs the command in this process: its code, its output and its notices without line ends."""
    handler = signal.getsignal(signal.SIGTERM)

    def command(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["streamer", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, " ".join(err.split())

    yield command
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(lambda body: "Two cars.") as running:
        yield running


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.fromarray(np.full((720, 1280, 3), 90, np.uint8)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_a_question_is_answered_by_the_server(run: Run, server: OpenAIServer, picture: Path) -> None:
    code, out, err = run("ask", picture, "How many?", "--model", "gemma", "--model-url", server.url, "--budget", 70)
    assert (code, out) == (0, "Two cars.\n")
    assert f"note: {server.url} (vLLM) takes an image budget for each request" in err
    assert f"note: {server.url} (vLLM) holds answers to JSON schemas" in err


def test_the_address_may_come_from_the_environment(
    run: Run, server: OpenAIServer, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMER_MODEL_URL", server.url)
    code, out, _ = run("ask", picture, "How many?", "--model", "gemma", "--json")
    assert code == 0
    assert json.loads(out)["model"] == "gemma"


def test_files_are_annotated_by_the_server(run: Run, server: OpenAIServer, picture: Path, tmp_path: Path) -> None:
    code, _, _ = run(
        "annotate", picture, "--model", "gemma", "--model-url", server.url, "-o", tmp_path / "out",
        "--formats", "jsonl", "--task", "caption", "--task", "check:Is it day?",
    )  # fmt: skip
    assert code == 0
    rows = [json.loads(line) for line in (tmp_path / "out" / "a.jsonl").read_text().splitlines()]
    [frame] = [row for row in rows if row["type"] == "frame"]
    assert frame["answers"]["caption"] == "Two cars."
    assert frame["answers"]["check"]["answer"] is True


@pytest.mark.parametrize("option", [("--quantize", "int8"), ("--device", "cpu"), ("--revision", "main")])
def test_what_the_server_decides_is_refused(
    run: Run, server: OpenAIServer, picture: Path, option: tuple[str, str]
) -> None:
    code, _, err = run("ask", picture, "How many?", "--model", "gemma", "--model-url", server.url, *option)
    assert code != 0
    assert f"{option[0]}: '{option[1]}' cannot be used; expected nothing beside --model-url" in err
    assert server.looks == 0


def test_a_server_that_cannot_be_used_is_said(run: Run, server: OpenAIServer, picture: Path) -> None:
    server.able = replace(server.able, budget=False)
    code, _, err = run("ask", picture, "How many?", "--model", "other", "--model-url", server.url)
    assert code != 0
    assert f"model other: {server.url} does not have it; it has: gemma (use --model with one)" in err
    code, _, err = run("ask", picture, "How many?", "--model", "gemma", "--model-url", "http://me:pw@gpu/v1")
    assert code != 0
    assert "an address alone; a key belongs into STREAMER_MODEL_KEY" in err
    assert "pw@" not in err
