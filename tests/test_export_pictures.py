"""Formats from a journal and its video: the right one, a moved one, another one, a broken one, none."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import av
import pytest

from streamer.annotation import AnnotateJob
from streamer.errors import SourceError
from streamer.exporting import export, read_annotations
from streamer.filejob import AnnotateOptions
from streamer.models.base import Generation, Request
from streamer.models.scripted import ScriptedModel
from streamer.outputs.jsonl import read_journal
from streamer.sampling import Sampling
from streamer.tasks import Task
from tests.annotating import says_the_numbers
from tests.media import even, ffmpeg, make_clip

BOXES = '[{"box_2d": [100, 100, 500, 600], "label": "%s"}]'
WITHOUT_PICTURES = ["clip.coco.json", "clip.cvat-video.xml", "clip.label-studio.json", "clip.label-studio.xml"]


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    clip = make_clip(tmp_path / "clip.mp4", even(30))
    options = AnnotateOptions((Task.caption(), Task.detect("even")), formats=("jsonl",))
    list(AnnotateJob(str(clip), ScriptedModel(says_the_numbers), options, output=tmp_path / "out"))
    return tmp_path / "out" / "clip.jsonl"


def test_another_video_in_its_place_is_refused(journal: Path, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", even(31))
    for source in (None, str(clip)):
        for name in ("yolo", "mp4", "cvat"):
            with pytest.raises(SourceError, match=r"clip\.mp4: it is another file than .* --source"):
                export(journal, [name], source=source)
    assert not (tmp_path / "out" / "clip.yolo").exists()
    assert export(journal, ["csv", "srt"], track="boxes") == [
        tmp_path / "out" / name for name in ("clip.csv", "clip.detections.csv", "clip.srt")
    ]


def test_without_the_video_all_that_needs_no_picture_is_written(
    journal: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "clip.mp4").unlink()
    with caplog.at_level(logging.WARNING), pytest.raises(SourceError) as caught:
        export(journal, ["coco", "cvat", "label-studio", "yolo", "mp4", "srt"])
    said = str(caught.value)
    assert "there is no such file or folder; so there is no clip.frames/, clip.cvat-images.xml" in said
    for missing in ("clip.label-studio-images.json", "clip.yolo", "clip.annotated.mp4"):
        assert missing in said
    assert "--source" in said
    assert caplog.records == []
    assert sorted(os.listdir(journal.parent)) == sorted(["clip.jsonl", "clip.srt", *WITHOUT_PICTURES])
    names = [image["file_name"] for image in json.loads((journal.parent / "clip.coco.json").read_text())["images"]]
    assert names == ["clip.frames/000000.jpg", "clip.frames/000010.jpg", "clip.frames/000020.jpg"]


def test_what_lies_behind_the_last_picture_wanted_does_not_matter(clips: Path, tmp_path: Path) -> None:
    name = "truncated_faststart"
    options = AnnotateOptions((Task.detect("thing"),), Sampling.every("0.25"), formats=("yolo", "coco"))
    job = AnnotateJob(str(clips / f"{name}.mp4"), ScriptedModel(lambda request: "[]"), options, output=tmp_path)
    assert len(list(job)) >= 3
    assert job.summary.fault is not None
    assert len(list((tmp_path / f"{name}.yolo" / "images").iterdir())) == job.summary.frames


@pytest.mark.parametrize("where", ["address", "path", "beside"])
def test_a_relative_source_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    (tmp_path / "in").mkdir()
    make_clip(tmp_path / "in" / "clip.mp4", even(30))
    monkeypatch.chdir(tmp_path)
    options = AnnotateOptions((Task.detect("even"),), formats=("jsonl",))
    list(AnnotateJob("in/clip.mp4", ScriptedModel(says_the_numbers), options, output=tmp_path / "out"))
    row = next(read_journal(tmp_path / "out" / "clip.jsonl"))
    assert row["source"]["path"] == str((tmp_path / "in" / "clip.mp4").resolve())
    if where != "address":
        (tmp_path / "else").mkdir()
        monkeypatch.chdir(tmp_path / "else")
    if where == "beside":
        shutil.move(tmp_path / "in" / "clip.mp4", tmp_path / "out" / "clip.mp4")
    assert [path.name for path in export(tmp_path / "out" / "clip.jsonl", ["yolo"])] == ["clip.yolo"]


def classes(folder: Path) -> list[str]:
    lines = (folder / "clip.yolo" / "data.yaml").read_text().splitlines()
    return [line.split(": ")[1].strip('"') for line in lines[lines.index("names:") + 1 :]]


@pytest.mark.parametrize(
    ("tasks", "said", "expected"),
    [
        ((Task.detect("zebra, car, ant"),), "car", ["zebra", "car", "ant"]),
        ((Task.detect("zebra, car"),), "bus", ["zebra", "car", "bus"]),
        ((Task.detect("all"),), "bus", ["bus"]),
    ],
)
def test_classes_are_the_list_that_was_asked_for(
    tmp_path: Path, tasks: tuple[Task, ...], said: str, expected: Sequence[str]
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", even(10))
    options = AnnotateOptions(tasks, formats=("yolo", "coco", "voc"))
    list(AnnotateJob(str(clip), ScriptedModel(lambda request: BOXES % said), options, output=tmp_path / "out"))
    assert classes(tmp_path / "out") == expected
    assert json.loads((tmp_path / "out" / "clip.coco.json").read_text())["categories"] == [
        {"id": number, "name": name, "supercategory": ""} for number, name in enumerate(expected, 1)
    ]
    assert (tmp_path / "out" / "clip.voc" / "labelmap.txt").read_text().split(":::\n")[:-1] == expected
    [label] = (tmp_path / "out" / "clip.yolo" / "labels" / "000000.txt").read_text().splitlines()
    assert label.split()[0] == str(expected.index(said))


class CutOff(ScriptedModel):
    """Its lists of boxes end in the middle wherever the number in the picture is odd."""

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        def cut(answer: Generation, request: Request) -> Generation:
            number = int(says_the_numbers(Request(request.images, "say", request.budget)))
            if number % 20 == 0:
                return answer
            return Generation('[{"box_2d": [1, 2,', "length", output_tokens=answer.output_tokens)

        return [cut(answer, one) for answer, one in zip(super().generate(requests), requests, strict=True)]


def test_an_answer_that_was_cut_off_is_not_nothing(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", even(30))
    options = AnnotateOptions((Task.detect("even"),), formats=("yolo", "coco", "csv"))
    job = AnnotateJob(str(clip), CutOff(lambda request: BOXES % "even"), options, output=tmp_path / "out")
    assert [bool(result.notes) for result in job] == [False, True, False]
    assert (job.summary.incomplete, job.summary.failed) == (1, 0)
    names = sorted(path.name for path in (tmp_path / "out" / "clip.yolo" / "labels").iterdir())
    assert names == ["000000.txt", "000020.txt"]
    assert len(json.loads((tmp_path / "out" / "clip.coco.json").read_text())["images"]) == 2
    assert "cut off" in (tmp_path / "out" / "clip.csv").read_text().splitlines()[2]
    annotations, _ = read_annotations(tmp_path / "out" / "clip.jsonl")
    assert (len(annotations.results), len(annotations.good)) == (3, 2)


def test_captions_stand_beside_the_original_where_its_pictures_begin_late(tmp_path: Path) -> None:
    silent = make_clip(tmp_path / "silent.mp4", even(30))
    late = tmp_path / "late.mp4"
    sound = ("-f", "lavfi", "-i", "sine=440:duration=4")
    ffmpeg(*sound, "-itsoffset", "1", "-i", str(silent), "-map", "1:v", "-map", "0:a", "-c:v", "copy", "-c:a", "aac",
           str(late))  # fmt: skip
    model = ScriptedModel(says_the_numbers)
    model.caveat = None  # it would stand in the subtitles
    options = AnnotateOptions((Task.caption(), Task.detect("even")), formats=("srt", "vtt", "mp4", "coco"))
    results = list(AnnotateJob(str(late), model, options, output=tmp_path / "out"))
    assert [(result.time_seconds, result.caption) for result in results] == [(0.0, "0"), (1.0, "10"), (2.0, "20")]
    row = next(read_journal(tmp_path / "out" / "late.jsonl"))
    assert row["source"]["start_seconds"] == pytest.approx(1, abs=0.05)
    for ending, comma in ((".srt", ","), (".vtt", "."), (".boxes.vtt", ".")):
        times = [line for line in (tmp_path / "out" / f"late{ending}").read_text().splitlines() if "-->" in line]
        assert [line.split(" --> ")[0] for line in times] == [f"00:00:0{second}{comma}000" for second in (1, 2, 3)]
    with av.open(str(tmp_path / "out" / "late.annotated.mp4")) as container:
        shown = [float(frame.time or 0) for frame in container.decode(video=0)]
    with av.open(str(tmp_path / "out" / "late.annotated.mp4")) as container:
        heard = [float(frame.time or 0) for frame in container.decode(audio=0)]
    assert [shown[0], heard[0]] == pytest.approx([0, 0], abs=0.05)
    assert [shown[-1], heard[-1]] == pytest.approx([2.9, 3], abs=0.1)
