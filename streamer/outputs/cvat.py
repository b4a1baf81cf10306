"""CVAT's XML 1.1: ``NAME.cvat-video.xml`` with a track an object, ``NAME.cvat-images.xml`` with the boxes by picture.

https://docs.cvat.ai/docs/dataset_management/formats/xml_format/
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median_low
from xml.etree import ElementTree

from streamer.outputs.base import Annotations
from streamer.outputs.documents import child, write_xml, xml_text
from streamer.outputs.pictures import corners, found, needed_stills, picture_name, plain
from streamer.outputs.tracks import Track, tracks
from streamer.results import Detection
from streamer.sources.base import Size


@dataclass(frozen=True, slots=True)
class _Frames:
    """Which of the source's frames a task has: from start to stop, both included, every step-th."""

    start: int
    stop: int
    step: int = 1

    @property
    def size(self) -> int:
        return (self.stop - self.start) // self.step + 1


def write_cvat_video(annotations: Annotations, folder: Path) -> list[Path]:
    """CVAT for video. Frames are numbered as in the source, which is the video to make the task of.

    Raises `OutputError` where the file cannot be written.
    """
    path = folder / f"{annotations.name}.cvat-video.xml"
    root, task = _root(annotations, "interpolation", _video_frames(annotations))
    size = child(task, "original_size")
    child(size, "width", annotations.size[0])
    child(size, "height", annotations.size[1])
    numbers = [annotations.number(result) for result in annotations.good]
    for track in tracks(annotations):
        _add_track(root, track, numbers, annotations)
    write_xml(path, root)
    return [path]


def write_cvat_images(annotations: Annotations, folder: Path) -> list[Path]:
    """CVAT for images; the task is to be made of the stills.

    Raises `OutputError` where the file cannot be written or a still is missing.
    """
    path = folder / f"{annotations.name}.cvat-images.xml"
    pictures = needed_stills(annotations, path)
    root, _ = _root(annotations, "annotation", _Frames(0, len(pictures) - 1))
    for number, (result, still) in enumerate(pictures):
        name = picture_name(annotations, result, folder)
        width, height = still.size
        image = child(root, "image", id=number, name=name, width=width, height=height)
        for detection in found(result, still.size):
            places = _corners(detection, still.size)
            box = child(image, "box", label=detection.label, source="auto", occluded=0, **places, z_order=0)
            _add_attributes(box, detection)
    write_xml(path, root)
    return [path]


def _video_frames(annotations: Annotations) -> _Frames:
    """Those that were sampled where they are evenly apart, else all."""
    numbers = [annotations.number(result) for result in annotations.results]
    last = max([*numbers, (annotations.picture_count or 0) - 1, 0])
    gaps = {after - before for before, after in pairwise(numbers)}
    if len(gaps) != 1 or min(gaps) < 1:
        return _Frames(0, last)
    return _Frames(numbers[0], last, gaps.pop())


def _root(annotations: Annotations, mode: str, frames: _Frames) -> tuple[ElementTree.Element, ElementTree.Element]:
    """The document and its ``task`` element."""
    root = ElementTree.Element("annotations")
    child(root, "version", "1.1")
    meta = child(root, "meta")
    task = child(meta, "task")
    for tag, value in (
        ("name", annotations.name),
        ("size", frames.size),
        ("mode", mode),
        ("overlap", 0),
        ("bugtracker", ""),
        ("flipped", False),
        ("start_frame", frames.start),
        ("stop_frame", frames.stop),
        ("frame_filter", "" if frames.step == 1 else f"step={frames.step}"),
    ):
        child(task, tag, value)
    _add_labels(task, annotations)
    child(meta, "source", annotations.address)
    child(meta, "model", annotations.model)
    child(meta, "caveat", annotations.caveat or "")
    return root, task


def _add_labels(task: ElementTree.Element, annotations: Annotations) -> None:
    fields: dict[str, set[str]] = {xml_text(label): set() for label in annotations.labels}
    for result in annotations.good:
        for detection in result.detections:
            fields[xml_text(detection.label)].update(xml_text(name) for name in detection.attributes or ())
    labels = child(task, "labels")
    for name, attributes in fields.items():
        label = child(labels, "label")
        child(label, "name", name)
        listed = child(label, "attributes")
        for attribute in sorted(attributes):
            _add_field(listed, attribute)


def _add_field(listed: ElementTree.Element, name: str) -> None:
    field = child(listed, "attribute")
    for tag, value in (
        ("name", name),
        ("mutable", True),
        ("input_type", "text"),
        ("default_value", ""),
        ("values", ""),
    ):
        child(field, tag, value)


def _add_track(root: ElementTree.Element, track: Track, numbers: list[int], annotations: Annotations) -> None:
    """A keyframe wherever the object was seen, and one that says ``outside`` where it is seen no longer."""
    element = child(root, "track", id=track.id, label=track.label, source="auto")
    for place, detection in track.boxes.items():
        _add_keyframe(element, numbers[place], detection, annotations.size, outside=False)
        after = _next(place, numbers, annotations)
        if place + 1 not in track.boxes and after is not None:
            _add_keyframe(element, after, detection, annotations.size, outside=True)


def _next(place: int, numbers: list[int], annotations: Annotations) -> int | None:
    """The sampled frame after the one at ``place``; after the last one as far on as usual, None behind the end."""
    if place + 1 < len(numbers):
        return numbers[place + 1]
    usual = median_low([after - before for before, after in pairwise(numbers)] or [1])
    after = numbers[place] + max(1, usual)
    return after if after < (annotations.picture_count or 0) else None


def _add_keyframe(track: ElementTree.Element, number: int, detection: Detection, size: Size, *, outside: bool) -> None:
    places = _corners(detection, size)
    box = child(track, "box", frame=number, keyframe=1, outside=int(outside), occluded=0, **places, z_order=0)
    _add_attributes(box, detection)


def _corners(detection: Detection, size: Size) -> dict[str, str]:
    names = ("xtl", "ytl", "xbr", "ybr")
    return {name: f"{value:.2f}" for name, value in zip(names, corners(detection.box, size), strict=True)}


def _add_attributes(box: ElementTree.Element, detection: Detection) -> None:
    for name, value in (detection.attributes or {}).items():
        child(box, "attribute", plain(value), name=name)
