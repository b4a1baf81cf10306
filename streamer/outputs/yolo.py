"""YOLO's folders: ``NAME.yolo/`` with ``images/``, ``labels/`` and ``data.yaml``.

https://docs.ultralytics.com/datasets/detect/
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from streamer.outputs.atomic import replacing_folder
from streamer.outputs.base import Annotations
from streamer.outputs.documents import yaml_string
from streamer.outputs.pictures import found, needed_stills, place
from streamer.results import Detection


def write_yolo(annotations: Annotations, folder: Path) -> list[Path]:
    """A text file a picture, also for those without a box. Raises `OutputError` where the folder cannot be written or
    a still is missing."""
    path = folder / f"{annotations.name}.yolo"
    pictures = needed_stills(annotations, path)
    classes = {label: number for number, label in enumerate(annotations.labels)}
    with replacing_folder(path) as temporary:
        images, labels = temporary / "images", temporary / "labels"
        images.mkdir()
        labels.mkdir()
        for result, still in pictures:
            image = place(still, images)
            lines = [_line(detection, classes) for detection in found(result, still.size)]
            (labels / f"{image.stem}.txt").write_text("".join(lines), encoding="ascii")
        (temporary / "data.yaml").write_text(_data(annotations), encoding="utf-8")
    return [path]


def _line(detection: Detection, classes: Mapping[str, int]) -> str:
    """``class centre-x centre-y width height``, in parts of the picture."""
    box = detection.box
    values = " ".join(f"{value:.6f}" for value in (*box.centre, box.width, box.height))
    return f"{classes[detection.label]} {values}\n"


def _data(annotations: Annotations) -> str:
    said = [f"Objects in {annotations.name}, found by {annotations.model or 'a model'}.", annotations.caveat]
    lines = [f"# {yaml_string(sentence)}" for sentence in said if sentence]
    # Trainers refuse a file without val; which pictures to keep for it is the trainer's to decide.
    lines += ["train: images", "val: images"]
    names = [f"  {number}: {yaml_string(label)}" for number, label in enumerate(annotations.labels)]
    lines += ["names:", *names] if names else ["names: {}"]
    return "\n".join(lines) + "\n"
