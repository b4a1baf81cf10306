"""Files that somebody else has made stay what they are, whatever a job is called to write."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from streamer.annotation import AnnotateJob
from streamer.errors import OutputError
from streamer.exporting import export
from streamer.filejob import AnnotateOptions
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.sampling import Sampling
from streamer.tasks import Task
from tests.annotating import says_the_numbers
from tests.media import even, make_clip

ALL = ("jsonl", "mp4", "srt", "vtt", "csv", "coco", "cvat", "label-studio", "yolo", "voc")
OPTIONS = AnnotateOptions((Task.caption(), Task.detect("even")), Sampling.every("0.5"), formats=ALL)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", even(20))


def run(clip: Path, out: Path, options: AnnotateOptions = OPTIONS) -> AnnotateJob:
    job = AnnotateJob(str(clip), ScriptedModel(says_the_numbers), options, output=out)
    list(job)
    return job


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize(
    "name",
    ["clip.srt", "clip.annotated.mp4", "clip.chapters.vtt", "clip.label-studio.xml", "clip.frames/my.png",
     "clip.voc/JPEGImages/my.jpg", "clip.yolo/data.yaml", "clip.detections.csv"],
)  # fmt: skip
def test_a_job_without_a_journal_refuses_what_is_there(clip: Path, tmp_path: Path, name: str, restart: bool) -> None:
    asked: list[Request] = []
    model = ScriptedModel(lambda request: asked.append(request) or ".")  # type: ignore[func-returns-value]
    out = tmp_path / "out"
    (out / name).parent.mkdir(parents=True)
    (out / name).write_text("mine")
    with pytest.raises(OutputError, match=rf"{out / name.split('/')[0]}: it exists already.*move it away"):
        list(AnnotateJob(str(clip), model, replace(OPTIONS, restart=restart), output=out))
    assert (asked, contents(out)) == ([], {name: b"mine"})


def test_what_is_not_going_to_be_written_is_in_nobodys_way(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "clip.srt").write_text("mine")
    run(clip, tmp_path / "out", replace(OPTIONS, formats=("jsonl", "csv")))
    assert (tmp_path / "out" / "clip.srt").read_text() == "mine"


def test_a_folder_with_files_of_others_is_not_replaced(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(clip, out)
    run(clip, out, replace(OPTIONS, restart=True))
    (out / "clip.yolo" / "labels" / "mine.txt").write_text("mine")
    before = contents(out)
    for attempt in (
        lambda: run(clip, out, replace(OPTIONS, restart=True)),
        lambda: export(out / "clip.jsonl", ["yolo"]),
        lambda: export(out / "clip.jsonl", ["yolo"], overwrite=True),
    ):
        with pytest.raises(OutputError, match=r"clip\.yolo: labels/mine\.txt in it was not written by streamer"):
            attempt()
        assert contents(out) == before
    assert export(out / "clip.jsonl", ["voc"]) == [out / "clip.voc"]


def test_another_folders_files_are_overwritten_only_where_that_is_said(clip: Path, tmp_path: Path) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    run(clip, out, replace(OPTIONS, formats=("jsonl",)))
    other.mkdir()
    (other / "clip.csv").write_text("mine")
    with pytest.raises(OutputError, match=r"other/clip\.csv: it exists already.*add --overwrite"):
        export(out / "clip.jsonl", ["srt", "csv"], output=other)
    assert os.listdir(other) == ["clip.csv"]
    assert len(export(out / "clip.jsonl", ["srt", "csv"], output=other, overwrite=True)) == 3
    assert (other / "clip.csv").read_text() != "mine"
    assert export(out / "clip.jsonl", ["csv"]) == export(out / "clip.jsonl", ["csv"], output=out)


def test_what_a_killed_run_has_left_is_removed(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    gone, runs = 2**22 + 1, 1  # no system has as many processes, and each has the first
    for name in (f".clip.annotated.{gone}.part.mp4", f".clip.{gone}.part.srt", f".clip.{runs}.part.csv", ".clip.part"):
        (out / name).write_text("half")
    for name in (f".clip.frames.{gone}.part", f".clip.yolo.{gone}.old", f".else.yolo.{gone}.old"):
        (out / name).mkdir()
        (out / name / "a.txt").write_text("half")
    run(clip, out)
    left = sorted(name for name in os.listdir(out) if name.startswith("."))
    assert left == sorted([f".clip.{runs}.part.csv", ".clip.part", f".else.yolo.{gone}.old"])


def test_a_restart_says_what_is_left_of_the_job_before(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(clip, out, replace(OPTIONS, formats=("jsonl", "srt", "yolo", "coco")))
    job = run(clip, out, replace(OPTIONS, formats=("jsonl", "coco"), restart=True))
    assert sorted(path.name for path in job.summary.left) == ["clip.srt", "clip.yolo"]


def test_a_finished_job_writes_only_what_is_not_there(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(clip, out, replace(OPTIONS, formats=("jsonl", "srt", "coco")))
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    job = run(clip, out, replace(OPTIONS, formats=("jsonl", "srt", "coco", "csv")))
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [path.name for path in job.summary.files] == ["clip.jsonl", "clip.csv", "clip.detections.csv"]
    assert {path.name for path in job.summary.there_already} == {"clip.srt", "clip.coco.json", "clip.frames"}
    assert job.summary.outstanding == ["csv"]
    os.utime(out / "clip.srt", (0, 0))
    assert run(clip, out, replace(OPTIONS, formats=("jsonl", "srt"))).summary.outstanding == ["srt"]
