"""What stands behind the things of a drawn scene."""

from __future__ import annotations

import functools
import random

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]


@functools.lru_cache(maxsize=8)
def backdrop(place: str, time: str, seed: int, size: tuple[int, int]) -> Pixels:
    """``(H, W, 3)`` uint8 RGB of ``size`` = (W, H): street, park, square or beach, by day or night.

    It is kept for the next call: copy it before you draw on it.
    """
    rng = random.Random(seed)
    width, height = size
    horizon = int(height * rng.uniform(0.42, 0.6))
    canvas = np.empty((height, width, 3), np.uint8)
    _sky(canvas, horizon, rng)
    {"street": _street, "park": _park, "square": _square, "beach": _beach}[place](canvas, horizon, rng)
    if time == "night":
        canvas = (canvas * np.array([0.22, 0.24, 0.34], np.float32)).astype(np.uint8)
        _lights(canvas, horizon, rng)
    return canvas


def _shade(rng: random.Random, base: Colour, spread: int = 18) -> Colour:
    shift = rng.randint(-spread, spread)
    red, green, blue = (min(255, max(0, value + shift + rng.randint(-8, 8))) for value in base)
    return red, green, blue


def _darker(colour: Colour, by: int) -> Colour:
    red, green, blue = (max(0, value - by) for value in colour)
    return red, green, blue


def _box(canvas: Pixels, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
    canvas[max(0, int(y0)) : max(0, int(y1)), max(0, int(x0)) : max(0, int(x1))] = colour


def _sky(canvas: Pixels, horizon: int, rng: random.Random) -> None:
    top = np.array(_shade(rng, (110, 170, 230)), np.float32)
    low = np.array(_shade(rng, (205, 225, 240)), np.float32)
    share = np.linspace(0, 1, max(1, horizon), dtype=np.float32)[:, None, None]
    canvas[:horizon] = top * (1 - share) + low * share


def _houses(canvas: Pixels, horizon: int, rng: random.Random, tallest: float) -> None:
    height, width = canvas.shape[:2]
    x = -rng.uniform(0, 0.1) * width
    while x < width:
        wide, tall = rng.uniform(0.07, 0.17) * width, rng.uniform(0.25, 1.0) * tallest * height
        wall = _shade(rng, rng.choice(((180, 150, 130), (160, 165, 175), (200, 185, 150), (150, 120, 110))))
        _box(canvas, x, horizon - tall, x + wide, horizon, wall)
        pane = _darker(wall, 55)
        columns, rows = rng.randint(2, 4), max(1, int(tall / (0.07 * height)))
        for column in range(columns):
            for row in range(rows):
                left = x + wide * (column + 0.3) / columns
                up = horizon - tall + tall * (row + 0.3) / rows
                _box(canvas, left, up, left + wide * 0.4 / columns, up + tall * 0.4 / rows, pane)
        x += wide + rng.choice((0.0, 0.0, 0.02)) * width


def _trees(canvas: Pixels, horizon: int, rng: random.Random, count: int) -> None:
    height, width = canvas.shape[:2]
    for _ in range(count):
        x, radius = rng.uniform(0, width), rng.uniform(0.04, 0.09) * height
        trunk = rng.uniform(0.04, 0.09) * height
        _box(canvas, x - radius * 0.15, horizon - trunk, x + radius * 0.15, horizon, _shade(rng, (105, 80, 60)))
        centre = (int(x), int(horizon - trunk - radius * 0.7))
        cv2.circle(canvas, centre, max(1, int(radius)), _shade(rng, (70, 130, 65)), -1, cv2.LINE_AA)


def _street(canvas: Pixels, horizon: int, rng: random.Random) -> None:
    height, width = canvas.shape[:2]
    _houses(canvas, horizon, rng, 0.4)
    pavement = horizon + int(0.1 * height)
    canvas[horizon:pavement] = _shade(rng, (170, 168, 162))
    canvas[pavement:] = _shade(rng, (92, 94, 98), 12)
    stripe = int(pavement + 0.5 * (height - pavement))
    for x in range(int(-rng.uniform(0, 0.1) * width), width, max(8, width // 9)):
        _box(canvas, x, stripe, x + width / 18, stripe + max(1, height / 90), (225, 222, 205))


def _park(canvas: Pixels, horizon: int, rng: random.Random) -> None:
    height, width = canvas.shape[:2]
    canvas[horizon:] = _shade(rng, (112, 160, 86))
    _trees(canvas, horizon, rng, rng.randint(4, 9))
    left = rng.uniform(0.1, 0.7) * width
    path = np.array(
        [[left, height], [left + 0.3 * width, height], [left + 0.2 * width, horizon], [left + 0.14 * width, horizon]]
    )
    cv2.fillPoly(canvas, [path.astype(np.int32)], _shade(rng, (205, 188, 150)), cv2.LINE_AA)


def _square(canvas: Pixels, horizon: int, rng: random.Random) -> None:
    height, width = canvas.shape[:2]
    _houses(canvas, horizon, rng, 0.3)
    tile = _shade(rng, (186, 176, 160))
    canvas[horizon:] = tile
    line = _darker(tile, 22)
    for row in range(1, 6):
        y = horizon + int((height - horizon) * (row / 6) ** 1.6)
        cv2.line(canvas, (0, y), (width, y), line, max(1, height // 300), cv2.LINE_AA)
    middle = rng.uniform(0.3, 0.7) * width
    for step in range(-6, 7):
        foot = int(middle + step * width * 0.18)
        cv2.line(canvas, (int(middle + step * width * 0.07), horizon), (foot, height), line, 1, cv2.LINE_AA)


def _beach(canvas: Pixels, horizon: int, rng: random.Random) -> None:
    height = canvas.shape[0]
    shore = horizon + int(rng.uniform(0.08, 0.16) * height)
    canvas[horizon:shore] = _shade(rng, (72, 140, 175))
    canvas[shore:] = _shade(rng, (226, 205, 160))
    canvas[shore : shore + max(1, height // 70)] = (240, 240, 232)


def _lights(canvas: Pixels, horizon: int, rng: random.Random) -> None:
    height, width = canvas.shape[:2]
    for _ in range(rng.randint(12, 30)):
        x, y = rng.randrange(width), rng.randrange(max(1, int(horizon * 0.6)))
        canvas[y, x] = (205, 210, 225)
    cv2.circle(
        canvas,
        (int(rng.uniform(0.1, 0.9) * width), int(rng.uniform(0.05, 0.14) * height)),
        max(2, height // 32),
        (235, 232, 210),
        -1,
        cv2.LINE_AA,
    )
