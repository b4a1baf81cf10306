"""A file job that is killed, refused, or runs into trouble: nothing is lost, nothing is there twice."""

from __future__ import annotations

import json
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from streamer.annotation import AnnotateJob, AnnotateRun, Answered, Failed, Finished, Resumed, annotate
from streamer.errors import OutputError
from streamer.filejob import AnnotateOptions
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.outputs.jsonl import read_journal
from streamer.sampling import Sampling
from streamer.sources.synthetic import draw
from streamer.tasks import Task
from tests.annotating import says_the_numbers
from tests.media import even, make_clip, pictures

FEW, MANY = "jsonl,srt", "jsonl,srt,vtt,coco,mp4"
"""The many with chapters."""


def start(
    output: Path, gate: float, *files: Path, formats: str = FEW, room: int | None = None
) -> subprocess.Popen[str]:
    """``room``: bytes that a file may have, as a stand-in for a full disk."""

    def limit() -> None:
        if room is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    return subprocess.Popen(
        [sys.executable, "-m", "tests.annotating", str(output), str(gate), formats, *map(str, files)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=limit,
    )  # fmt: skip


def timeless(path: Path) -> bytes:
    """A journal's bytes without what was measured."""
    return re.sub(rb'"timings": \{[^}]*\}', b"", path.read_bytes())


def assert_whole(path: Path) -> None:
    """What has its final name is whole, whenever its job was killed."""
    if path.suffix == ".mp4":
        assert pictures(path)
    elif path.suffix == ".json":
        assert json.loads(path.read_text())["images"]
    elif path.suffix in (".srt", ".vtt"):
        assert path.read_text().endswith("\n")


def compare_folders(killed: Path, whole: Path) -> None:
    """The same files with the same bytes but for times; the video's pictures are compared, as its encoder's threads may
    differ."""
    names = [str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file()]
    assert sorted(str(path.relative_to(killed)) for path in killed.rglob("*") if path.is_file()) == sorted(names)
    for name in names:
        if name.endswith(".jsonl"):
            assert timeless(killed / name) == timeless(whole / name)
        elif name.endswith(".mp4"):
            assert [at for at, _ in pictures(killed / name)] == [at for at, _ in pictures(whole / name)]
        else:
            assert (killed / name).read_bytes() == (whole / name).read_bytes()


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two clips whose numbers stand still for a while."""
    folder = tmp_path_factory.mktemp("films")
    return [
        make_clip(folder / f"{name}.mp4", even(count), picture=lambda number, size: draw(number // 5, size))
        for name, count in (("first", 90), ("second", 60))
    ]


@pytest.mark.parametrize(("gate", "formats", "kills"), [(0.0, FEW, 13), (0.03, MANY, 7)])
def test_killed_again_and_again_it_comes_to_the_same_end(
    films: list[Path], tmp_path: Path, gate: float, formats: str, kills: int
) -> None:
    """At any moment from the first row to the last format."""
    whole, out = tmp_path / "whole", tmp_path / "killed"
    undisturbed = start(whole, gate, *films, formats=formats)
    assert undisturbed.stdout is not None
    undisturbed.stdout.readline()
    began = time.monotonic()
    assert undisturbed.wait(timeout=100) == 0, undisturbed.communicate()[1]
    lasts = time.monotonic() - began
    undisturbed.communicate()
    chance = random.Random(formats)
    killed = 0
    while killed < kills:
        process = start(out, gate, *films, formats=formats)
        assert process.stdout is not None
        process.stdout.readline()  # it is at work
        time.sleep(chance.uniform(0, 0.9 * lasts))
        process.kill()
        process.communicate()
        if process.returncode == -signal.SIGKILL:
            killed += 1
            for path in out.glob("[!.]*"):
                assert_whole(path)
        else:  # it was quicker, and all is there: again from the start
            compare_folders(out, whole)
            shutil.rmtree(out)
    last = start(out, gate, *films, formats=formats)
    told, err = last.communicate(timeout=100)
    assert last.returncode == 0, err
    assert told.splitlines()[-1] == "Finished"
    compare_folders(out, whole)


def counting() -> tuple[ScriptedModel, list[str]]:
    asked: list[str] = []

    def script(request: Request) -> str:
        asked.append(says_the_numbers(request))
        return asked[-1]

    return ScriptedModel(script), asked


def some(output: Path, clip: Path, rows: int, chosen: AnnotateOptions) -> None:
    """A run that was broken off behind so many rows."""
    list(AnnotateJob(str(clip), ScriptedModel(says_the_numbers), chosen, output=output))
    path = output / f"{clip.stem}.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: 1 + rows]) + lines[1 + rows][:20])  # a line that was cut off is no row


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", even(20))


PLAIN = AnnotateOptions(sampling=Sampling.every("0.2"), formats=("jsonl",))


@pytest.mark.parametrize(
    "chosen",
    [
        PLAIN,
        replace(PLAIN, sampling=Sampling.all()),
        replace(PLAIN, sampling=Sampling.every_nth(3).between("0.5", None)),
        replace(PLAIN, sampling=Sampling.key_frames()),
        replace(PLAIN, sampling=Sampling.at([0, "0.35", 1, "1.9"])),
        replace(PLAIN, tasks=(Task.caption(), Task.compare(frames=3))),
    ],
    ids=lambda chosen: str(chosen.sampling) + f", {len(chosen.tasks)} tasks",
)
@pytest.mark.parametrize("rows", [0, 1, 2])
def test_only_what_is_missing_is_asked_again(clip: Path, tmp_path: Path, chosen: AnnotateOptions, rows: int) -> None:
    some(tmp_path / "out", clip, rows, chosen)
    whole = list(AnnotateJob(str(clip), ScriptedModel(says_the_numbers), chosen))
    model, asked = counting()
    job = AnnotateJob(str(clip), model, chosen, output=tmp_path / "out")
    new = list(job)
    assert [replace(result, timings=whole[0].timings) for result in (*job.known, *new)] == [
        replace(result, timings=whole[0].timings) for result in whole
    ]
    assert len(job.known) == rows
    assert len(asked) == sum(len(result.answers) for result in new)
    assert (job.summary.frames, job.summary.resumed, job.summary.answered) == (len(whole), rows, len(new))


def test_a_finished_job_asks_nothing_and_writes_what_is_missing(clip: Path, tmp_path: Path) -> None:
    list(AnnotateJob(str(clip), ScriptedModel(says_the_numbers), PLAIN, output=tmp_path / "out"))
    before = (tmp_path / "out" / "clip.jsonl").read_bytes()
    model, asked = counting()
    job = AnnotateJob(str(clip), model, replace(PLAIN, formats=("jsonl", "srt")), output=tmp_path / "out")
    assert list(job) == []
    assert (asked, len(job.known)) == ([], 10)
    assert (tmp_path / "out" / "clip.jsonl").read_bytes() == before
    assert "-->" in (tmp_path / "out" / "clip.srt").read_text()


def test_chapters_are_made_once_and_also_later(clip: Path, tmp_path: Path) -> None:
    """Each of a sentence about pictures of its own stretch."""

    def script(request: Request) -> str:
        numbers = says_the_numbers(request)
        if "one part of a video" in request.prompt:
            return f"From {numbers}."
        return "a quiet street" if int(numbers) < 12 else "two dogs play"

    list(AnnotateJob(str(clip), ScriptedModel(script), PLAIN, output=tmp_path / "out"))
    chosen = replace(PLAIN, summary=True, formats=("jsonl", "vtt"))
    job = AnnotateJob(str(clip), ScriptedModel(script), chosen, output=tmp_path / "out")
    assert list(job) == []
    assert [segment.text for segment in job.summary.segments] == ["From 0 6 12 18."]  # 2 s are too short for two
    rows = list(read_journal(tmp_path / "out" / "clip.jsonl"))
    assert [row["type"] for row in rows] == ["job", *["frame"] * 10, "segment", "end"]
    *_, times, said = (tmp_path / "out" / "clip.chapters.vtt").read_text().splitlines()
    assert times.startswith("00:00:00.000 --> 00:00:01.9")
    assert said == "From 0 6 12 18."
    before = (tmp_path / "out" / "clip.jsonl").read_bytes()
    model, asked = counting()
    again = AnnotateJob(str(clip), model, chosen, output=tmp_path / "out")
    assert (list(again), asked, len(again.summary.segments)) == ([], [], 1)
    assert (tmp_path / "out" / "clip.jsonl").read_bytes() == before


def test_a_chapter_is_from_its_own_stretch(tmp_path: Path) -> None:
    def script(request: Request) -> str:
        numbers = says_the_numbers(request)
        return f"From {numbers}." if "one part" in request.prompt else ("street" if int(numbers) < 60 else "park")

    long = make_clip(tmp_path / "long.mp4", even(130))
    chosen = replace(PLAIN, sampling=Sampling.every(1), summary=True)
    job = AnnotateJob(str(long), ScriptedModel(script), chosen)
    assert len(list(job)) == 13
    first, second = job.summary.segments
    assert (first.start_seconds, first.end_seconds, first.text) == (0.0, 6.0, "From 0 20 30 50.")
    assert (second.start_seconds, second.text) == (6.0, "From 60 80 100 120.")
    assert second.end_seconds == pytest.approx(13, abs=0.1)


def test_the_last_chapter_ends_where_the_job_was_to_end(tmp_path: Path) -> None:
    """``--from 2 --to 10`` of 13 seconds: neither from the start nor to the file's end."""
    long = make_clip(tmp_path / "long.mp4", even(130))
    sampling = replace(Sampling.every(1), start=Fraction(2), end=Fraction(10))
    chosen = replace(PLAIN, sampling=sampling, summary=True, formats=("jsonl", "vtt"))
    script = ScriptedModel(lambda request: "street")
    job = AnnotateJob(str(long), script, chosen, output=tmp_path / "out")
    assert [result.time_seconds for result in job] == [*range(2, 10)]
    [segment] = job.summary.segments
    assert (segment.start_seconds, segment.end_seconds) == (2.0, 10.0)
    assert "00:00:02.000 --> 00:00:10.000" in (tmp_path / "out" / "long.chapters.vtt").read_text()


def test_the_library_gives_earlier_answers_first(clip: Path, tmp_path: Path) -> None:
    some(tmp_path / "out", clip, 4, PLAIN)
    model, asked = counting()
    results = list(annotate(str(clip), model, sampling="every 0.2 s", output=tmp_path / "out", formats=("jsonl",)))
    assert [result.sequence for result in results] == list(range(10))
    assert len(asked) == 6
    again = list(annotate(str(clip), model, sampling="every 0.2 s", output=tmp_path / "out", formats=("jsonl",)))
    assert [result.caption for result in again] == [result.caption for result in results]
    assert len(asked) == 6


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"budget": 70}, "budget was 280 and is 70"),
        ({"tasks": (Task.caption("Say more."),)}, "tasks was"),
        ({"sampling": Sampling.every(1)}, 'sampling was "every 0.2 s" and is "every 1 s"'),
        ({"gate": 0.1}, "gate was 0.0 and is 0.1"),
        ({"box_grid": 1024}, "box_grid was 1000 and is 1024"),
    ],
)
def test_a_changed_setting_is_refused(clip: Path, tmp_path: Path, change: dict[str, Any], words: str) -> None:
    some(tmp_path / "out", clip, 3, PLAIN)
    before = (tmp_path / "out" / "clip.jsonl").read_bytes()
    model, asked = counting()
    with pytest.raises(OutputError) as caught:
        list(AnnotateJob(str(clip), model, replace(PLAIN, **change), output=tmp_path / "out"))
    assert words in str(caught.value)
    assert "--restart" in str(caught.value)
    assert (tmp_path / "out" / "clip.jsonl").read_bytes() == before
    assert asked == []
    anew = AnnotateJob(str(clip), model, replace(PLAIN, restart=True, **change), output=tmp_path / "out")
    assert len(list(anew)) == anew.summary.frames
    assert anew.known == []


def test_a_changed_file_and_another_model_are_refused(clip: Path, tmp_path: Path) -> None:
    some(tmp_path / "out", clip, 3, PLAIN)
    with pytest.raises(OutputError, match='model was "scripted" and is "other"'):
        list(AnnotateJob(str(clip), ScriptedModel(name="other"), PLAIN, output=tmp_path / "out"))
    make_clip(clip, even(21))
    with pytest.raises(OutputError, match="the file has changed since"):
        list(AnnotateJob(str(clip), ScriptedModel(), PLAIN, output=tmp_path / "out"))


def test_a_file_that_was_moved_is_the_same(clip: Path, tmp_path: Path) -> None:
    some(tmp_path / "out", clip, 3, PLAIN)
    (tmp_path / "elsewhere").mkdir()
    moved = Path(shutil.move(clip, tmp_path / "elsewhere" / "clip.mp4"))
    job = AnnotateJob(str(moved), ScriptedModel(says_the_numbers), PLAIN, output=tmp_path / "out")
    assert len(list(job)) == 7


@pytest.mark.parametrize("damage", ["no json", '{"type": "frame"}', "[1]"])
def test_what_is_no_journal_is_left_alone(clip: Path, tmp_path: Path, damage: str) -> None:
    (tmp_path / "clip.jsonl").write_text(damage + "\n")
    with pytest.raises(OutputError, match="journal"):
        list(AnnotateJob(str(clip), ScriptedModel(), PLAIN, output=tmp_path))
    assert (tmp_path / "clip.jsonl").read_text() == damage + "\n"


def test_a_row_that_is_missing_in_the_middle_is_noticed(clip: Path, tmp_path: Path) -> None:
    some(tmp_path / "out", clip, 5, PLAIN)
    path = tmp_path / "out" / "clip.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    with pytest.raises(OutputError, match="row 1 is missing"):
        list(AnnotateJob(str(clip), ScriptedModel(), PLAIN, output=tmp_path / "out"))


def test_two_jobs_on_one_output(clip: Path, tmp_path: Path) -> None:
    first = iter(AnnotateJob(str(clip), ScriptedModel(), PLAIN, output=tmp_path / "out"))
    next(first)
    with pytest.raises(OutputError, match="another job is writing it"):
        list(AnnotateJob(str(clip), ScriptedModel(), PLAIN, output=tmp_path / "out"))
    assert len(list(first)) == 9
    assert [row["type"] for row in read_journal(tmp_path / "out" / "clip.jsonl")] == ["job", *["frame"] * 10, "end"]


def test_a_full_disk_loses_nothing(films: list[Path], tmp_path: Path) -> None:
    process = start(tmp_path / "out", 0.0, *films, room=9_000)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.splitlines().count("Failed") == 2
    for name in ("first", "second"):
        assert 2 <= len(list(read_journal(tmp_path / "out" / f"{name}.jsonl"))) < 30
    process = start(tmp_path / "out", 0.0, *films)
    out, err = process.communicate(timeout=60)
    assert "Failed" not in out, err
    whole = start(tmp_path / "whole", 0.0, *films)
    whole.communicate(timeout=60)
    for name in ("first", "second"):
        assert timeless(tmp_path / "out" / f"{name}.jsonl") == timeless(tmp_path / "whole" / f"{name}.jsonl")


def events(files: list[Path], output: Path, chosen: AnnotateOptions = PLAIN) -> Iterator[str]:
    named = [(str(path), path.stem) for path in files]
    for event in AnnotateRun(named, ScriptedModel(says_the_numbers), chosen, output=output):
        match event:
            case Answered(summary=summary):
                yield f"{Path(summary.source).stem} answered"
            case Resumed(summary=summary):
                yield f"{Path(summary.source).stem} resumed"
            case Finished(summary=summary):
                yield f"{Path(summary.source).stem} finished"
            case Failed(address=address, error=error):
                yield f"{Path(address).stem} failed: {error}"


def test_a_file_that_vanishes_does_not_stop_the_others(films: list[Path], tmp_path: Path) -> None:
    there = [Path(shutil.copy(film, tmp_path / film.name)) for film in films]
    gone = tmp_path / "gone.mp4"
    said = list(events([there[0], gone, there[1]], tmp_path / "out"))
    assert next(line for line in said if "answered" not in line).startswith("gone failed:")
    assert said.count("first answered") == 45
    assert said.count("second answered") == 30
    assert {"first finished", "second finished"} <= set(said)


def test_a_folder_that_becomes_unwritable_is_said_a_file(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "clip.jsonl").mkdir()
    [said] = events([clip], tmp_path / "out")
    assert said.startswith("clip failed:")
    assert "clip.jsonl: it cannot be written" in said


def test_files_of_a_frame_share_the_models_batches(tmp_path: Path) -> None:
    """Many short files are no slower than a long one."""
    calls: list[int] = []

    class Model(ScriptedModel):
        def generate(self, requests: Any) -> Any:
            calls.append(len(requests))
            return super().generate(requests)

    films = [make_clip(tmp_path / f"{number}.mp4", even(3)) for number in range(12)]
    chosen = replace(PLAIN, sampling=Sampling.every(1), workers=4)
    named = [(str(path), path.stem) for path in films]
    answered = [event for event in AnnotateRun(named, Model(), chosen) if isinstance(event, Answered)]
    assert len(answered) == 12
    assert [event.summary.source for event in answered] == [str(path) for path in films]
    assert max(calls) >= 4
