"""What the formats for datasets share: which boxes count, what the pictures are called, where they lie."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from streamer.errors import OutputError
from streamer.geometry import Box
from streamer.outputs.base import Annotations, Still
from streamer.results import Detection, FrameResult
from streamer.sources.base import Size

THINNEST = 0.1
"""Pixels: a box that is thinner has no area, and would have none after rounding."""


def found(result: FrameResult, size: Size) -> list[Detection]:
    """The detections whose box, cut off at the picture's edges, has an area in a picture of that size."""
    inside = [(detection, detection.box.clamped()) for detection in result.detections]
    return [
        Detection(detection.label, box, detection.track_id, detection.attributes)
        for detection, box in inside
        if box.width * size[0] >= THINNEST and box.height * size[1] >= THINNEST
    ]


def corners(box: Box, size: Size) -> tuple[float, float, float, float]:
    """``x1, y1, x2, y2`` in pixels of a picture of that size, to a hundredth."""
    width, height = size
    return round(box.x1 * width, 2), round(box.y1 * height, 2), round(box.x2 * width, 2), round(box.y2 * height, 2)


def percent(box: Box) -> dict[str, float]:
    """``x, y, width, height`` in percent of the picture, to a ten-thousandth."""
    x, y = round(box.x1 * 100, 4), round(box.y1 * 100, 4)
    return {"x": x, "y": y, "width": round(box.x2 * 100 - x, 4), "height": round(box.y2 * 100 - y, 4)}


def plain(value: Any) -> str:
    """A field of a detection as text: strings as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def picture_name(annotations: Annotations, result: FrameResult, folder: Path) -> str:
    """The still's name from ``folder``, ``NAME.frames/000123.jpg``; where none is there, the one it would have."""
    still = annotations.stills.get(result.sequence)
    if still is not None and still.path.absolute().is_relative_to(folder.absolute()):
        return still.path.absolute().relative_to(folder.absolute()).as_posix()
    return f"{annotations.name}.frames/{annotations.number(result):06d}.jpg"


def picture_size(annotations: Annotations, result: FrameResult) -> Size:
    """``(width, height)`` of the result's own picture; those of a source may differ."""
    still = annotations.stills.get(result.sequence)
    return result.source_size if still is None else still.size


def needed_stills(annotations: Annotations, path: Path) -> list[tuple[FrameResult, Still]]:
    """Every good result, with its picture. Raises `OutputError` about ``path`` where one is missing."""
    pairs = [(result, annotations.stills.get(result.sequence)) for result in annotations.good]
    for result, still in pairs:
        if still is None or not still.path.is_file():
            reason = f"the picture of frame {annotations.number(result)} ({result.time_seconds:.3f} s) is missing"
            raise OutputError(path, reason, "save the sampled frames as pictures as well")
    return [(result, still) for result, still in pairs if still is not None]


def place(still: Still, folder: Path) -> Path:
    """The still in ``folder`` under its own name: the same file where the disk allows that, else a copy.

    Raises `FileExistsError` where the name is taken.
    """
    path = folder / still.path.name
    try:
        os.link(still.path, path)
    except FileExistsError:
        raise
    except OSError:
        shutil.copyfile(still.path, path)
    return path
