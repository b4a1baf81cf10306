"""Drawn squares whose ways are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamer.geometry import Box
from streamer.results import Detection

SIZE = (480, 270)


def at(x: float, y: float = 0.5, label: str = "car", side: float = 0.1) -> Detection:
    return Detection(label, Box(x - side / 2, y - side / 2, x + side / 2, y + side / 2))


def ids(detections: tuple[Detection, ...]) -> list[int | None]:
    return [detection.track_id for detection in detections]


def texture(seed: int, side: int) -> NDArray[np.float32]:
    """A square of coarse grains."""
    grains = np.random.default_rng(seed).uniform(0, 255, (side // 4 + 1, side // 4 + 1))
    return np.kron(grains, np.ones((4, 4)))[:side, :side].astype(np.float32)


def picture(*squares: tuple[float, float, int], scale: float = 1.0, backdrop: int = 90) -> NDArray[np.uint8]:
    """``(270, 480, 3)``: squares of 60 pixels whose centres are at x, y, between pixels too, and their looks."""
    import cv2

    canvas = np.full((SIZE[1], SIZE[0]), backdrop, np.float32)
    canvas += np.kron(np.random.default_rng(99).normal(0, 12, (27, 48)), np.ones((10, 10))).astype(np.float32)
    for x, y, look in squares:
        patch = texture(look, 60)
        matrix = np.array([[scale, 0, x - 29.5 * scale - 0.5], [0, scale, y - 29.5 * scale - 0.5]])
        drawn = cv2.warpAffine(patch, matrix, SIZE)
        mask = cv2.warpAffine(np.ones_like(patch), matrix, SIZE)
        canvas = canvas * (1 - mask) + drawn
    return np.repeat(np.clip(canvas, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def square(x: float, y: float, side: float = 60) -> Box:
    return Box((x - side / 2) / 480, (y - side / 2) / 270, (x + side / 2) / 480, (y + side / 2) / 270)
