"""The local model behind the border that everything else sees."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from streamer.errors import ModelError, ModelInterrupted, OptionError
from streamer.models.base import Request, VisionModel
from streamer.models.local import TINY_CAVEAT, LocalModel
from tests.families import build

TINY = Path(__file__).parents[2] / "streamer" / "gemma" / "tiny" / "config.json"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("E2B", tmp_path_factory.mktemp("model") / "my-e2b")


def ask(seed: int, tokens: int = 4) -> Request:
    image = np.random.default_rng(seed).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    return Request((image,), "What is this?", 70, tokens)


def test_it_answers_in_order_in_bounded_batches(folder: Path) -> None:
    requests = [ask(seed, tokens=2 + seed % 3) for seed in range(7)]
    with LocalModel(str(folder), device="cpu", dtype="fp32", max_batch=3) as few:
        model: VisionModel = few
        answers = model.generate(requests)
        assert model.generate([]) == []
    with LocalModel(str(folder), device="cpu", dtype="fp32", max_batch=1) as single:
        assert [answer.token_ids for answer in answers] == [answer.token_ids for answer in single.generate(requests)]
    assert [answer.output_tokens for answer in answers] == [2, 3, 4, 2, 3, 4, 2]


def test_its_name_size_and_caveat(folder: Path) -> None:
    with LocalModel(str(folder), device="cpu", dtype="fp32") as model:
        assert (model.name, model.caveat) == ("my-e2b", None)
        assert model.size_for((1920, 1080), 70) == (528, 288)


def test_a_running_answer_can_be_called_off_and_the_next_one_is_whole(folder: Path) -> None:
    with LocalModel(str(folder), device="cpu", dtype="fp32") as model:
        wanted = model.generate([ask(1)])
        model.interrupt()
        assert model.generate([ask(1)])[0].token_ids == wanted[0].token_ids
        over = threading.Event()

        def call_off() -> None:
            while not over.wait(0.001):
                model.interrupt()

        caller = threading.Thread(target=call_off)
        caller.start()
        try:
            with pytest.raises(ModelInterrupted, match="my-e2b: it was interrupted"):
                model.generate([ask(seed, tokens=3000) for seed in range(4)])
        finally:
            over.set()
            caller.join()
        assert model.generate([ask(1)])[0].token_ids == wanted[0].token_ids


def test_closing_twice_and_asking_after_it(folder: Path) -> None:
    model = LocalModel(str(folder), device="cpu", dtype="fp32")
    model.close()
    model.close()
    with pytest.raises(ModelError, match="my-e2b: it is closed"):
        model.generate([ask(1)])


def test_a_batch_of_nothing_is_refused(folder: Path) -> None:
    with pytest.raises(OptionError, match="max_batch"):
        LocalModel(str(folder), max_batch=0)


def test_importing_it_imports_no_torch() -> None:
    modules = "sys, streamer.models.local, streamer.gemma.parsing, streamer.gemma.budget"
    code = f"import {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.skipif(not TINY.is_file(), reason="the embedded checkpoint is not trained yet")
def test_tiny_says_what_it_is() -> None:
    with LocalModel("tiny", device="cpu") as model:
        assert (model.name, model.caveat) == ("tiny", TINY_CAVEAT)
        assert model.generate([ask(1, tokens=8)])[0].output_tokens >= 1
