"""Difficult clips through a whole file job, read back by the formats' own readers.

Each picture says its number, the model answers with a box that depends on the number it sees, and the number in the
picture of each annotation, its box and its time have to be those.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import av
import numpy as np
import pytest
import supervision
from numpy.typing import NDArray
from PIL import Image
from pycocotools.coco import COCO

from streamer.annotation import AnnotateJob
from streamer.filejob import AnnotateOptions
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.outputs.jsonl import read_journal
from streamer.sampling import Sampling
from streamer.sources.synthetic import draw, read_counter
from streamer.tasks import Task
from tests.media import even, make_clip, set_display_matrix

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Clip:
    """A clip with its upright ``size``, and the numbers of the pictures that `SAMPLING` must choose."""

    name: str
    make: Callable[[Path], Path]
    size: tuple[int, int]
    numbers: tuple[int, ...]
    times: tuple[float, ...]


SAMPLING = Sampling.every("0.5")
VARIABLE_MS = [0, 40, 90, 400, 460, 700, 701, 1300, 1310, 2050, 2400]


def _turned(path: Path) -> Path:
    def sideways(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        upright = draw(number, (size[1], size[0]))
        return np.ascontiguousarray(np.rot90(upright))  # a quarter to the left

    clip = make_clip(path, even(21), size=(120, 160), picture=sideways)
    return set_display_matrix(clip, 0, 1, -1, 0)  # shown a quarter to the right


def _late(path: Path) -> Path:
    return make_clip(path, [5000 + moment for moment in even(21)])


CLIPS = (
    Clip("turned.mp4", _turned, (160, 120), (0, 5, 10, 15, 20), (0, 0.5, 1, 1.5, 2)),
    Clip(
        "odd.avi",
        lambda path: make_clip(path, even(21), size=(161, 97), codec="mpeg4", b_frames=0),
        (161, 97),
        (0, 5, 10, 15, 20),
        (0, 0.5, 1, 1.5, 2),
    ),
    Clip(
        "variable.mp4",
        lambda path: make_clip(path, VARIABLE_MS),
        (160, 96),
        (0, 4, 6, 8, 10),
        (0, 0.46, 0.701, 1.31, 2.4),
    ),
    Clip("late.mkv", _late, (160, 96), (0, 5, 10, 15, 20), (0, 0.5, 1, 1.5, 2)),
)


def place(number: int) -> Box:
    """Of the box in picture ``number``, in 0..1, on the model's grid of a thousandth."""
    left = 0.1 + 0.025 * (number % 24)
    return left, 0.25, left + 0.2, 0.75


def says_where(request: Request) -> str:
    number = read_counter(request.images[0])
    if "output only" not in request.prompt:
        return f"picture {number}"
    x1, y1, x2, y2 = (round(value * 1000) for value in place(number))
    return json.dumps([{"box_2d": [y1, x1, y2, x2], "label": "thing"}])


@pytest.fixture(params=CLIPS, ids=lambda clip: clip.name)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Clip, Path]:
    clip: Clip = request.param
    source = clip.make(tmp_path / clip.name)
    formats = ("jsonl", "srt", "vtt", "coco", "cvat", "label-studio", "yolo", "voc")
    options = AnnotateOptions((Task.caption(), Task.detect("thing")), SAMPLING, formats=formats)
    model = ScriptedModel(says_where)
    model.caveat = None  # it would stand in the subtitles
    list(AnnotateJob(str(source), model, options, output=tmp_path / "out"))
    return clip, tmp_path / "out"


def check(found: Sequence[tuple[int, Box]], clip: Clip, within: float = 1.0) -> None:
    """Frame numbers exactly, boxes within a pixel."""
    assert [number for number, _ in found] == list(clip.numbers)
    width, height = clip.size
    for number, box in found:
        wanted = [value * side for value, side in zip(place(number), (width, height) * 2, strict=True)]
        assert np.abs(np.subtract(box, wanted)).max() <= within, (number, box, wanted)


def test_every_reader_gets_the_same_frames_and_boxes(case: tuple[Clip, Path]) -> None:
    clip, out = case
    stem = Path(clip.name).stem
    rows = [row for row in read_journal(out / f"{stem}.jsonl") if row["type"] == "frame"]
    assert [row["index"] for row in rows] == list(clip.numbers)
    assert [row["time_seconds"] for row in rows] == pytest.approx(list(clip.times), abs=0.0015)
    check(list(_coco(out / f"{stem}.coco.json")), clip)
    check(list(_cvat_video(out / f"{stem}.cvat-video.xml")), clip)
    check(list(_cvat_images(out / f"{stem}.cvat-images.xml", out)), clip)
    check(list(_label_studio(out / f"{stem}.label-studio.json", clip)), clip)
    check(list(_yolo(out / f"{stem}.yolo")), clip)
    check(list(_voc(out / f"{stem}.voc")), clip)


def test_subtitles_start_with_their_pictures(case: tuple[Clip, Path]) -> None:
    clip, out = case
    with av.open(str(out / f"{Path(clip.name).stem}.srt")) as container:
        packets = [packet for packet in container.demux(subtitles=0) if packet.pts is not None]
        shown = [
            (bytes(packet).decode(), float(packet.pts * packet.time_base))
            for packet in packets
            if packet.pts is not None
        ]
    assert [text for text, _ in shown] == [f"picture {number}" for number in clip.numbers]
    assert [time for _, time in shown] == pytest.approx(list(clip.times), abs=0.0015)


@pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.name)
def test_the_annotated_video_has_each_picture_at_its_time(clip: Clip, tmp_path: Path) -> None:
    source, out = clip.make(tmp_path / clip.name), tmp_path / "out"
    model = ScriptedModel(lambda request: ".")
    model.caveat = None  # it would be drawn over the counter
    list(AnnotateJob(str(source), model, AnnotateOptions(sampling=SAMPLING), output=out))
    with av.open(str(tmp_path / clip.name)) as container:
        times = sorted(float(frame.time or 0) for frame in container.decode(video=0))
    with av.open(str(out / f"{Path(clip.name).stem}.annotated.mp4")) as container:
        frames = list(container.decode(video=0))
    assert [float(frame.time or 0) for frame in frames] == pytest.approx([time - times[0] for time in times], abs=0.002)
    assert abs(frames[0].width - clip.size[0]) <= 1
    assert abs(frames[0].height - clip.size[1]) <= 1
    shown = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]
    assert [read_counter(image) for image in shown] == list(range(len(times)))


def _coco(path: Path) -> Iterator[tuple[int, Box]]:
    coco = COCO(str(path))
    for one in coco.loadAnns(coco.getAnnIds()):
        [image] = coco.loadImgs(one["image_id"])
        x, y, width, height = one["bbox"]
        assert _number(path.parent / image["file_name"]) == image["frame_index"]
        yield image["frame_index"], (x, y, x + width, y + height)


def _cvat_video(path: Path) -> Iterator[tuple[int, Box]]:
    boxes = ElementTree.parse(path).getroot().findall("track/box")
    for box in sorted(boxes, key=lambda box: int(box.attrib["frame"])):
        if box.attrib["outside"] == "0":
            yield int(box.attrib["frame"]), _corners(box)


def _cvat_images(path: Path, folder: Path) -> Iterator[tuple[int, Box]]:
    for image in ElementTree.parse(path).getroot().findall("image"):
        [box] = image.findall("box")
        yield _number(folder / image.attrib["name"]), _corners(box)


def _corners(box: ElementTree.Element) -> Box:
    x1, y1, x2, y2 = (float(box.attrib[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
    return x1, y1, x2, y2


def _label_studio(path: Path, clip: Clip) -> Iterator[tuple[int, Box]]:
    """Its frames are those of a clock that ticks ``framerate`` times a second."""
    video = ElementTree.parse(path.with_suffix(".xml")).getroot().find("Video")
    assert video is not None
    ticks = [round(time * float(video.attrib["framerate"])) for time in clip.times]
    numbers = dict(zip(ticks, clip.numbers, strict=True))
    [task] = json.loads(path.read_text())
    width, height = clip.size
    for result in task["predictions"][0]["result"]:
        for key in result["value"].get("sequence", ()):
            x, y = key["x"] / 100 * width, key["y"] / 100 * height
            box = (x, y, x + key["width"] / 100 * width, y + key["height"] / 100 * height)
            yield numbers[key["frame"] - 1], box


def _yolo(folder: Path) -> Iterator[tuple[int, Box]]:
    return _supervised(
        supervision.DetectionDataset.from_yolo(
            str(folder / "images"), str(folder / "labels"), str(folder / "data.yaml")
        )
    )


def _voc(folder: Path) -> Iterator[tuple[int, Box]]:
    images, labels = folder / "JPEGImages", folder / "Annotations"
    return _supervised(supervision.DetectionDataset.from_pascal_voc(str(images), str(labels)))


def _supervised(dataset: supervision.DetectionDataset) -> Iterator[tuple[int, Box]]:
    found = []
    for path, _, detections in dataset:
        [box] = detections.xyxy
        x1, y1, x2, y2 = map(float, box)
        found.append((_number(Path(path)), (x1, y1, x2, y2)))
    return iter(sorted(found))


def _number(path: Path) -> int:
    """That the picture itself shows."""
    return read_counter(np.asarray(Image.open(path).convert("RGB")))
