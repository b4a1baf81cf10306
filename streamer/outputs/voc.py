"""Pascal VOC's folders: ``NAME.voc/`` with ``JPEGImages/``, ``Annotations/`` and ``ImageSets/Main/default.txt``.

http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/devkit_doc.html
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from streamer.geometry import Box
from streamer.outputs.atomic import replacing_folder
from streamer.outputs.base import Annotations, Still
from streamer.outputs.documents import child, xml_bytes, xml_text
from streamer.outputs.pictures import found, needed_stills, place, plain
from streamer.results import Detection, FrameResult
from streamer.sources.base import Size


def write_voc(annotations: Annotations, folder: Path) -> list[Path]:
    """An XML file a picture, also for those without a box. Raises `OutputError` where the folder cannot be written or
    a still is missing."""
    path = folder / f"{annotations.name}.voc"
    pictures = needed_stills(annotations, path)
    with replacing_folder(path) as temporary:
        images, said, sets = (temporary / name for name in ("JPEGImages", "Annotations", "ImageSets/Main"))
        for each in (images, said, sets):
            each.mkdir(parents=True)
        for result, still in pictures:
            place(still, images)
            root = _document(annotations, result, still)
            (said / f"{still.path.stem}.xml").write_bytes(xml_bytes(root))
        names = "".join(f"{still.path.stem}\n" for _, still in pictures)
        (sets / "default.txt").write_text(names, encoding="utf-8")
        (temporary / "labelmap.txt").write_text(_label_map(annotations), encoding="utf-8")
    return [path]


def pixels(box: Box, size: Size) -> tuple[int, int, int, int]:
    """``xmin, ymin, xmax, ymax`` of the first and the last pixel inside the box, counted from 1."""
    (xmin, xmax), (ymin, ymax) = _span(box.x1, box.x2, size[0]), _span(box.y1, box.y2, size[1])
    return xmin, ymin, xmax, ymax


def _span(start: float, end: float, length: int) -> tuple[int, int]:
    """A box too thin for a whole pixel gets the one that it is in."""
    first, last = round(start * length) + 1, round(end * length)
    if last < first:
        first = last = min(int((start + end) / 2 * length) + 1, length)
    return first, last


def _document(annotations: Annotations, result: FrameResult, still: Still) -> ElementTree.Element:
    root = ElementTree.Element("annotation")
    child(root, "folder", f"{annotations.name}.voc")
    child(root, "filename", still.path.name)
    source = child(root, "source")
    child(source, "database", annotations.name)
    child(source, "annotation", annotations.model)
    child(source, "image", f"frame {annotations.number(result)} at {result.time_seconds:.3f} s")
    if annotations.caveat is not None:
        child(source, "caveat", annotations.caveat)
    size = child(root, "size")
    for tag, value in zip(("width", "height", "depth"), (*still.size, 3), strict=True):
        child(size, tag, value)
    child(root, "segmented", 0)
    for detection in found(result, still.size):
        _add_object(root, detection, still.size)
    return root


def _add_object(root: ElementTree.Element, detection: Detection, size: Size) -> None:
    element = child(root, "object")
    for tag, value in (("name", detection.label), ("pose", "Unspecified"), ("truncated", 0), ("difficult", 0)):
        child(element, tag, value)
    box = child(element, "bndbox")
    for tag, number in zip(("xmin", "ymin", "xmax", "ymax"), pixels(detection.box, size), strict=True):
        child(box, tag, number)
    track = {} if detection.track_id is None else {"track_id": detection.track_id}
    fields = track | dict(detection.attributes or {})
    if fields:
        listed = child(element, "attributes")
        for name, said in fields.items():
            field = child(listed, "attribute")
            child(field, "name", name)
            child(field, "value", plain(said))


def _label_map(annotations: Annotations) -> str:
    """``name:colour:parts:actions`` a line, as CVAT and Datumaro want it for labels that are not VOC's own.

    Labels that this file cannot hold are left out: it knows no quotes.
    """
    labels = [xml_text(label) for label in annotations.labels]
    held = [label for label in labels if label.strip() == label != "" and label[0] != "#"]
    return "".join(f"{label}:::\n" for label in held if ":" not in label and len(label.splitlines()) == 1)
