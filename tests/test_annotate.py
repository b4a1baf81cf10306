"""The file job on real clips: a row for every sampled frame, faults said, nothing half-written."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from streamer.annotation import AnnotateJob, annotate
from streamer.errors import ModelError, OptionError, OutputError, SourceError
from streamer.filejob import AnnotateOptions
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.outputs.jsonl import read_journal, result_from_json
from streamer.outputs.naming import output_names
from streamer.results import FrameResult
from streamer.sampling import Sampling
from streamer.sources.synthetic import read_counter
from streamer.tasks import Task
from tests.media import even, make_clip, pictures, set_display_matrix

RED, GREEN = (220, 30, 30), (20, 160, 60)
CAR = '```json\n[{"box_2d": [250, 250, 750, 750], "label": "car"}]\n```'


def seen(request: Request) -> str:
    """Says the numbers that are drawn in the pictures."""
    return " ".join(str(read_counter(image)) for image in request.images)


def finds_a_car(request: Request) -> str:
    return CAR if "output only" in request.prompt else "a car"


def like(pixel: NDArray[np.uint8], colour: tuple[int, int, int], by: int = 45) -> bool:
    return bool(np.abs(pixel.astype(int) - colour).max() <= by)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", even(30))


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name == "decode"] == []


def test_a_row_for_every_sampled_frame_in_order(clip: Path, tmp_path: Path) -> None:
    job = AnnotateJob(
        str(clip), ScriptedModel(seen), AnnotateOptions(sampling=Sampling.every("0.5")), output=tmp_path / "out"
    )
    results = list(job)
    assert [result.caption for result in results] == ["0", "5", "10", "15", "20", "25"]
    assert [result.time_seconds for result in results] == [0, 0.5, 1, 1.5, 2, 2.5]
    job_row, *rows, end = read_journal(tmp_path / "out" / "clip.jsonl")
    assert [result_from_json(row) for row in rows] == results
    assert end == {"type": "end", "frames": 6, "failed": 0, "fault": None}
    assert job_row["type"] == "job"
    summary = job.summary
    assert (summary.frames, summary.failed, summary.damaged, summary.fault) == (6, 0, 0, None)
    assert summary.media_seconds == 2.5
    assert summary.usage.output_tokens == 6
    assert summary.files == [tmp_path / "out" / "clip.jsonl", tmp_path / "out" / "clip.annotated.mp4"]
    assert sorted(os.listdir(tmp_path / "out")) == ["clip.annotated.mp4", "clip.jsonl"]


def test_the_first_row_has_what_decides_the_answers(clip: Path, tmp_path: Path) -> None:
    options = AnnotateOptions((Task.detect("dog"), Task.check("Is it day?")), Sampling.fps(2), 140, box_grid=1024)
    list(AnnotateJob(str(clip), ScriptedModel(), options, output=tmp_path))
    facts = next(read_journal(tmp_path / "clip.jsonl"))
    assert (facts["model"], facts["budget"], facts["box_grid"]) == ("scripted", 140, 1024)
    assert facts["caveat"] == ScriptedModel().caveat
    assert [task["name"] for task in facts["tasks"]] == ["detect", "check"]
    assert facts["tasks"][0]["prompt"] == "detect dog, output only ```json"
    assert Sampling.parse(facts["sampling"]) == Sampling.fps(2)
    assert facts["source"]["address"] == str(clip)
    assert facts["source"]["size"] == [160, 96]
    assert facts["version"] == 2
    assert facts["content"].startswith("blake2b:")
    assert facts["streamer"]


def test_rows_are_on_the_disk_before_they_are_seen(clip: Path, tmp_path: Path) -> None:
    journal = tmp_path / "clip.jsonl"
    options = AnnotateOptions(batch=1, formats=("jsonl",))
    for number, result in enumerate(AnnotateJob(str(clip), ScriptedModel(seen), options, output=tmp_path), 1):
        lines = journal.read_text().splitlines()
        assert len(lines) >= 1 + number
        assert json.loads(lines[number])["sequence"] == result.sequence


def test_a_fault_of_the_model_is_the_rows_own(clip: Path, tmp_path: Path) -> None:
    def script(request: Request) -> str:
        if seen(request) == "10":
            raise ModelError("scripted", "no memory left", "take a smaller budget")
        return seen(request)

    job = AnnotateJob(str(clip), ScriptedModel(script), output=tmp_path)
    results = list(job)
    assert [result.caption for result in results] == ["0", None, "20"]
    assert [result.error for result in results] == [None, "caption: no memory left (take a smaller budget)", None]
    assert job.summary.failed == 1
    assert [row.get("error") for row in read_journal(tmp_path / "clip.jsonl")][1:4] == [
        None,
        results[1].error,
        None,
    ]
    assert len(pictures(tmp_path / "clip.annotated.mp4")) == 30


def test_a_source_that_breaks_off_keeps_its_frames(clips: Path, tmp_path: Path) -> None:
    options = AnnotateOptions(sampling=Sampling.every("0.25"))
    job = AnnotateJob(str(clips / "truncated_faststart.mp4"), ScriptedModel(), options, output=tmp_path)
    results = list(job)
    assert len(results) >= 3
    assert job.summary.fault is not None
    assert "ends early" in job.summary.fault
    *_, end = read_journal(tmp_path / "truncated_faststart.jsonl")
    assert (end["frames"], end["fault"]) == (len(results), job.summary.fault)
    assert len(pictures(tmp_path / "truncated_faststart.annotated.mp4")) == 33


def test_damage_is_counted(clips: Path) -> None:
    job = AnnotateJob(str(clips / "corrupted.mp4"), ScriptedModel())
    assert len(list(job)) >= 1
    assert job.summary.damaged >= 1


@pytest.mark.parametrize("name", ["not_a_video.mp4", "zero_byte.mp4", "audio_only.m4a"])
def test_what_is_no_video_raises_and_writes_nothing(clips: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match=name):
        list(AnnotateJob(str(clips / name), ScriptedModel(), output=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_camera_has_no_end_and_is_refused() -> None:
    with pytest.raises(SourceError, match=r"has no end .*streamer watch"):
        list(AnnotateJob("synthetic:?live=1", ScriptedModel()))


def test_leaving_midway_leaves_whole_lines_and_no_video(clip: Path, tmp_path: Path) -> None:
    results = iter(AnnotateJob(str(clip), ScriptedModel(), AnnotateOptions(batch=1), output=tmp_path / "out"))
    next(results)
    assert any(thread.name == "decode" for thread in threading.enumerate()) or next(results)
    results.close()
    assert os.listdir(tmp_path / "out") == ["clip.jsonl"]
    text = (tmp_path / "out" / "clip.jsonl").read_text()
    assert text.endswith("\n")
    assert "end" not in [row["type"] for row in read_journal(tmp_path / "out" / "clip.jsonl")]


def test_an_interruption_of_the_video_leaves_no_part_of_it(clip: Path, tmp_path: Path) -> None:
    def stop(stage: str, seconds: float) -> None:
        if stage == "mp4" and seconds > 1:
            raise KeyboardInterrupt

    job = AnnotateJob(str(clip), ScriptedModel(), output=tmp_path / "out")
    job.on_progress = stop
    with pytest.raises(KeyboardInterrupt):
        list(job)
    assert os.listdir(tmp_path / "out") == ["clip.jsonl"]
    assert [row["type"] for row in read_journal(tmp_path / "out" / "clip.jsonl")][-1] == "end"


def test_an_earlier_video_stays_where_a_later_one_fails(clip: Path, tmp_path: Path) -> None:
    path = tmp_path / "clip.annotated.mp4"
    list(AnnotateJob(str(clip), ScriptedModel(), output=tmp_path))
    path.write_bytes(b"an earlier one")
    results = iter(AnnotateJob(str(clip), ScriptedModel(), AnnotateOptions(restart=True), output=tmp_path))
    next(results)
    results.close()
    assert path.read_bytes() == b"an earlier one"


def test_compare_sees_the_frames_before(clip: Path) -> None:
    tasks = (Task.caption(), Task.compare("What moved?", frames=3))
    results = list(annotate(str(clip), ScriptedModel(seen), tasks=tasks, sampling="2 fps"))
    assert [result.answers.get("compare") for result in results] == [
        *(None, None),
        *("0 5 10", "5 10 15", "10 15 20", "15 20 25"),
    ]
    assert [result.caption for result in results] == ["0", "5", "10", "15", "20", "25"]


def test_the_video_has_the_sources_pictures_and_times(clips: Path, tmp_path: Path) -> None:
    """Also where the rate varies."""
    list(AnnotateJob(str(clips / "vfr.mp4"), ScriptedModel(), output=tmp_path))
    before, after = pictures(clips / "vfr.mp4"), pictures(tmp_path / "vfr.annotated.mp4")
    assert [round(time - before[0][0], 2) for time, _ in before] == [round(time, 2) for time, _ in after]
    with av.open(str(tmp_path / "vfr.annotated.mp4")) as container:
        assert container.metadata["comment"] == ScriptedModel().caveat
        assert container.streams.video[0].codec_context.name == "h264"


def test_boxes_and_caption_are_at_the_right_pixels(tmp_path: Path) -> None:
    grey = make_clip(
        tmp_path / "grey.mp4",
        even(10),
        size=(640, 360),
        picture=lambda number, size: np.full((size[1], size[0], 3), 128, np.uint8),
    )
    tasks = (Task.caption(), Task.detect("car"))
    list(AnnotateJob(str(grey), ScriptedModel(finds_a_car), AnnotateOptions(tasks), output=tmp_path))
    [*_, (_, image)] = pictures(tmp_path / "grey.annotated.mp4")
    from streamer.outputs.drawing import colour_of

    for y, x in ((91, 320), (268, 320), (180, 161), (180, 478)):  # the middles of the box's four sides
        assert like(image[y, x], colour_of("car"), 60), image[y, x]
    for y, x in ((180, 320), (86, 320), (274, 400), (180, 154), (180, 486), (20, 20)):
        assert like(image[y, x], (128, 128, 128), 16), image[y, x]
    assert image[345:359].mean() < 70  # the caption's band
    assert image[340:359].max() > 200  # and its letters


def test_colours_survive(tmp_path: Path) -> None:
    red = make_clip(
        tmp_path / "red.mp4",
        even(4),
        size=(320, 240),
        picture=lambda number, size: np.full((size[1], size[0], 3), RED, np.uint8),
    )
    list(AnnotateJob(str(red), ScriptedModel(lambda request: "."), output=tmp_path))
    _, image = pictures(tmp_path / "red.annotated.mp4")[0]
    assert like(image[40, 40], RED, 14), image[40, 40]


def test_the_video_is_upright(tmp_path: Path) -> None:
    def left_red(_number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        image = np.full((size[1], size[0], 3), GREEN, np.uint8)
        image[:, : size[0] // 2] = RED
        return image

    turned = make_clip(tmp_path / "turned.mp4", even(5), size=(160, 96), picture=left_red)
    set_display_matrix(turned, 0, 1, -1, 0)  # a quarter clockwise: left becomes the top
    list(AnnotateJob(str(turned), ScriptedModel(lambda request: "."), output=tmp_path))
    _, image = pictures(tmp_path / "turned.annotated.mp4")[0]
    assert image.shape == (160, 96, 3)
    assert like(image[20, 80], RED)
    assert like(image[110, 10], GREEN)


def test_odd_sizes_become_even(tmp_path: Path) -> None:
    for number, size in enumerate(((161, 97), (33, 201))):
        folder = tmp_path / f"pictures {number}"
        folder.mkdir()
        for name in "ab":
            Image.new("RGB", size, GREEN).save(folder / f"{name}.png")
        list(AnnotateJob(str(folder), ScriptedModel(lambda request: "."), output=tmp_path))
        decoded = pictures(tmp_path / f"pictures {number}.annotated.mp4")
        assert [time for time, _ in decoded] == [0, 1]
        height, width = decoded[0][1].shape[:2]
        assert (width % 2, height % 2) == (0, 0)
        assert abs(width - size[0]) <= 1
        assert abs(height - size[1]) <= 1


def test_a_size_that_changes_on_the_way_is_fitted_in(clips: Path, tmp_path: Path) -> None:
    list(AnnotateJob(str(clips / "resolution_change.h264"), ScriptedModel(), output=tmp_path))
    decoded = pictures(tmp_path / "resolution_change.annotated.mp4")
    assert len(decoded) == 40
    assert len({image.shape for _, image in decoded}) == 1


def test_a_folder_with_pictures_of_other_aspects_keeps_them(tmp_path: Path) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    Image.new("RGB", (320, 160), GREEN).save(folder / "1.png")
    Image.new("RGB", (100, 200), RED).save(folder / "2.png")
    list(AnnotateJob(str(folder), ScriptedModel(lambda request: "."), output=tmp_path))
    _, second = pictures(tmp_path / "mixed.annotated.mp4")[1]
    assert second.shape == (160, 320, 3)
    assert like(second[60, 160], RED)
    assert second[60, 60].max() < 30  # black beside it
    assert second[60, 260].max() < 30


def test_an_excerpt_gives_a_video_of_the_excerpt(clip: Path, tmp_path: Path) -> None:
    options = AnnotateOptions(sampling=Sampling.every("0.5").between(1, 2))
    model = ScriptedModel(seen)
    model.caveat = None  # it would stand over the counter
    results = list(AnnotateJob(str(clip), model, options, output=tmp_path))
    assert [result.caption for result in results] == ["10", "15"]
    decoded = pictures(tmp_path / "clip.annotated.mp4")
    assert [round(time, 1) for time, _ in decoded] == [number / 10 for number in range(10)]
    assert [read_counter(image) for _, image in decoded] == list(range(10, 20))


@pytest.mark.parametrize("formats", [("jsonl",), ("mp4",)])
def test_only_what_is_asked_for_is_written(clip: Path, tmp_path: Path, formats: tuple[str, ...]) -> None:
    job = AnnotateJob(str(clip), ScriptedModel(), AnnotateOptions(formats=formats), output=tmp_path / "out")
    list(job)
    assert [path.suffix.removeprefix(".") for path in job.summary.files] == sorted({"jsonl", *formats})
    assert sorted(os.listdir(tmp_path / "out")) == sorted(path.name for path in job.summary.files)


def test_without_a_folder_nothing_is_written(clip: Path, tmp_path: Path) -> None:
    assert len(list(annotate(str(clip), ScriptedModel()))) == 3
    assert os.listdir(tmp_path) == ["clip.mp4"]


def test_a_folder_that_cannot_be_written_is_said(clip: Path, tmp_path: Path) -> None:
    """Before anything is asked of the model."""
    asked: list[Request] = []
    model = ScriptedModel(lambda request: asked.append(request) or ".")  # type: ignore[func-returns-value]
    (tmp_path / "taken").write_text("a file is here")
    for folder in (tmp_path / "taken", tmp_path / "taken" / "deeper", Path("/proc/streamer")):
        for formats in (("jsonl",), ("mp4",)):
            with pytest.raises(OutputError, match=rf"{folder}.*cannot be written.*choose a folder"):
                list(annotate(str(clip), model, output=folder, formats=formats))
    assert asked == []


def test_unusable_options_are_refused() -> None:
    with pytest.raises(OptionError, match="budget: 71"):
        AnnotateOptions(budget=71)
    with pytest.raises(OptionError, match="tasks"):
        AnnotateOptions(tasks=())
    with pytest.raises(OptionError, match="tasks"):
        AnnotateOptions(tasks=(Task.caption(), Task.caption("Again")))
    with pytest.raises(OptionError, match="batch"):
        AnnotateOptions(batch=0)
    for formats in (("avi",), ()):
        with pytest.raises(OptionError, match="format"):
            AnnotateOptions(formats=formats)


def test_no_two_sources_write_to_one_file(tmp_path: Path) -> None:
    (tmp_path / "my.pictures").mkdir()
    addresses = ["a/street.mp4", "b/street.mov", "B/Street.mp4", str(tmp_path / "my.pictures"), "night/*.png"]
    assert output_names(addresses) == ["street", "street (2)", "Street (3)", "my.pictures", "night"]
    assert output_names(["http://me:secret@10.0.0.1/films/a%20b.mp4?token=1"]) == ["a b"]
    assert output_names(["synthetic:?seconds=3", "???.mp4"])[0] == "synthetic"


def test_the_library_takes_folders_and_all_that_the_command_does(tmp_path: Path) -> None:
    """A file that fails does not stop the others, and is said at the end."""
    films, out = tmp_path / "films", tmp_path / "out"
    (films / "deep").mkdir(parents=True)
    for name in ("a.mp4", "deep/b.mp4"):
        make_clip(films / name, even(20))
    (films / "c.mp4").write_text("no film\n" * 100)
    model = ScriptedModel(lambda request: "Always the same.")
    options: dict[str, Any] = {"output": out, "formats": ("srt",), "gate": 1.0, "summary": True, "workers": 1}
    given: list[FrameResult] = []
    with pytest.raises(SourceError, match=r"c\.mp4: it cannot be read as a video"):
        given.extend(annotate(films, model, sampling="2 fps", recursive=True, **options))
    assert {result.stream for result in given} == {"a.mp4", "b.mp4"}
    assert any(result.reused for result in given)
    assert {"a.jsonl", "a.srt", "deep/b.srt"} <= {str(path.relative_to(out)) for path in out.rglob("*")}
    assert "segment" in {row["type"] for row in read_journal(out / "a.jsonl")}
    again = list(annotate([films / "a.mp4"], model, sampling="2 fps", **options))
    assert again == [result for result in given if result.stream == "a.mp4"]
    with pytest.raises(SourceError, match="no such file"):
        next(iter(annotate("none.mp4", model)))
