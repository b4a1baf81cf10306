"""YOLO's and Pascal VOC's folders, read back by supervision and line by line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

import numpy as np
import pytest
import supervision
import yaml
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import OutputError
from streamer.geometry import Box
from streamer.outputs.base import Still, Write
from streamer.outputs.documents import yaml_string
from streamer.outputs.voc import pixels, write_voc
from streamer.outputs.yolo import write_yolo
from streamer.results import Detection
from tests.outputs.samples import CASES, CAVEAT, GREEK, Case, Found, annotated, check

ids = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
both = pytest.mark.parametrize("write", [write_yolo, write_voc])


def by_frame(data: supervision.DetectionDataset, size: tuple[int, int]) -> dict[int, list[Found]]:
    got: dict[int, list[Found]] = {}
    for name, image, boxes in data:
        assert np.shape(image) == (size[1], size[0], 3)
        labels = [data.classes[int(number)] for number in (boxes.class_id if boxes.class_id is not None else ())]
        got[int(Path(name).stem)] = [
            (label, (float(box[0]), float(box[1]), float(box[2]), float(box[3])))
            for label, box in zip(labels, boxes.xyxy, strict=True)
        ]
    return got


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("[!.]*") if path.is_file())


@ids
def test_supervision_reads_the_yolo_folder(case: Case, tmp_path: Path) -> None:
    [path] = write_yolo(annotated(case, tmp_path), tmp_path)
    assert path == tmp_path / f"{case.name}.yolo"
    names = [f"{number:06d}" for number in case.good]
    assert files(path) == sorted(
        ["data.yaml", *(f"images/{name}.jpg" for name in names), *(f"labels/{name}.txt" for name in names)]
    )
    data = supervision.DetectionDataset.from_yolo(str(path / "images"), str(path / "labels"), str(path / "data.yaml"))
    check(by_frame(data, case.size), case, 0.01)
    assert (path / "labels" / f"{case.good[2]:06d}.txt").read_text() == ""


@ids
def test_supervision_reads_the_voc_folder(case: Case, tmp_path: Path) -> None:
    [path] = write_voc(annotated(case, tmp_path), tmp_path)
    assert path == tmp_path / f"{case.name}.voc"
    names = [f"{number:06d}" for number in case.good]
    assert files(path) == sorted(
        [
            *(f"Annotations/{name}.xml" for name in names),
            *(f"JPEGImages/{name}.jpg" for name in names),
            "ImageSets/Main/default.txt",
            "labelmap.txt",
        ]
    )
    assert (path / "ImageSets/Main/default.txt").read_text().split() == names
    data = supervision.DetectionDataset.from_pascal_voc(str(path / "JPEGImages"), str(path / "Annotations"))
    check(by_frame(data, case.size), case, 1)


def test_data_yaml_names_the_classes_and_the_caveat(tmp_path: Path) -> None:
    label = 'quote " \\ back, colon: # hash\nline \x85\u2028\x7f\ufeff é 🚗'
    seen = [(Detection(label, Box(0, 0, 1, 1)), Detection("no", Box(0, 0, 0.5, 1)))] * 4
    [path] = write_yolo(annotated(CASES[0], tmp_path, seen), tmp_path)
    text = (path / "data.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    assert document == {
        "train": "images",
        "val": "images",
        "names": {0: "car", 1: "no", 2: label},
    }
    assert CAVEAT in text.replace("\\", "")
    assert (path / "labels/000000.txt").read_text().splitlines() == [
        "2 0.500000 0.500000 1.000000 1.000000",
        "1 0.250000 0.500000 0.500000 1.000000",
    ]


def test_a_voc_document_says_what_it_is_of(tmp_path: Path) -> None:
    [path] = write_voc(annotated(CASES[1], tmp_path), tmp_path)
    root = ElementTree.parse(path / "Annotations/000000.xml").getroot()
    assert root.findtext("filename") == "000000.jpg"
    assert [root.findtext(f"size/{name}") for name in ("width", "height", "depth")] == ["161", "97", "3"]
    assert root.findtext("source/caveat") == CAVEAT
    assert root.findtext("source/annotation") == "tiny <1>"
    [car] = root.iterfind("object")
    fields = {one.findtext("name"): one.findtext("value") for one in car.iterfind("attributes/attribute")}
    assert fields == {"track_id": "7", "colour": "red & <blue>", "wheels": "4"}
    whole = ElementTree.parse(path / "Annotations/000010.xml").getroot().findall("object")[1]
    assert [whole.findtext(f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax")] == ["1", "1", "161", "97"]


def test_the_label_map_has_what_it_can_hold(tmp_path: Path) -> None:
    """It has no quotes: a label with a colon would break the whole file."""
    [path] = write_voc(annotated(CASES[0], tmp_path), tmp_path)
    assert (path / "labelmap.txt").read_text(encoding="utf-8").splitlines() == ["car:::", f"{GREEK}:::"]


@both
def test_the_pictures_are_the_stills(write: Write, tmp_path: Path) -> None:
    one = annotated(CASES[0], tmp_path)
    [path] = write(one, tmp_path)
    for still in one.stills.values():
        [copy] = path.rglob(still.path.name)
        assert copy.read_bytes() == still.path.read_bytes()


@both
def test_writing_again_takes_the_place_of_the_first(write: Write, tmp_path: Path) -> None:
    [path] = write(annotated(CASES[0], tmp_path), tmp_path)
    before = files(path)
    longer = replace(annotated(CASES[0], tmp_path), results=annotated(CASES[0], tmp_path).results[:2])
    assert write(longer, tmp_path) == [path]
    assert len(files(path)) < len(before)
    assert write(annotated(CASES[0], tmp_path), tmp_path) == [path]
    assert files(path) == before
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(["even.frames", path.name])


@both
def test_files_of_other_people_are_never_lost(write: Write, tmp_path: Path) -> None:
    annotations = annotated(CASES[0], tmp_path)
    [path] = write(annotations, tmp_path)
    (path / "my notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"my notes\.txt in it was not written by streamer .*move it away"):
        write(annotations, tmp_path)
    (path / "my notes.txt").unlink()
    (path / ".streamer").unlink()
    before = files(path)
    with pytest.raises(OutputError, match="exists already, and streamer has not made it"):
        write(annotations, tmp_path)
    assert files(path) == before


@both
def test_a_missing_still_leaves_the_first_as_it_was(write: Write, tmp_path: Path) -> None:
    one = annotated(CASES[0], tmp_path)
    [path] = write(one, tmp_path)
    before = files(path)
    with pytest.raises(OutputError, match=r"the picture of frame 40 .* is missing"):
        write(replace(one, stills={key: one.stills[key] for key in (0, 1, 2)}), tmp_path)
    assert files(path) == before


@both
def test_two_stills_of_one_name_are_refused(write: Write, tmp_path: Path) -> None:
    one = annotated(CASES[0], tmp_path)
    other = tmp_path / "other" / one.stills[0].path.name
    other.parent.mkdir()
    other.write_bytes(b"another")
    with pytest.raises(OutputError, match="cannot be written: File exists"):
        write(replace(one, stills={**one.stills, 1: Still(other, (160, 96))}), tmp_path)
    assert one.stills[0].path.read_bytes() != b"another"


@both
def test_a_source_without_boxes_is_still_a_dataset(write: Write, tmp_path: Path) -> None:
    [path] = write(annotated(CASES[0], tmp_path, [()] * 4), tmp_path)
    assert len(list(path.rglob("*.jpg"))) == 4
    if write is write_yolo:
        assert {one.read_text() for one in path.glob("labels/*")} == {""}
    else:
        assert [ElementTree.parse(one).find("object") for one in path.glob("Annotations/*")] == [None] * 4


@given(st.text())
def test_any_text_is_a_yaml_string(text: str) -> None:
    quoted = yaml_string(text)
    assert yaml.safe_load(f"names:\n  0: {quoted}\n") == {"names": {0: text}}
    assert len(quoted.splitlines()) == 1


PART = st.floats(0, 1)


@given(st.builds(Box, PART, PART, PART, PART), st.tuples(st.integers(1, 8000), st.integers(1, 8000)))
def test_voc_pixels_lie_in_the_picture_within_a_pixel(box: Box, size: tuple[int, int]) -> None:
    box = box.ordered()
    xmin, ymin, xmax, ymax = pixels(box, size)
    assert 1 <= xmin <= xmax <= size[0]
    assert 1 <= ymin <= ymax <= size[1]
    for got, part, length in ((xmin - 1, box.x1, size[0]), (ymin - 1, box.y1, size[1])):
        assert abs(got - part * length) <= 1
    for got, part, length in ((xmax, box.x2, size[0]), (ymax, box.y2, size[1])):
        assert abs(got - part * length) <= 1


@both
def test_another_disk_gets_copies(write: Write, tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second disk")
    one = annotated(CASES[0], tmp_path)
    with TemporaryDirectory(dir=memory) as folder:
        [path] = write(one, Path(folder))
        for still in one.stills.values():
            [copy] = path.rglob(still.path.name)
            assert copy.read_bytes() == still.path.read_bytes()
            assert copy.stat().st_dev != still.path.stat().st_dev
