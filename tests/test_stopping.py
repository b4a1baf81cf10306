"""A file job that is told to stop: in time, with the same words for one file and for several, and it goes on later."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streamer.annotation import AnnotateRun, Answered
from streamer.filejob import AnnotateOptions
from streamer.models.scripted import ScriptedModel
from streamer.outputs.jsonl import read_journal
from streamer.sampling import Sampling
from tests.annotating import says_the_numbers
from tests.media import even, make_clip

IN_TIME_SECONDS = 3.0
ROWS = 14


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("films")
    return [make_clip(folder / f"{name}.mp4", even(ROWS)) for name in ("first", "second")]


def start(films: list[Path], out: Path, *more: str) -> subprocess.Popen[str]:
    """The command in a process of its own, which hears Ctrl-C even where this one does not."""
    words = ["--model", "tiny", "--budget", "70", "--every", "all", "--batch", "1", "--formats", "jsonl,srt"]
    return subprocess.Popen(
        [sys.executable, "-m", "streamer", "annotate", *map(str, films), "-o", str(out), *words, "--json", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_for_frames(process: subprocess.Popen[str], count: int) -> None:
    assert process.stdout is not None
    rows = (json.loads(line) for line in iter(process.stdout.readline, ""))
    for _ in range(count):
        next(row for row in rows if row["type"] == "frame")


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGINT, 2), (signal.SIGTERM, 1)])
def test_a_signal_ends_a_job_over_two_files_in_time(
    films: list[Path], tmp_path: Path, number: signal.Signals, workers: int
) -> None:
    process = start(films, tmp_path, "--workers", str(workers))
    wait_for_frames(process, 3)
    began = time.monotonic()
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    assert time.monotonic() - began < IN_TIME_SECONDS
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert f"frames of {films[0]}; they are kept, and started again the job goes on from there" in said
    assert [row["type"] for row in read_journal(tmp_path / "first.jsonl")].count("frame") >= 3


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_it_and_the_same_command_goes_on(films: list[Path], tmp_path: Path) -> None:
    process = start(films, tmp_path)
    assert process.stdout is not None
    wait_for_frames(process, 1)
    process.stdout.close()
    _, said = process.communicate(timeout=20)  # it is noticed at the next answer, however long that takes
    assert (process.returncode, "Traceback" in said) == (1, False), said
    before = len(list(read_journal(tmp_path / "first.jsonl"))) - 1
    assert 1 <= before < ROWS
    again = start(films, tmp_path)
    out, said = again.communicate(timeout=90)
    assert again.returncode == 0, said
    rows = [json.loads(line) for line in out.splitlines()]
    [resumed] = [row for row in rows if row["type"] == "resumed" and row["source"] == str(films[0])]
    assert resumed["frames"] == before
    for name in ("first", "second"):
        kinds = [row["type"] for row in read_journal(tmp_path / f"{name}.jsonl")]
        assert kinds == ["job", *["frame"] * ROWS, "end"]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("answers", [0, 1, 7, ROWS + 2])
def test_whoever_leaves_midway_leaves_no_thread_and_no_lock(
    films: list[Path], tmp_path: Path, workers: int, answers: int
) -> None:
    options = AnnotateOptions(sampling=Sampling.all(), batch=2, formats=("jsonl",), workers=workers)
    files = [(str(film), film.stem) for film in (*films, films[0])]
    model = ScriptedModel(says_the_numbers, seconds=0.002)
    run = iter(AnnotateRun([*files[:2], (files[2][0], "third")], model, options, output=tmp_path))
    for _ in range(answers):
        next(event for event in run if isinstance(event, Answered))
    began = time.monotonic()
    run.close()
    assert time.monotonic() - began < IN_TIME_SECONDS
    again = AnnotateRun([*files[:2], (files[2][0], "third")], model, options, output=tmp_path)
    assert sum(isinstance(event, Answered) for event in again) <= 3 * ROWS - answers
    for name in ("first", "second", "third"):
        assert [row["type"] for row in read_journal(tmp_path / f"{name}.jsonl")].count("frame") == ROWS
