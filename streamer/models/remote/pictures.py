"""Pictures as they travel: at the size that the budget allows, as small as they look the same, as data URLs."""

from __future__ import annotations

import base64
import math
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from streamer.errors import OptionError
from streamer.gemma.budget import PATCH_PIXELS, POOLING, is_target_size, size_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUALITY = 90
"""Of JPEG."""
SMALL_PIXELS = 162_000
"""Up to so many (the budget 70) PNG is tried too: drawn pictures and screens cost little more so, and are exact."""
EXACT_COST = 2
"""PNG may be so many times as long as JPEG."""
AHEAD_BYTES = 64 * 2**20
"""Of pictures that are encoded ahead, with their pixels: 128 at the budget 70, 8 at 1120."""
_ROUNDED = 0.95, 1.02
"""A picture with such a part of the budget's pixels is left as it is: the server rounds its size anyway."""


@dataclass(frozen=True, slots=True)
class SentPicture:
    """A picture ready to be sent."""

    url: str
    """``data:image/…;base64,…``"""
    size: tuple[int, int]
    """``(width, height)`` in pixels, as sent."""


Seen = dict[tuple[int, int], SentPicture]
"""Pictures of one call, by the array's ``id`` and the budget."""


class SentPictures:
    """Encodes each picture of a call once, however many questions there are about it, or ahead of the call."""

    def __init__(self, *, lossless: bool = False) -> None:
        self._lossless = lossless
        self._lock = threading.Lock()
        self._ahead: OrderedDict[tuple[int, int], tuple[NDArray[np.uint8], SentPicture]] = OrderedDict()
        """As `Seen`; each holds its array, so no other has that id."""

    def prepare(self, image: NDArray[np.uint8], budget: int) -> None:
        """From any thread: encodes a picture that will be asked about soon; it is not written to until then. The newest
        `AHEAD_BYTES` are kept. Raises `OptionError`."""
        sent = encode(image, budget, lossless=self._lossless)
        with self._lock:
            self._ahead[id(image), budget] = image, sent
            total = sum(_bytes(*one) for one in self._ahead.values())
            while total > AHEAD_BYTES and len(self._ahead) > 1:
                total -= _bytes(*self._ahead.popitem(last=False)[1])

    def get(self, image: NDArray[np.uint8], budget: int, seen: Seen) -> SentPicture:
        """``image``: ``(H, W, 3)`` uint8 RGB. ``seen``: the call's pictures, this one among them afterwards. Raises
        `OptionError`."""
        key = id(image), budget
        if key not in seen:
            with self._lock:
                ahead = self._ahead.pop(key, None)
            seen[key] = encode(image, budget, lossless=self._lossless) if ahead is None else ahead[1]
        return seen[key]

    def forget(self) -> None:
        with self._lock:
            self._ahead.clear()


def _bytes(image: NDArray[np.uint8], sent: SentPicture) -> int:
    return image.nbytes + len(sent.url)


def encode(image: NDArray[np.uint8], budget: int, *, lossless: bool = False) -> SentPicture:
    """The picture at the budget's size. Raises `OptionError` for what is no picture or no budget."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise OptionError("picture", f"{image.dtype} {image.shape}", "uint8 RGB of the shape (height, width, 3)")
    size = image.shape[1], image.shape[0]
    if not (is_target_size(size, budget) or _ROUNDED[0] <= size[0] * size[1] / _pixels(budget) <= _ROUNDED[1]):
        image, size = _resized(image, wanted := sent_size(size, budget)), wanted
    if lossless:
        return _sent("png", _png(image), size)
    coded = _jpeg(image)
    if size[0] * size[1] <= SMALL_PIXELS and len(exact := _png(image)) <= EXACT_COST * len(coded):
        return _sent("png", exact, size)
    return _sent("jpeg", coded, size)


def _sent(kind: str, data: bytes, size: tuple[int, int]) -> SentPicture:
    return SentPicture(f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}", size)


def _pixels(budget: int) -> int:
    return budget * (PATCH_PIXELS * POOLING) ** 2


def sent_size(source_size: tuple[int, int], budget: int) -> tuple[int, int]:
    """``(width, height)`` at which a picture of ``source_size`` is sent, so that the server's image processor comes to
    the size that a local model would show it at.

    That size itself where the processor leaves it as it is. Where it would grow, because rounding has changed the
    aspect (16:9 at 140: 720x384 would become 768x384), as many pixels in the source's own aspect. Raises as `size_for`.
    """
    target = size_for(source_size, budget)
    if size_for(target, budget) == target:
        return target
    width, height = source_size
    factor = math.sqrt(_pixels(budget) / (width * height))
    wide, high = max(2, round(width * factor)), max(2, round(height * factor))
    near = ((wide + right, high + down) for right in (0, -1, 1) for down in (0, -1, 1))  # rounding changes it too
    return next((own for own in near if size_for(own, budget) == target), target)


def _resized(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """As Gemma 4's own image processor does it: bicubic, with antialiasing."""
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC), dtype=np.uint8)


def _png(image: NDArray[np.uint8]) -> bytes:
    import cv2

    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 4])[1].tobytes()


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    import cv2

    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
