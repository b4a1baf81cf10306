"""COCO's detection format: ``NAME.coco.json``."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

from streamer.outputs.base import Annotations
from streamer.outputs.documents import write_json
from streamer.outputs.pictures import corners, found, picture_name, picture_size
from streamer.results import Detection
from streamer.sources.base import Size


def write_coco(annotations: Annotations, folder: Path) -> list[Path]:
    """Boxes are in pixels of the upright picture. Raises `OutputError` where the file cannot be written."""
    path = folder / f"{annotations.name}.coco.json"
    write_json(path, _document(annotations, folder))
    return [path]


def _document(annotations: Annotations, folder: Path) -> dict[str, Any]:
    categories = {label: number for number, label in enumerate(annotations.labels, 1)}
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    numbers = count(1)
    for image_id, result in enumerate(annotations.good, 1):
        size = picture_size(annotations, result)
        images.append(
            {
                "id": image_id,
                "file_name": picture_name(annotations, result, folder),
                "width": size[0],
                "height": size[1],
                "frame_index": annotations.number(result),
                "time_seconds": result.time_seconds,
            }
        )
        for detection in found(result, size):
            ids = {"id": next(numbers), "image_id": image_id, "category_id": categories[detection.label]}
            boxes.append(ids | _box(detection, size))
    names = [{"id": number, "name": label, "supercategory": ""} for label, number in categories.items()]
    return {"info": _info(annotations), "licenses": [], "images": images, "annotations": boxes, "categories": names}


def _info(annotations: Annotations) -> dict[str, Any]:
    said = f"Objects in {annotations.name}, found by {annotations.model or 'a model'}."
    return {
        "description": said if annotations.caveat is None else f"{said} {annotations.caveat}",
        "contributor": "streamer",
        "url": annotations.address,
        "model": annotations.model,
        "caveat": annotations.caveat,
    }


def _box(detection: Detection, size: Size) -> dict[str, Any]:
    x1, y1, x2, y2 = corners(detection.box, size)
    width, height = round(x2 - x1, 2), round(y2 - y1, 2)
    values: dict[str, Any] = {
        "bbox": [x1, y1, width, height],
        "area": round(width * height, 2),
        "iscrowd": 0,
        "segmentation": [],
    }
    if detection.track_id is not None:
        values["track_id"] = detection.track_id
    if detection.attributes:
        values["attributes"] = dict(detection.attributes)
    return values
