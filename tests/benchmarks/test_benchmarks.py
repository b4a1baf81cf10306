"""The benchmarks run, and say what they measured in a form that other programs read."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def run(script: str, *arguments: str) -> dict[str, Any]:
    """The object that ``script`` prints."""
    command = [sys.executable, str(BENCHMARKS / script), "--quick", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert isinstance(printed, dict)
    assert {"benchmark", "machine", "versions", "notes", "rows"} <= set(printed)
    assert {"processor", "cores", "memory_gib"} <= set(printed["machine"])
    return printed


def test_decode(tmp_path: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("the ffmpeg command, one of the peers, is not installed")
    printed = run("decode.py", "--clips", str(tmp_path))
    assert {"streamer", "av", "opencv", "torchcodec", "decord", "ffmpeg"} <= set(printed["versions"])
    rows = printed["rows"]
    assert {row["tool"] for row in rows} == {"streamer", "OpenCV", "torchcodec", "decord", "ffmpeg"}
    ours = [row for row in rows if row["tool"] == "streamer"]
    assert [(row["gop"], row["rate"], row["pictures"]) for row in ours] == [
        (30, 0.5, 2),
        (30, 5.0, 20),
        (30, 30.0, 120),
    ]
    for row in ours:
        assert row["wrong"] == 0
        assert row["identical"] == row["pictures"]
        assert row["seconds"] > 0
        assert row["ratio"] > 0
    for row in rows:
        assert row["pictures"] != "-" or row["way"].startswith("absent: ")


@pytest.mark.slow
def test_memory() -> None:
    rows = run("memory.py")["rows"]
    assert [row["frames"] for row in rows] == list(range(2, 21, 2))
    assert all(row["MiB"] > 50 for row in rows)


@pytest.mark.slow
def test_engine() -> None:
    rows = run("engine.py", "--tasks", "caption", "--without-e2b")["rows"]
    ways = {row["way"] for row in rows}
    assert {"pipeline", "generate", "engine, no drafts", "+ form", "+ last answer", "+ gate", "file job"} <= ways
    assert {"engine, batch 8", "engine, one by one", "generate, batch 8"} <= ways
    for row in rows:
        assert row["frames/s"] > 0
        if "gate" not in row["way"]:  # which answers with an earlier frame's words where little has changed
            assert row["same"] == "yes", row


@pytest.mark.slow
def test_quantise() -> None:
    rows = run("quantise.py", "--without-e2b")["rows"]
    of = {(row["of"], row["layers"]): row for row in rows}
    assert {of_ for of_, _ in of} == {
        "published E2B", "1536 x 6144, float32, 1 row", "1536 x 6144, bfloat16, 1 row", "tiny", "small E2B",
    }  # fmt: skip
    for model in ("tiny", "small E2B"):
        full, eight, four = (of[model, layers] for layers in ("as it is", "int8", "int4"))
        assert full["MB"] > eight["MB"] > four["MB"]
        assert full["max off"] == 0 < eight["max off"] < four["max off"]
        assert full["same answers"] == "1 of 1"
        assert all(row["ms"] > 0 for row in (full, eight, four))
    assert of["tiny", "int8"]["1 - cosine"] < 0.001 < of["tiny", "int4"]["1 - cosine"] < 0.05
    assert of["published E2B", "int4"]["MB"] < of["published E2B", "bf16"]["MB"] < 10_200


@pytest.mark.slow
def test_gating(tmp_path: Path) -> None:
    shutil.copy(BENCHMARKS.parent / "sample_videos" / "signs.mp4", tmp_path / "clip.mp4")
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    rows = {row["pictures"]: row for row in run("gating.py", "--clips", str(tmp_path))["rows"]}
    assert rows["the same: night.mp4 a second apart"]["analysed"].startswith("0 of ")
    assert rows["changed: street.mp4 a second apart"]["analysed"] == "25 of 25"
    assert rows["the same: fresh noise, sigma 16"]["largest"] < 0.03
    assert rows["night.mp4, 1 a second"]["analysed"] == "11 of 30"
    assert rows["clip.mp4, 2 a second"]["analysed"] == "6 of 48"
    assert "broken.mp4, 1 a second" not in rows
    assert rows["a look of the gate, 528 x 288"]["x absdiff"] > 1
