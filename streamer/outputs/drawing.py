"""Boxes, labels and captions drawn on a picture, for files. (The browser draws its own.)"""

from __future__ import annotations

import bisect
import colorsys
import functools
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from streamer.results import Detection

Colour = tuple[int, int, int]

_BAND = 0.62
"""How dark the band behind a caption is: 0 leaves the picture, 1 is black."""
_BAND_HEIGHT = 0.4
"""Part of the picture's height that a caption may take; a longer one ends in an ellipsis."""


def colour_of(label: str) -> Colour:
    """The label's colour, ``(R, G, B)`` in 0..255; the same in every picture and run."""
    hue = zlib.crc32(label.encode()) % 360 / 360
    red, green, blue = colorsys.hls_to_rgb(hue, 0.55, 0.85)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_detections(image: NDArray[np.uint8], detections: Iterable[Detection]) -> NDArray[np.uint8]:
    """A copy of the ``(H, W, 3)`` uint8 RGB picture with a box and a label for each detection."""
    drawn = image.copy()
    height, width = drawn.shape[:2]
    thickness = max(2, round(min(height, width) / 240))
    for detection in detections:
        colour = colour_of(detection.label)
        corners = detection.box.to_pixels(width, height)
        _outline(drawn, corners, colour, thickness)
        name = detection.label if detection.track_id is None else f"{detection.label} {detection.track_id}"
        tag = _tag(name, colour, max(12, round(min(height, width) / 30)))
        _stamp(drawn, tag, corners[0], corners[1] - tag.shape[0])
    return drawn


def draw_caption(image: NDArray[np.uint8], caption: str) -> NDArray[np.uint8]:
    """A copy of the picture with the caption on a dark band along its lower edge."""
    drawn = image.copy()
    height, width = drawn.shape[:2]
    text = _caption_mask(caption, width, max(13, round(min(height, width) / 26)), round(height * _BAND_HEIGHT))
    band = drawn[max(0, height - text.shape[0]) :]
    mask = text[: band.shape[0], :, None] / np.float32(255)
    band[:] = (band * np.float32(1 - _BAND) * (1 - mask) + 255 * mask).astype(np.uint8)
    return drawn


def draw_note(image: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """A copy of the picture with a small remark in its upper left corner: what has to be known of all the answers."""
    drawn = image.copy()
    height, width = drawn.shape[:2]
    _stamp(drawn, _tag(text, (32, 32, 32), max(10, round(min(height, width) / 44))), 0, 0)
    return drawn


def draw_label(image: NDArray[np.uint8], text: str) -> NDArray[np.uint8]:
    """A copy of the picture with a line or two of text above it."""
    height, width = image.shape[:2]
    mask = _caption_mask(text, width, max(13, round(min(height, width / 2) / 20)), height)
    head = np.repeat(mask[:, :, None], 3, axis=2)
    return np.concatenate([head, image])


def _outline(image: NDArray[np.uint8], corners: tuple[int, int, int, int], colour: Colour, thickness: int) -> None:
    x1, y1, x2, y2 = corners
    height, width = image.shape[:2]
    x1, x2 = max(0, x1), min(width, max(x2, x1 + 1))
    y1, y2 = max(0, y1), min(height, max(y2, y1 + 1))
    image[y1 : y1 + thickness, x1:x2] = colour
    image[max(y1, y2 - thickness) : y2, x1:x2] = colour
    image[y1:y2, x1 : x1 + thickness] = colour
    image[y1:y2, max(x1, x2 - thickness) : x2] = colour


def _stamp(image: NDArray[np.uint8], tag: NDArray[np.uint8], x: int, y: int) -> None:
    """Puts the tag at ``x, y``, moved so that it lies in the picture."""
    height, width = image.shape[:2]
    tag = tag[:height, :width]
    y, x = min(max(0, y), height - tag.shape[0]), min(max(0, x), width - tag.shape[1])
    image[y : y + tag.shape[0], x : x + tag.shape[1]] = tag


@functools.lru_cache(maxsize=16)
def _font(size: int) -> Any:
    return ImageFont.load_default(size)


@functools.lru_cache(maxsize=512)
def _tag(text: str, colour: Colour, size: int) -> NDArray[np.uint8]:
    """``(h, w, 3)`` of the text in black or white on its colour, whichever reads better."""
    font, pad = _font(size), max(2, size // 4)
    image = Image.new("RGB", (int(font.getlength(text)) + 2 * pad, sum(font.getmetrics()) + pad), colour)
    bright = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 140
    ImageDraw.Draw(image).text((pad, pad // 2), text, font=font, fill="black" if bright else "white")
    return np.asarray(image)


@functools.lru_cache(maxsize=64)
def _caption_mask(text: str, width: int, size: int, highest: int) -> NDArray[np.uint8]:
    """``(h, width)`` of the text in white on black, broken into lines that fit, as many as ``highest`` has room for."""
    font = _font(size)
    pad = size // 2
    lines = wrapped(text, lambda line: font.getlength(line) <= width - 2 * pad) or [""]
    most = max(1, int((highest - pad) / (size * 1.3)))
    if len(lines) > most:
        lines = [*lines[: most - 1], lines[most - 1] + " …"]
    image = Image.new("L", (width, round(len(lines) * size * 1.3) + pad))
    pen = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        pen.text((pad, pad // 2 + number * size * 1.3), line, font=font, fill=255)
    return np.asarray(image)


def wrapped(text: str, fits: Callable[[str], bool]) -> list[str]:
    """Lines that ``fits`` accepts: of whole words, and of parts of those words that are too long for a line."""
    lines: list[str] = []
    for word in text.split():
        if lines and fits(f"{lines[-1]} {word}"):
            lines[-1] += f" {word}"
        else:
            lines += _pieces(word, fits)
    return lines


def _pieces(word: str, fits: Callable[[str], bool]) -> Iterator[str]:
    """Longest beginnings that fit, one character at least."""
    while not fits(word) and len(word) > 1:
        length = bisect.bisect_left(range(1, len(word)), True, key=lambda count: not fits(word[:count]))
        length = max(1, length)
        yield word[:length]
        word = word[length:]
    yield word
