"""`scripts/verify_gpu.py` on tiny: what it reports is so, and what is wrong it calls wrong."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from streamer.gemma.checkpoint import Checkpoint, load
from streamer.models.base import BUDGETS, Generation
from streamer.tasks import CAPTION_PROMPT
from tests.families import build_network

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
pytestmark = pytest.mark.timeout(300)  # 10 s on an idle core; other tests may be running beside it


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """The report of a quick run, and what it printed."""
    path = tmp_path_factory.mktemp("verify") / "report.json"
    script = str(ROOT / "scripts" / "verify_gpu.py")
    command = [sys.executable, script, "tiny", "--device", "cpu", "--dtype", "fp32", "--quick", "--json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, stdin=subprocess.DEVNULL, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert [found.name for found in path.parent.iterdir()] == ["report.json"]
    return json.loads(path.read_text()), done.stdout


@pytest.fixture(scope="module")
def tiny() -> Checkpoint:
    return load("tiny", device="cpu", dtype="fp32")


def test_every_section_is_there_and_well(ran: tuple[dict[str, Any], str]) -> None:
    report, printed = ran
    assert list(report["sections"]) == ["machine", "load", "rates", "pictures", "examples", "equality", "speed"]
    assert all(section["ok"] and section["error"] is None for section in report["sections"].values())
    assert report["ok"]
    assert "all is well" in printed
    loaded, rates = report["sections"]["load"], report["sections"]["rates"]
    assert (loaded["name"], loaded["dtype"], loaded["device"]) == ("tiny", "float32", "cpu")
    assert rates["origin"] == "measured"
    assert 1e8 < rates["bandwidth"] == rates["measured_bandwidth"] < 1e13
    assert 1e8 < rates["flops"] == rates["measured_flops"] < 1e14


def test_the_examples_have_answers(ran: tuple[dict[str, Any], str]) -> None:
    rows = ran[0]["sections"]["examples"]["rows"]
    assert [row["example"] for row in rows[:4]] == ["describe", "two pictures", "read a sign", "check by a schema"]
    assert [row["budget"] for row in rows[4:]] == list(BUDGETS)
    assert all(row["answer"].strip() and row["error"] is None for row in rows)
    describe, two, _, check, *detect = rows
    assert describe["prompt"] == CAPTION_PROMPT
    assert two["image_tokens"] == 2 * describe["image_tokens"] == 528
    assert json.loads(check["answer"])["answer"] in ("yes", "no")
    assert [row["image_tokens"] for row in detect] == [66, 120, 264, 527, 1100]


def test_the_answers_are_those_of_generate(ran: tuple[dict[str, Any], str]) -> None:
    part = ran[0]["sections"]["equality"]
    rows = {row["case"]: row for row in part["rows"]}
    names = ["one picture", "two pictures", "right draft", "stale draft", "batch", "batch, stale drafts"]
    assert list(rows) == names
    for row in rows.values():
        assert row["equal"] + row["near_ties"] == row["answers"] > 0
        assert all(found["ours_behind_best"] < 1e-3 for found in row["differences"])
    assert part["tokens"] > 50
    assert part["rounding"] < 1e-3
    right = rows["right draft"]
    assert right["equal"] < right["answers"] or right["accepted_tokens"] == right["drafted_tokens"] > 0
    assert rows["batch"]["forwards"] < rows["one picture"]["forwards"] + rows["two pictures"]["forwards"]


def test_the_speed_stands_beside_the_best(ran: tuple[dict[str, Any], str]) -> None:
    report = ran[0]
    rows = report["sections"]["speed"]["rows"]
    assert [(row["budget"], row["batch"]) for row in rows] == [(70, 1), (70, 2)]
    bandwidth = report["sections"]["rates"]["bandwidth"]
    for row in rows:
        assert row["picture_ms"] > 0
        assert min(row["prefill_ms"], row["step_ms"]) > 0
        assert row["best"]["step_ms"] >= 1000 * report["sections"]["load"]["step_bytes"] / bandwidth * 0.999
        assert row["step_of_best"] == pytest.approx(row["best"]["step_ms"] / row["step_ms"])
        assert min(row["frames_per_second"], row["frames_per_second_with_drafts"]) > 0
        assert row["same_with_drafts"] == row["answers"] == row["batch"]
        assert row["peak_mib"] > 50
    assert rows[1]["best"]["picture_ms"] == pytest.approx(2 * rows[0]["best"]["picture_ms"])


def test_a_wrong_answer_is_no_near_tie(tiny: Checkpoint) -> None:
    """The same answer has no difference; a token that the model would not say is one, a nearly equal one a near tie."""
    from verify_equality import Reference, difference
    from verify_pictures import Filmed, fitted

    from streamer.models.base import Request

    image = fitted(Filmed(), 0, 0, 70, tiny.images)
    said = Reference(tiny).said(Request((image,), CAPTION_PROMPT, 70, 6))
    assert said.rounding is not None
    assert said.rounding < 1e-3
    assert difference(Generation("", "length", said.ids), said, tiny) is None
    unlikely = int(said.logits[3].argmin())
    wrong = difference(Generation("", "length", (*said.ids[:3], unlikely, *said.ids[4:])), said, tiny)
    assert wrong is not None
    assert (wrong["token"], wrong["near_tie"]) == (3, False)
    assert wrong["ours_behind_best"] > wrong["best_two_apart"] > 0
    tied = said.logits.clone()
    tied[3, unlikely] = tied[3].max() - 1e-4
    near = difference(
        Generation("", "length", (*said.ids[:3], unlikely, *said.ids[4:])), replace(said, logits=tied), tiny
    )
    assert near is not None
    assert near["near_tie"]
    short = difference(Generation("", "length", said.ids[:-1]), said, tiny)
    assert short is not None
    assert not short["near_tie"]


def test_rounding_is_bounded_by_the_number_format() -> None:
    from verify_equality import CLEAR, tolerance

    assert tolerance(20.0, 1e-5, torch.float32) == CLEAR
    assert tolerance(20.0, 100.0, torch.float32) == CLEAR
    assert tolerance(16.0, None, torch.bfloat16) == 0.125
    assert tolerance(16.0, 0.1, torch.bfloat16) == pytest.approx(0.2)
    assert tolerance(16.0, 100.0, torch.bfloat16) == 0.5
    assert tolerance(16.0, 0.7, torch.bfloat16, mixture=True) == 0.7
    assert tolerance(16.0, 100.0, torch.float32, mixture=True) == CLEAR


def test_what_fails_is_told_and_the_others_still_run(tmp_path: Path) -> None:
    from verify_gpu import Verification

    options = argparse.Namespace(
        model=str(tmp_path / "nothing"), image=[], device="cpu", dtype="fp32", budgets=None, batches=None,
        quick=True, json=tmp_path / "report.json",
    )  # fmt: skip
    Verification(options).run()
    report = json.loads((tmp_path / "report.json").read_text())
    sections = report["sections"]
    assert not report["ok"]
    assert [name for name, section in sections.items() if section["ok"]] == ["machine", "pictures"]
    assert "nothing" in sections["load"]["error"]
    assert sections["speed"]["error"] == "not run: the model could not be had"


def test_the_weights_of_a_step_are_counted(tiny: Checkpoint) -> None:
    from verify_roofline import Load

    load_of_tiny = Load.of(tiny)
    everything = sum(parameter.nbytes for parameter in tiny.model.model.language_model.parameters())
    assert load_of_tiny.bytes_read(1) == everything  # the embeddings are the head too
    mixture = Load.of(SimpleNamespace(model=build_network("26B-A4B", 300)))  # type: ignore[arg-type]
    assert mixture.chosen == pytest.approx(2 / 6)
    assert mixture.experts == 4 * 6 * 3 * 24 * 48
    dense = 4 * (mixture.every + mixture.last)
    assert mixture.bytes_read(1) == pytest.approx(dense + 4 * mixture.experts / 3)
    assert mixture.bytes_read(1000) == pytest.approx(dense + 4 * mixture.experts)
    shared = Load.of(SimpleNamespace(model=build_network("E2B", 300)))  # type: ignore[arg-type]
    assert shared.last > 300 * 48  # the layers with shared keys, and the head


def test_gpus_are_known_by_name() -> None:
    from verify_roofline import look_up

    assert look_up("NVIDIA H200") == (4.8e12, 989.4e12)
    assert look_up("NVIDIA H100 80GB HBM3") == (3.35e12, 989.4e12)
    assert look_up("NVIDIA A100-SXM4-80GB") == (2.039e12, 312e12)
    assert look_up("NVIDIA L4") == (300e9, 121e12)
    for other in ("NVIDIA L40", "NVIDIA A10G", "NVIDIA GH200 480GB", "NVIDIA GeForce RTX 4090 Laptop GPU", "cpu"):
        assert look_up(other) is None


def test_a_batch_that_cannot_fit_is_not_tried() -> None:
    from verify_speed import too_large

    assert too_large(2**30, 2**30) is None
    assert too_large(3 * 2**30, 2**30) == "it would take about 3.0 GiB beside the weights, and 1.0 GiB are free"
