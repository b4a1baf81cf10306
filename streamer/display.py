"""Pictures as viewers get them: scaled down and JPEG-encoded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2

from streamer.errors import StreamerError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

JPEG_QUALITY = 80


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
