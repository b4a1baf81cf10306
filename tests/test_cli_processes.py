"""Commands in processes of their own: Ctrl-C, pipes that close, disks that are full."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from streamer.client import Client
from streamer.outputs.jsonl import read_journal
from streamer.server.protocol import Result
from tests.commands import end, next_frame, start
from tests.families import build
from tests.media import even, make_clip

TINY = Path(__file__).parents[1] / "streamer" / "gemma" / "tiny" / "model.safetensors"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("E2B", tmp_path_factory.mktemp("model") / "my-e2b")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", even(20))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.new("RGB", (320, 180), (90, 120, 90)).save(tmp_path / "street.png")
    return tmp_path / "street.png"


def test_ctrl_c_while_the_program_itself_is_loaded(tmp_path: Path) -> None:
    """The hook interrupts the import of the first heavy module, at whatever moment that comes."""
    (tmp_path / "rich").mkdir()
    (tmp_path / "rich" / "__init__.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    done = subprocess.run(
        [sys.executable, "-m", "streamer", "doctor"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(TINY.parents[3])])},
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_watch_in_time(model: Path, clip: Path, number: signal.Signals) -> None:
    process = start("watch", clip, "--loop", "--port", 0, "--no-history", "--model", model, "--budget", 70, "--fps", 30)
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("page: ").strip()
    with Client(url) as client:
        result = next(message for message in client if isinstance(message, Result))
        assert (result.stream, result.model) == ("clip.mp4", "my-e2b")
        seconds, said = end(process, number)
    assert process.returncode == 130, said
    assert seconds < 3
    assert "Traceback" not in said


def test_watch_says_on_the_terminal_what_gives_no_pictures(model: Path, clip: Path, clips: Path) -> None:
    sound = clips / "audio_only.m4a"
    process = start("watch", clip, sound, "--loop", "--port", 0, "--no-history", "--model", model, "--budget", 70)
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("page: ").strip()
    with Client(url) as client:
        next(message for message in client if isinstance(message, Result))
        time.sleep(1)
        _, said = end(process, signal.SIGINT)
    assert said.count("audio_only.m4a failed:") == 1
    assert "only audio" in said


def test_ctrl_c_leaves_a_journal_of_whole_lines_and_no_video(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    source = "synthetic:?seconds=3600&size=160x96"
    process = start("annotate", source, "-o", out, "--every", "0.1s", "--model", model, "--budget", 70, "--json")
    assert process.stdout is not None
    for _ in range(5):
        assert next_frame(process)["type"] == "frame"
    seconds, said = end(process, signal.SIGINT)
    assert (process.returncode, "Traceback" in said) == (130, False), said
    assert seconds < 3
    [name] = os.listdir(out)
    assert name == "synthetic.jsonl"
    assert (out / name).read_bytes().endswith(b"\n")
    rows = list(read_journal(out / name))
    assert [row["type"] for row in rows] == ["job"] + ["frame"] * (len(rows) - 1)
    assert len(rows) >= 6
    # Rows are written on another thread: some more may come after the last one that was told of.
    counts = range(len(rows))
    assert any(f"note: stopped after {count} frames of {source}; they are kept" in said for count in counts), said


def test_a_reader_that_goes_away_is_no_traceback(model: Path, tmp_path: Path) -> None:
    source = "synthetic:?seconds=3600&size=160x96"
    process = start("annotate", source, "-o", tmp_path, "--every", "0.1s", "--model", model, "--budget", 70, "--json")
    assert process.stdout is not None
    assert next_frame(process)["sequence"] == 0
    process.stdout.close()
    _, said = process.communicate(timeout=20)
    assert (process.returncode, "Traceback" in said, "Exception" in said) == (1, False, False), said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
@pytest.mark.parametrize("words", [["doctor"], ["doctor", "--json"]])
def test_a_full_disk_behind_standard_output_is_no_traceback(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "streamer", *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert (done.returncode, done.stderr) == (1, "error: [Errno 28] No space left on device\n")


@pytest.mark.skipif(not TINY.is_file(), reason="the embedded checkpoint is not trained yet")
def test_the_demo_shows_captions() -> None:
    process = start("demo", "--no-browser", "--port", 0)
    assert process.stdout is not None
    with Client(process.stdout.readline().removeprefix("page: ").strip()) as client:
        result = next(message for message in client if isinstance(message, Result))
        assert (result.stream, result.model) == ("street.mp4", "tiny")
        seconds, said = end(process, signal.SIGINT)
    assert process.returncode == 130, said
    assert seconds < 3
    assert "note: tiny knows only drawn street scenes" in said
