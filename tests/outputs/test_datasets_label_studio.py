"""Label Studio's tasks, walked as its documentation describes them. Its own checks are in `test_datasets_readers`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from streamer.errors import OutputError
from streamer.outputs.label_studio import write_label_studio, write_label_studio_images
from tests.outputs.samples import CAR, CASES, CAVEAT, GREEK, NASTY, Case, Found, annotated, check

ids = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def tasks(path: Path) -> list[dict[str, Any]]:
    document = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(document, list)
    return document


def pixels(place: dict[str, float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    x, y, width, height = (place[name] / 100 for name in ("x", "y", "width", "height"))
    return x * size[0], y * size[1], (x + width) * size[0], (y + height) * size[1]


@ids
def test_a_video_has_the_boxes_at_their_frames(case: Case, tmp_path: Path) -> None:
    path, config = write_label_studio(annotated(case, tmp_path), tmp_path)
    assert (path.name, config.name) == (f"{case.name}.label-studio.json", f"{case.name}.label-studio.xml")
    [task] = tasks(path)
    assert task["data"] == {"video": f"films/{case.name}.mp4", "caveat": CAVEAT}
    [prediction] = task["predictions"]
    assert prediction["model_version"] == "tiny <1>"
    got: dict[int, list[Found]] = {number: [] for number in case.good}
    for result in prediction["result"]:
        assert (result["type"], result["from_name"], result["to_name"]) == ("videorectangle", "box", "video")
        [label] = result["value"]["labels"]
        for key in result["value"]["sequence"]:
            number = key["frame"] - 1
            assert key["time"] == pytest.approx(case.times[case.numbers.index(number)])
            assert key["rotation"] == 0
            got[number].append((label, pixels(key, case.size)))
    check(got, case, 0.01)
    assert len({result["id"] for result in prediction["result"]}) == len(prediction["result"])


@ids
def test_images_have_their_boxes(case: Case, tmp_path: Path) -> None:
    path, config = write_label_studio_images(annotated(case, tmp_path), tmp_path)
    assert path.name == f"{case.name}.label-studio-images.json"
    assert config.name == f"{case.name}.label-studio-images.xml"
    got: dict[int, list[Found]] = {}
    for task in tasks(path):
        assert (tmp_path / task["data"]["image"]).is_file()
        assert task["data"]["caveat"] == CAVEAT
        boxes = got.setdefault(task["data"]["frame_index"], [])
        [prediction] = task["predictions"]
        for result in prediction["result"]:
            assert (result["type"], result["from_name"], result["to_name"]) == ("rectanglelabels", "label", "image")
            assert (result["original_width"], result["original_height"]) == case.size
            [label] = result["value"]["rectanglelabels"]
            boxes.append((label, pixels(result["value"], case.size)))
    check(got, case, 0.01)


def test_an_object_is_there_up_to_the_next_keyframe_only_where_it_was_seen_again(tmp_path: Path) -> None:
    path, _ = write_label_studio(annotated(CASES[0], tmp_path), tmp_path)
    results = tasks(path)[0]["predictions"][0]["result"]
    assert [
        (one["id"], one["value"]["labels"][0], [(key["frame"], key["enabled"]) for key in one["value"]["sequence"]])
        for one in results
    ] == [
        ("track-7", CAR, [(1, True), (11, False), (41, False)]),
        ("track-10", NASTY, [(11, False)]),
        ("track-9", GREEK, [(41, False)]),
        ("track-11", NASTY, [(41, False)]),
    ]
    assert results[0]["meta"] == {"text": ["track: 7", "colour: red & <blue>", "wheels: 4"]}
    assert "meta" not in results[1]


def test_the_length_is_the_sources_or_what_was_seen_of_it(tmp_path: Path) -> None:
    lengths = []
    for case, seconds in ((CASES[0], 6.0), (CASES[0], None), (CASES[2], None), (CASES[3], 10.0)):
        one = replace(annotated(case, tmp_path), duration_seconds=seconds)
        path, config = write_label_studio(one, tmp_path)
        value = tasks(path)[0]["predictions"][0]["result"][0]["value"]
        video = ElementTree.parse(config).getroot().find("Video")
        assert video is not None
        lengths.append((value["framesCount"], value["duration"], video.get("framerate")))
    assert lengths == [(60, 6.0, "10"), (60, 5.0, "10"), (91, 7.34, None), (250, 10.0, "25")]


@pytest.mark.parametrize(
    ("write", "tags"),
    [
        (write_label_studio, ["Header", "Video", "VideoRectangle", "Labels"]),
        (write_label_studio_images, ["Header", "Image", "RectangleLabels"]),
    ],
)
def test_the_configuration_shows_the_caveat_and_all_labels(write: Any, tags: list[str], tmp_path: Path) -> None:
    _, config = write(annotated(CASES[0], tmp_path), tmp_path)
    view = ElementTree.parse(config).getroot()
    assert config.read_text(encoding="utf-8").startswith("<View>")  # a declared encoding is refused where it is pasted
    assert [one.tag for one in view] == tags
    assert view[0].get("value") == CAVEAT
    assert [one.get("value") for one in view.iter("Label")] == [NASTY, CAR, GREEK]
    assert {one.get("toName") for one in view} - {None} == {
        one.get("name") for one in view if one.get("value", "")[:1] == "$"
    }


def test_a_source_without_results_is_a_task_without_any(tmp_path: Path) -> None:
    nothing = replace(annotated(CASES[0], tmp_path), results=(), stills={})
    path, _ = write_label_studio(nothing, tmp_path)
    assert [task["predictions"][0]["result"] for task in tasks(path)] == [[]]
    path, _ = write_label_studio_images(nothing, tmp_path)
    assert tasks(path) == []


def test_a_missing_still_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"label-studio-images\.json: the picture of frame 0"):
        write_label_studio_images(replace(annotated(CASES[0], tmp_path), stills={}), tmp_path)
    assert not list(tmp_path.glob("*label-studio*"))
