"""Pictures as viewers get them: scaled down and JPEG-encoded, in a few steps of size and quality."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2

from streamer.errors import StreamerError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from streamer.results import Detection

JPEG_QUALITY = 80
WIDTHS = (160, 240, 320, 480, 640, 960, 1280, 1920, 2560, 3840)
"""Pixels across; wishes are rounded up to one of them, so that many viewers wish the same."""
MOST_WISHES = 6
"""Of one stream at once; beyond it a viewer gets the nearest one that another has."""


@dataclass(frozen=True, slots=True, order=True)
class Wish:
    """How somebody wants pictures of a stream. Equal wishes are encoded once."""

    width: int = 0
    """Pixels across, at most; 0 is what the stream's settings say, which are the most in any case."""
    quality: int = JPEG_QUALITY
    """JPEG's, 1 to 100."""

    @classmethod
    def at(cls, width: int, quality: int = JPEG_QUALITY) -> Wish:
        """For a place of so many pixels on a screen; the width rounded up to one of `WIDTHS`."""
        return cls(next((step for step in WIDTHS if step >= width), WIDTHS[-1]) if width else 0, quality)

    def among(self, others: Collection[Wish]) -> Wish:
        """Itself, or where there are `MOST_WISHES` others already the one that comes nearest."""
        if self in others or len(others) < MOST_WISHES:
            return self
        return min(others, key=lambda other: (abs(other.pixels - self.pixels), abs(other.quality - self.quality)))

    @property
    def pixels(self) -> int:
        """Across, at most."""
        return self.width or WIDTHS[-1]


ANY = Wish()


@dataclass(frozen=True, slots=True)
class CarriedBoxes:
    """Where things are on a picture that was shown, carried there from the newest result by what moved since."""

    stream: str
    sequence: int
    """As `EncodedPicture.sequence`."""
    time_seconds: float
    captured_at: float
    detections: tuple[Detection, ...]
    """Those that were not made on this very picture have the attribute ``carried``."""


@dataclass(frozen=True, slots=True)
class EncodedPicture:
    """A picture of a stream, ready to send."""

    stream: str
    sequence: int
    """0-based number among the pictures decoded from the stream (not `Frame.sequence`)."""
    time_seconds: float
    """Media time, as `Frame.time_seconds`."""
    captured_at: float
    """``time.monotonic()`` when the picture arrived."""
    size: tuple[int, int]
    """``(width, height)`` of the JPEG; to be shown at the aspect of the source."""
    jpeg: bytes = field(repr=False)
    wish: Wish = ANY
    """Whose it is."""


def display_size(source_size: tuple[int, int], width: int) -> tuple[int, int]:
    """``(width, height)`` of a picture at most ``width`` wide, in the source's aspect, never enlarged, even numbers."""
    scale = min(1.0, width / source_size[0])
    return max(2, round(source_size[0] * scale / 2) * 2), max(2, round(source_size[1] * scale / 2) * 2)


def encode_jpeg(image: NDArray[np.uint8], quality: int = JPEG_QUALITY) -> bytes:
    """``image``: ``(H, W, 3)`` uint8 RGB. Raises `StreamerError` where it is too large for JPEG (over 65500 a side)."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    done, buffer = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise StreamerError(f"a picture of {image.shape[1]}x{image.shape[0]} cannot be encoded as JPEG")
    return bytes(buffer.tobytes())
