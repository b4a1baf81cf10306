"""COCO, read back by pycocotools and supervision."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import supervision
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from streamer.errors import OutputError
from streamer.geometry import Box
from streamer.outputs.coco import write_coco
from streamer.outputs.pictures import corners, found, percent
from streamer.results import Detection, FrameResult
from tests.outputs.samples import CASES, CAVEAT, SEEN, Case, Found, annotated, check

PART = st.floats(0, 1)
BOXES = st.builds(Box, PART, PART, PART, PART)
SIZES = st.tuples(st.integers(1, 8000), st.integers(1, 8000))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_pycocotools_finds_the_boxes(case: Case, tmp_path: Path) -> None:
    [path] = write_coco(annotated(case, tmp_path), tmp_path)
    assert path.name == f"{case.name}.coco.json"
    coco = COCO(str(path))
    got: dict[int, list[Found]] = {}
    for image in coco.loadImgs(coco.getImgIds()):
        assert (image["width"], image["height"]) == case.size
        assert image["time_seconds"] == case.times[case.numbers.index(image["frame_index"])]
        assert (tmp_path / image["file_name"]).is_file()
        boxes = got.setdefault(image["frame_index"], [])
        for box in coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]])):
            x, y, width, height = box["bbox"]
            assert box["area"] == pytest.approx(width * height, abs=0.01)
            boxes.append((coco.cats[box["category_id"]]["name"], (x, y, x + width, y + height)))
    check(got, case, 0.011)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_perfect_result_scores_one(case: Case, tmp_path: Path) -> None:
    [path] = write_coco(annotated(case, tmp_path), tmp_path)
    truth = COCO(str(path))
    guesses = [
        {key: box[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.9}
        for box in truth.dataset["annotations"]
    ]
    scores = COCOeval(truth, truth.loadRes(guesses), "bbox")
    scores.evaluate()
    scores.accumulate()
    scores.summarize()
    assert scores.stats[0] == 1


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_supervision_finds_the_boxes(case: Case, tmp_path: Path) -> None:
    [path] = write_coco(annotated(case, tmp_path), tmp_path)
    data = supervision.DetectionDataset.from_coco(str(tmp_path), str(path))
    got: dict[int, list[Found]] = {}
    for name, image, boxes in data:
        assert np.shape(image) == (case.size[1], case.size[0], 3)
        labels = [data.classes[int(number)] for number in (boxes.class_id if boxes.class_id is not None else ())]
        got[int(Path(name).stem)] = [
            (label, (float(box[0]), float(box[1]), float(box[2]), float(box[3])))
            for label, box in zip(labels, boxes.xyxy, strict=True)
        ]
    check(got, case, 0.02)


def test_what_else_is_known_stands_beside(tmp_path: Path) -> None:
    [path] = write_coco(annotated(CASES[0], tmp_path), tmp_path)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["info"]["model"] == "tiny <1>"
    assert document["info"]["caveat"] == CAVEAT
    assert document["info"]["description"].endswith(CAVEAT)
    assert [one["id"] for one in document["categories"]] == [1, 2, 3]
    first, second, third, *_ = document["annotations"]
    assert first["attributes"] == SEEN[0][0].attributes
    assert (first["track_id"], second["track_id"]) == (7, 7)
    assert "track_id" not in third
    assert "attributes" not in third
    assert {one["iscrowd"] for one in document["annotations"]} == {0}


def test_without_stills_pictures_have_the_name_that_they_would_have(tmp_path: Path) -> None:
    for elsewhere in (annotated(CASES[3], tmp_path / "elsewhere"), replace(annotated(CASES[3], tmp_path), stills={})):
        [path] = write_coco(elsewhere, tmp_path / "out")
        names = [image["file_name"] for image in json.loads(path.read_text(encoding="utf-8"))["images"]]
        assert names == [f"late, (2).frames/{number:06d}.jpg" for number in (105, 130, 155, 205)]


def test_pictures_of_other_sizes_have_their_own(tmp_path: Path) -> None:
    both = annotated(CASES[0], tmp_path)
    first, *others = both.results
    mixed = replace(both, results=(replace(first, source_size=(50, 500)), *others), stills={})
    [path] = write_coco(mixed, tmp_path)
    document = json.loads(path.read_text(encoding="utf-8"))
    assert [(one["width"], one["height"]) for one in document["images"]] == [(50, 500), *[(160, 96)] * 3]
    assert document["annotations"][0]["bbox"] == [5, 100, 15, 175]


def test_a_source_without_results_is_still_a_dataset(tmp_path: Path) -> None:
    [path] = write_coco(replace(annotated(CASES[0], tmp_path), results=()), tmp_path)
    assert COCO(str(path)).getImgIds() == []


def test_names_that_are_no_unicode_are_written(tmp_path: Path) -> None:
    odd = replace(annotated(CASES[0], tmp_path), address="films/\udce4.mp4")
    [path] = write_coco(odd, tmp_path)
    assert json.loads(path.read_text(encoding="utf-8"))["info"]["url"] == "films/\udce4.mp4"


def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        write_coco(annotated(CASES[0], tmp_path), tmp_path / "taken")


@given(st.builds(Box, st.floats(-2, 3), st.floats(-2, 3), st.floats(-2, 3), st.floats(-2, 3)), SIZES)
def test_only_boxes_with_an_area_inside_the_picture_are_found(box: Box, size: tuple[int, int]) -> None:
    result = FrameResult("s", 0, 0.0, size, detections=(Detection("a", box, 3, {"b": 1}),))
    kept = found(result, size)
    shown = box.clamped()
    if min(shown.width * size[0], shown.height * size[1]) < 0.1:
        assert kept == []
    else:
        assert kept == [Detection("a", shown, 3, {"b": 1})]


@given(BOXES, SIZES)
def test_rounded_boxes_stay_inside_with_an_area(box: Box, size: tuple[int, int]) -> None:
    result = FrameResult("s", 0, 0.0, size, detections=(Detection("a", box.ordered()),))
    for detection in found(result, size):
        x1, y1, x2, y2 = corners(detection.box, size)
        assert 0 <= x1 < x2 <= size[0]
        assert 0 <= y1 < y2 <= size[1]
        assert abs(x2 - detection.box.x2 * size[0]) <= 0.0051
        part = percent(detection.box)
        assert part["width"] > 0
        assert part["height"] > 0
        assert part["x"] + part["width"] <= 100.00001
        assert abs((part["y"] + part["height"]) / 100 * size[1] - detection.box.y2 * size[1]) <= 0.01
