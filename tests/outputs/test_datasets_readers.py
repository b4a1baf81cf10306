"""The datasets read by Datumaro, and Label Studio's own checks of its tasks.

Both packages want an OpenCV of their own, beside which the project's cannot be installed: they have an environment of
their own, whose Python ``STREAMER_READERS`` names (`.ci/run` makes it); without it these tests skip.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from streamer.geometry import Box
from streamer.outputs.coco import write_coco
from streamer.outputs.cvat import write_cvat_images, write_cvat_video
from streamer.outputs.label_studio import write_label_studio, write_label_studio_images
from streamer.outputs.voc import write_voc
from streamer.outputs.yolo import write_yolo
from streamer.results import Detection
from tests.outputs.samples import CAR, CASES, GREEK, Case, Found, annotated, check

ids = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
PLAIN = ((Detection(CAR, Box(0.1, 0.2, 0.5, 0.75), 7),), (), (), (Detection(GREEK, Box(0, 0, 1, 1)),))


def read(*arguments: str | Path) -> Any:
    """What the other environment's `outside_readers` prints."""
    python = os.environ.get("STREAMER_READERS")
    if not python:
        pytest.skip("STREAMER_READERS names no Python with datumaro and label-studio-sdk")
    script = Path(__file__).with_name("outside_readers.py")
    done = subprocess.run([python, script, *arguments], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def by_frame(path: Path, format_name: str, **options: Any) -> dict[int, list[Found]]:
    """By the number in an item's name; what lies outside is left out."""
    got = read("datumaro", path, format_name, json.dumps(options))
    return {int(number): [(label, tuple(box)) for label, box in boxes] for number, boxes in got.items()}


def move_stills(case: Case, folder: Path) -> None:
    """To where Datumaro looks for pictures."""
    (folder / "images").mkdir()
    (folder / f"{case.name}.frames").rename(folder / "images" / f"{case.name}.frames")


@ids
def test_datumaro_reads_coco(case: Case, tmp_path: Path) -> None:
    [path] = write_coco(annotated(case, tmp_path), tmp_path)
    move_stills(case, tmp_path)
    (tmp_path / "annotations").mkdir()
    path.rename(tmp_path / "annotations" / "instances_default.json")
    check(by_frame(tmp_path, "coco_instances"), case, 0.02)


@ids
def test_datumaro_reads_the_cvat_video(case: Case, tmp_path: Path) -> None:
    [path] = write_cvat_video(annotated(case, tmp_path), tmp_path)
    got = by_frame(path, "cvat")
    seen = {number: got.get(number, []) for number in case.good}
    check(seen, case, 0.0051)
    assert [boxes for number, boxes in got.items() if number not in seen and boxes] == []


@ids
def test_datumaro_reads_the_cvat_images(case: Case, tmp_path: Path) -> None:
    [path] = write_cvat_images(annotated(case, tmp_path), tmp_path)
    move_stills(case, tmp_path)
    check(by_frame(path, "cvat"), case, 0.0051)


@ids
def test_datumaro_reads_yolo(case: Case, tmp_path: Path) -> None:
    [path] = write_yolo(annotated(case, tmp_path), tmp_path)
    check(by_frame(path, "yolo"), case, 0.01)


def test_datumaro_reads_voc(tmp_path: Path) -> None:
    """With labels that its label map can hold."""
    [path] = write_voc(annotated(CASES[1], tmp_path, PLAIN), tmp_path)
    got = by_frame(path, "voc_detection", coordinate_mode="voc-one-based")
    assert [label for number in sorted(got) for label, _ in got[number]] == [CAR, GREEK]
    assert got[0][0][1] == pytest.approx((16.1, 19.4, 80.5, 72.75), abs=1)
    assert got[40][0][1] == (0, 0, 161, 97)


@ids
def test_label_studio_accepts_its_tasks(case: Case, tmp_path: Path) -> None:
    for write in (write_label_studio, write_label_studio_images):
        path, config = write(annotated(case, tmp_path), tmp_path)
        assert read("label-studio", path, config) == {"faults": [], "results": 4 if write is write_label_studio else 6}


@ids
def test_label_studio_shows_a_track_between_its_keyframes(case: Case, tmp_path: Path) -> None:
    path, _ = write_label_studio(annotated(case, tmp_path), tmp_path)
    assert read("key-frames", path) == [*range(case.good[0] + 1, case.good[1] + 2), case.good[3] + 1]
