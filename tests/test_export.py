"""Formats from a journal, without the model."""

from __future__ import annotations

import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from streamer.annotation import AnnotateJob
from streamer.errors import ModelError, OptionError, OutputError, SourceError
from streamer.exporting import FORMATS, export
from streamer.filejob import AnnotateOptions
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.tasks import Task
from tests.annotating import says_the_numbers
from tests.media import even, ffmpeg, make_clip


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    clip = make_clip(tmp_path / "clip.mp4", even(30))
    options = AnnotateOptions((Task.caption(), Task.detect("even")), formats=("jsonl",))
    list(AnnotateJob(str(clip), ScriptedModel(says_the_numbers), options, output=tmp_path / "out"))
    return tmp_path / "out" / "clip.jsonl"


def test_every_format_is_written(journal: Path) -> None:
    written = export(journal, list(FORMATS))
    assert all(path.exists() for path in written)
    assert len(written) == len(set(written)) >= 16
    assert not [path for path in journal.parent.iterdir() if path.name.startswith(".")]


def test_what_needs_no_picture_is_written_where_the_video_is_gone(journal: Path) -> None:
    (journal.parent.parent / "clip.mp4").unlink()
    with pytest.raises(SourceError, match=r"clip\.mp4"):
        export(journal, ["yolo", "srt", "csv"])
    assert (journal.parent / "clip.srt").exists()
    assert (journal.parent / "clip.csv").exists()
    assert not (journal.parent / "clip.yolo").exists()


def test_the_video_may_lie_elsewhere(journal: Path, tmp_path: Path) -> None:
    moved = shutil.move(tmp_path / "clip.mp4", tmp_path / "moved.mp4")
    assert [path.name for path in export(journal, ["yolo"], source=str(moved))] == ["clip.yolo"]


def test_a_job_that_failed_throughout_is_exported(tmp_path: Path) -> None:
    """One task of each frame failed, the other one found boxes."""

    def script(request: Request) -> str:
        if "output only" not in request.prompt:
            raise ModelError("scripted", "no memory left")
        return says_the_numbers(request)

    clip = make_clip(tmp_path / "clip.mp4", even(30))
    options = AnnotateOptions((Task.caption(), Task.detect("even")), formats=("jsonl", "csv", "coco"))
    job = AnnotateJob(str(clip), ScriptedModel(script), options, output=tmp_path / "out")
    assert all(result.error and result.detections for result in job)
    assert [path.name for path in job.summary.files][:2] == ["clip.jsonl", "clip.csv"]


def test_unusable_words_and_files_are_refused(journal: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="format"):
        export(journal, ["avi"])
    with pytest.raises(OptionError, match="track"):
        export(journal, ["csv"], track="magic")  # type: ignore[arg-type] # what the types forbid already
    with pytest.raises(OutputError, match="cannot be read"):
        export(tmp_path / "none.jsonl", ["csv"])


@pytest.mark.parametrize(("codec", "ending", "kept"), [("aac", "mp4", "aac"), ("pcm_s16le", "mov", "aac")])
def test_the_sound_goes_with_the_video(tmp_path: Path, codec: str, ending: str, kept: str) -> None:
    silent = make_clip(tmp_path / "silent.mp4", even(30))
    loud = tmp_path / f"loud.{ending}"
    ffmpeg("-i", str(silent), "-f", "lavfi", "-i", "sine=440:duration=3", "-c:v", "copy", "-c:a", codec, str(loud))
    list(AnnotateJob(str(loud), ScriptedModel(says_the_numbers), output=tmp_path / "out"))
    with av.open(str(tmp_path / "out" / "loud.annotated.mp4")) as container:
        [audio] = container.streams.audio
        assert audio.codec_context.name == kept
        heard = [frame.to_ndarray() for frame in container.decode(audio)]
    assert sum(part.shape[1] for part in heard) / audio.codec_context.sample_rate == pytest.approx(3, abs=0.15)
    assert np.abs(np.concatenate(heard, axis=1)).mean() > 0.01
