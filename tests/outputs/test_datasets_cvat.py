"""CVAT's XML, walked as CVAT documents and imports it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import OutputError
from streamer.geometry import Box
from streamer.outputs.base import Annotations
from streamer.outputs.cvat import write_cvat_images, write_cvat_video
from streamer.outputs.tracks import tracks
from streamer.results import Detection, FrameResult
from tests.outputs.samples import CAR, CASES, CAVEAT, GREEK, NASTY, Case, Found, annotated, check

Element = ElementTree.Element
BOX = Box(0.25, 0.25, 0.5, 0.75)
ids = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def read(path: Path, mode: str) -> tuple[Element, Element]:
    """The document and its task, after a look at what both formats share."""
    root = ElementTree.parse(path).getroot()
    assert root.tag == "annotations"
    assert root.findtext("version") == "1.1"
    task = root.find("meta/task")
    assert task is not None
    assert task.findtext("mode") == mode
    start, stop, size = (int(task.findtext(name, "")) for name in ("start_frame", "stop_frame", "size"))
    assert size == len(range(start, stop + 1, step_of(task)))
    names = [label.findtext("name") for label in task.iterfind("labels/label")]
    assert Counter(names).most_common(1)[0][1] == 1
    return root, task


def step_of(task: Element) -> int:
    return int((task.findtext("frame_filter") or "step=1").removeprefix("step="))


def label_fields(task: Element) -> dict[str | None, list[str | None]]:
    return {
        label.findtext("name"): [field.findtext("name") for field in label.iterfind("attributes/attribute")]
        for label in task.iterfind("labels/label")
    }


def corners(box: Element) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(box.attrib[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
    assert x1 < x2
    assert y1 < y2
    assert (box.attrib["occluded"], int(box.attrib["z_order"])) == ("0", 0)
    return x1, y1, x2, y2


def shown(root: Element, task: Element) -> Iterator[tuple[int, Found]]:
    """Frame and box of every keyframe that shows something; the importer's rules are checked on the way."""
    fields = label_fields(task)
    frames = range(int(task.findtext("start_frame", "")), int(task.findtext("stop_frame", "")) + 1, step_of(task))
    seen = [track.attrib["id"] for track in root.iterfind("track")]
    assert len(set(seen)) == len(seen)
    for track in root.iterfind("track"):
        numbers = [int(box.attrib["frame"]) for box in track]
        assert numbers == sorted(set(numbers))
        assert set(numbers) <= set(frames)
        for box in track:
            assert box.tag == "box"
            assert box.attrib["keyframe"] == "1"
            assert {one.attrib["name"] for one in box} <= set(fields[track.attrib["label"]])
            if box.attrib["outside"] == "0":
                yield int(box.attrib["frame"]), (track.attrib["label"], corners(box))


@ids
def test_a_video_has_the_boxes_at_their_frames(case: Case, tmp_path: Path) -> None:
    [path] = write_cvat_video(annotated(case, tmp_path), tmp_path)
    assert path.name == f"{case.name}.cvat-video.xml"
    root, task = read(path, "interpolation")
    assert task.findtext("name") == case.name
    assert (task.findtext("original_size/width"), task.findtext("original_size/height")) == tuple(map(str, case.size))
    got: dict[int, list[Found]] = {number: [] for number in case.good}
    for number, box in shown(root, task):
        got[number].append(box)
    check(got, case, 0.0051)
    assert root.findtext("meta/caveat") == CAVEAT
    assert root.findtext("meta/model") == "tiny <1>"


@ids
def test_images_have_their_boxes(case: Case, tmp_path: Path) -> None:
    [path] = write_cvat_images(annotated(case, tmp_path), tmp_path)
    assert path.name == f"{case.name}.cvat-images.xml"
    root, task = read(path, "annotation")
    images = root.findall("image")
    assert int(task.findtext("size", "")) == len(images) == 4
    assert [image.attrib["id"] for image in images] == ["0", "1", "2", "3"]
    assert [image.attrib["name"] for image in images] == sorted(image.attrib["name"] for image in images)
    got: dict[int, list[Found]] = {}
    for image in images:
        assert (tmp_path / image.attrib["name"]).is_file()
        assert (int(image.attrib["width"]), int(image.attrib["height"])) == case.size
        got[int(Path(image.attrib["name"]).stem)] = [(box.attrib["label"], corners(box)) for box in image]
        for box in image:
            assert {one.attrib["name"] for one in box} <= set(label_fields(task)[box.attrib["label"]])
    check(got, case, 0.0051)


def test_an_object_is_outside_where_it_is_not_seen(tmp_path: Path) -> None:
    """At the next sampled frame; a frame without an answer says nothing."""
    [path] = write_cvat_video(annotated(CASES[0], tmp_path), tmp_path)
    root, _ = read(path, "interpolation")
    kept = {
        (track.attrib["label"], track.attrib["id"]): [(box.attrib["frame"], box.attrib["outside"]) for box in track]
        for track in root.iterfind("track")
    }
    assert kept == {
        (CAR, "7"): [("0", "0"), ("10", "0"), ("20", "1"), ("40", "0"), ("50", "1")],
        (NASTY, "10"): [("10", "0"), ("20", "1")],
        (GREEK, "9"): [("40", "0"), ("50", "1")],
        (NASTY, "11"): [("40", "0"), ("50", "1")],
    }


def test_the_task_has_the_sampled_frames_where_they_are_even(tmp_path: Path) -> None:
    for case, frames in zip(CASES, ("0-59:10", "0-40:10", "0-90:1", "105-249:25"), strict=True):
        [path] = write_cvat_video(annotated(case, tmp_path), tmp_path)
        _, task = read(path, "interpolation")
        assert f"{task.findtext('start_frame')}-{task.findtext('stop_frame')}:{step_of(task)}" == frames


def test_nothing_is_outside_behind_the_end(tmp_path: Path) -> None:
    """Neither of the source nor, where its length is unknown, of what was seen of it."""
    for case in CASES[1:3]:
        [path] = write_cvat_video(annotated(case, tmp_path), tmp_path)
        root, _ = read(path, "interpolation")
        assert max(int(box.attrib["frame"]) for box in root.iter("box")) == case.numbers[-1]


def test_attributes_are_declared_and_kept(tmp_path: Path) -> None:
    for write in (write_cvat_video, write_cvat_images):
        [path] = write(annotated(CASES[0], tmp_path), tmp_path)
        root = ElementTree.parse(path).getroot()
        task = root.find("meta/task")
        assert task is not None
        assert label_fields(task) == {NASTY: [], CAR: ["colour", "wheels"], GREEK: []}
        box = next(root.iter("box"))
        assert {one.attrib["name"]: one.text for one in box} == {"colour": "red & <blue>", "wheels": "4"}


def test_labels_with_anything_in_them_agree(tmp_path: Path) -> None:
    """What XML cannot hold becomes the same on both sides; line ends survive."""
    label = "one\r\ntwo\tthree \x00\x1b\ud800 ]]> --"
    seen = [(Detection(label, BOX, 1, {"a\nb": "c\rd\x07"}),)] * 4
    for write in (write_cvat_video, write_cvat_images):
        [path] = write(annotated(CASES[0], tmp_path, seen), tmp_path)
        root = ElementTree.parse(path).getroot()
        names = [one.text for one in root.iterfind("meta/task/labels/label/name")]
        assert names == ["car", "one\ntwo\tthree \ufffd\ufffd\ufffd ]]> --"]
        carrying = [one for tag in ("track", "box") for one in root.iter(tag) if "label" in one.attrib]
        assert {one.attrib["label"] for one in carrying} == {"one\ntwo\tthree \ufffd\ufffd\ufffd ]]> --"}
        assert {(one.attrib["name"], one.text) for one in root.iter("attribute") if one.attrib} == {
            ("a\nb", "c\nd\ufffd")
        }


def test_a_source_without_results_is_an_empty_document(tmp_path: Path) -> None:
    nothing = replace(annotated(CASES[0], tmp_path), results=(), stills={})
    for write in (write_cvat_video, write_cvat_images):
        [path] = write(nothing, tmp_path)
        root = ElementTree.parse(path).getroot()
        assert [one.tag for one in root] == ["version", "meta"]


def test_a_missing_still_is_said(tmp_path: Path) -> None:
    whole = annotated(CASES[0], tmp_path)
    with pytest.raises(OutputError, match=r"cvat-images.xml: the picture of frame 10 \(1.000 s\) is missing"):
        write_cvat_images(replace(whole, stills={0: whole.stills[0]}), tmp_path)
    whole.stills[4].path.unlink()
    with pytest.raises(OutputError, match=r"frame 40 \(4.000 s\)"):
        write_cvat_images(whole, tmp_path)
    assert not list(tmp_path.glob("*cvat*"))


TRACKED = st.lists(
    st.lists(st.builds(Detection, st.sampled_from("ab"), st.just(BOX), st.none() | st.integers(0, 4)), max_size=5),
    max_size=6,
)


@given(TRACKED)
def test_every_detection_is_in_exactly_one_track(seen: list[list[Detection]]) -> None:
    results = tuple(
        FrameResult("s", number, float(number), (9, 9), detections=tuple(found)) for number, found in enumerate(seen)
    )
    made = tracks(Annotations("n", "n.mp4", (9, 9), results))
    assert len({track.id for track in made}) == len(made)
    for place, found in enumerate(seen):
        there = Counter(track.label for track in made if place in track.boxes)
        assert there == Counter(one.label for one in found)
    for track in made:
        assert list(track.boxes) == sorted(track.boxes)
        assert len(track.boxes) == 1 or len({one.track_id for one in track.boxes.values()} - {None}) == 1


def test_ids_stay_where_they_are_free() -> None:
    found = tuple(Detection(label, BOX, number) for label, number in (("a", 3), ("b", 3), ("a", None), ("a", 3)))
    made = tracks(Annotations("n", "n.mp4", (9, 9), (FrameResult("s", 0, 0.0, (9, 9), detections=found),)))
    assert [(track.id, track.label) for track in made] == [(3, "a"), (4, "b"), (5, "a"), (6, "a")]
