"""`scripts/verify_server.py` against a server that answers by the local tiny, and against ones that do not."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamer.geometry import Box
from streamer.models.base import Request
from streamer.models.local import LocalModel
from streamer.results import Detection, FrameResult
from tests.models.openai_server import Body, Fault, OpenAIServer, Say, pictures_of

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
Run = Callable[..., tuple[str, int]]
pytestmark = pytest.mark.timeout(300)  # 15 s on an idle core; other tests may be running beside it


@pytest.fixture(scope="module")
def tiny() -> Iterator[Say]:
    """Answers a chat completion as a server of the checkpoint would."""
    lock = threading.Lock()
    with LocalModel("tiny", device="cpu", dtype="fp32") as model:

        def say(body: Body) -> str:
            images = tuple(np.asarray(picture.convert("RGB")) for picture in pictures_of(body))
            words = body["messages"][-1]["content"][-1]["text"]
            with lock:
                return model.generate([Request(images, words, 70, body["max_tokens"])])[0].text

        yield say


@pytest.fixture
def server(tiny: Say) -> Iterator[OpenAIServer]:
    with OpenAIServer(tiny, model="tiny") as running:
        running.able = replace(running.able, root="/somewhere/gemma/tiny")
        yield running


@pytest.fixture
def run(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """What the script prints of two frames of the street, and its exit code."""
    street = str(ROOT / "sample_videos" / "street.mp4")

    from verify_server import main

    def ran(*more: str) -> tuple[str, int]:
        words = ["--device", "cpu", "--dtype", "fp32", "--every", "10", "--videos", street, *more]
        monkeypatch.setattr(sys, "argv", ["verify_server.py", server.url, *words])
        code = main()
        return capsys.readouterr().out, code

    return ran


@pytest.mark.slow
def test_the_same_checkpoint_gives_the_same_answers(server: OpenAIServer, run: Run) -> None:
    printed, code = run("--json")
    found = {way["way"]: way for way in json.loads(printed)["ways"]}
    assert code == 0
    assert [found[way]["answers"] for way in ("by default", "lossless", "jpeg")] == [4, 4, 4]
    assert found["lossless"] == {"way": "lossless", "equal": 4, "answers": 4, "errors": [], "differing": []}
    assert found["by default"]["equal"] == 4, "drawn pictures go as PNG by default"
    assert found["jpeg"]["equal"] + len(found["jpeg"]["differing"]) == 4
    kinds = [body["messages"][-1]["content"][0]["image_url"]["url"][:16] for body in server.asked() if asks(body)]
    assert kinds == ["data:image/png;b"] * 8 + ["data:image/jpeg;"] * 4


def asks(body: Body) -> bool:
    """And does not only try what the server can."""
    return str(body["messages"][-1]["content"][-1]["text"]) != "Say hello."


@pytest.mark.slow
def test_another_answer_is_shown(server: OpenAIServer, run: Run) -> None:
    server.say = lambda body: "A park."
    printed, code = run("--show", "1")
    assert code == 0
    assert "2 frames of street.mp4, budget 70, two answers each\n" in printed
    assert "lossless: 0 of 4 answers are equal\n  street.mp4 at 0 s, caption\n    here:  A street" in printed
    assert printed.count("there: A park.") == 3


def test_a_server_that_does_not_serve_is_told_before_a_model_is_loaded(server: OpenAIServer, run: Run) -> None:
    server.fault = Fault("500", health=True)
    assert run("--local", "/no/such/model") == ("", 2)


def test_boxes_are_compared_as_read_and_missing_answers_are_told() -> None:
    from verify_server import compared

    box = Detection("car", Box(0.1, 0.2, 0.3, 0.4))
    here = result({"caption": "A street.", "detect": "[ a list ]"}, detections=(box,))
    held = result({"caption": "A street.", "detect": "[a list]"}, detections=(box,))
    moved = replace(held, detections=(replace(box, label="bus"),))
    none = result({"caption": "A street."}, error="detect: out of order")
    found = compared([here] * 4, [here, held, moved, none])
    assert (found["equal"], found["answers"]) == (6, 8)
    assert found["errors"] == ["street.mp4 at 2 s: detect: out of order"]
    assert [one["there"] for one in found["differing"]] == ["[a list]", None]


def result(answers: dict[str, str], **more: Any) -> FrameResult:
    return FrameResult("street.mp4", 1, 2.0, (16, 9), budget=70, model="tiny", answers=answers, **more)
