"""The datasets read by Datumaro, and Label Studio's own checks of its tasks.

Both packages want an OpenCV of their own, beside which the project's cannot be installed: the tests run where they
are there.
"""

from __future__ import annotations

import json
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


@pytest.fixture(scope="module")
def datumaro() -> Any:
    return pytest.importorskip("datumaro")


def by_frame(datumaro: Any, path: Path, format_name: str, **options: Any) -> dict[int, list[Found]]:
    """By the number in an item's name; what lies outside is left out."""
    data = datumaro.Dataset.import_from(str(path), format_name, **options)
    names = data.categories()[datumaro.AnnotationType.label]
    got: dict[int, list[Found]] = {}
    for item in data:
        boxes = got.setdefault(int(item.id.rpartition("_")[2].rpartition("/")[2]), [])
        for one in item.annotations:
            if one.type == datumaro.AnnotationType.bbox and not one.attributes.get("outside"):
                x1, y1, x2, y2 = map(float, one.points)
                boxes.append((names[one.label].name, (x1, y1, x2, y2)))
    return got


def move_stills(case: Case, folder: Path) -> None:
    """To where Datumaro looks for pictures."""
    (folder / "images").mkdir()
    (folder / f"{case.name}.frames").rename(folder / "images" / f"{case.name}.frames")


@ids
def test_datumaro_reads_coco(datumaro: Any, case: Case, tmp_path: Path) -> None:
    [path] = write_coco(annotated(case, tmp_path), tmp_path)
    move_stills(case, tmp_path)
    (tmp_path / "annotations").mkdir()
    path.rename(tmp_path / "annotations" / "instances_default.json")
    check(by_frame(datumaro, tmp_path, "coco_instances"), case, 0.02)


@ids
def test_datumaro_reads_the_cvat_video(datumaro: Any, case: Case, tmp_path: Path) -> None:
    [path] = write_cvat_video(annotated(case, tmp_path), tmp_path)
    got = by_frame(datumaro, path, "cvat")
    seen = {number: got.get(number, []) for number in case.good}
    check(seen, case, 0.0051)
    assert [boxes for number, boxes in got.items() if number not in seen and boxes] == []


@ids
def test_datumaro_reads_the_cvat_images(datumaro: Any, case: Case, tmp_path: Path) -> None:
    [path] = write_cvat_images(annotated(case, tmp_path), tmp_path)
    move_stills(case, tmp_path)
    check(by_frame(datumaro, path, "cvat"), case, 0.0051)


@ids
def test_datumaro_reads_yolo(datumaro: Any, case: Case, tmp_path: Path) -> None:
    [path] = write_yolo(annotated(case, tmp_path), tmp_path)
    check(by_frame(datumaro, path, "yolo"), case, 0.01)


def test_datumaro_reads_voc(datumaro: Any, tmp_path: Path) -> None:
    """With labels that its label map can hold."""
    [path] = write_voc(annotated(CASES[1], tmp_path, PLAIN), tmp_path)
    got = by_frame(datumaro, path, "voc_detection", coordinate_mode="voc-one-based")
    assert [label for number in sorted(got) for label, _ in got[number]] == [CAR, GREEK]
    assert got[0][0][1] == pytest.approx((16.1, 19.4, 80.5, 72.75), abs=1)
    assert got[40][0][1] == (0, 0, 161, 97)


@ids
def test_label_studio_accepts_its_tasks(case: Case, tmp_path: Path) -> None:
    interface = pytest.importorskip("label_studio_sdk.label_interface")
    for write in (write_label_studio, write_label_studio_images):
        path, config = write(annotated(case, tmp_path), tmp_path)
        labelling = interface.LabelInterface(config.read_text(encoding="utf-8"))
        assert labelling.validate() is None
        results = 0
        for task in json.loads(path.read_text(encoding="utf-8")):
            for prediction in task["predictions"]:
                assert labelling.validate_prediction(prediction, return_errors=True) == []
                results += len(prediction["result"])
        assert results == (4 if write is write_label_studio else 6)


@ids
def test_label_studio_shows_a_track_between_its_keyframes(case: Case, tmp_path: Path) -> None:
    video = pytest.importorskip("label_studio_sdk._extensions.label_studio_tools.postprocessing.video")
    path, _ = write_label_studio(annotated(case, tmp_path), tmp_path)
    [task] = json.loads(path.read_text(encoding="utf-8"))
    car, *_ = video.extract_key_frames(task["predictions"][0]["result"])
    frames = [key["frame"] for key in car["value"]["sequence"]]
    assert frames == [*range(case.good[0] + 1, case.good[1] + 2), case.good[3] + 1]
