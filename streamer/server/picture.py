"""Pictures on the wire: a header of 32 bytes, then the JPEG."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass, field

from streamer.display import EncodedPicture

_HEADER = struct.Struct("!BBHHHIIdd")
HEADER_BYTES = _HEADER.size
_VERSION, _JPEG = 1, 1


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it comes over the wire."""

    number: int
    """`Stream.number`"""
    sequence: int
    size: tuple[int, int]
    """``(width, height)`` of the JPEG; shown at the aspect of the stream's source."""
    media_seconds: float
    captured: float
    """Unix seconds on the server's clock."""
    jpeg: bytes = field(repr=False)


def picture_message(number: int, picture: EncodedPicture) -> bytes:
    """Network byte order: version u8, kind u8, width u16, height u16, reserved u16, stream number u32, sequence u32,
    media time f64, capture time f64 (both seconds), then the JPEG."""
    captured = time.time() - (time.monotonic() - picture.captured_at)
    width, height = picture.size
    numbers = (number & 0xFFFFFFFF, picture.sequence & 0xFFFFFFFF, picture.time_seconds, captured)
    return _HEADER.pack(_VERSION, _JPEG, width, height, 0, *numbers) + picture.jpeg


def parse_picture(message: bytes) -> Picture:
    """Raises `ValueError` for a message that is too short or of another version."""
    if len(message) < HEADER_BYTES or message[0] != _VERSION or message[1] != _JPEG:
        raise ValueError(f"not a picture of version {_VERSION}: {message[:2]!r}, {len(message)} bytes")
    _, _, width, height, _, number, sequence, media, captured = _HEADER.unpack_from(message)
    return Picture(number, sequence, (width, height), media, captured, message[HEADER_BYTES:])
