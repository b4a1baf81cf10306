"""Pictures on the wire: a header of 32 bytes, then the JPEG, the H.264 of one picture, or what decodes it."""

from __future__ import annotations

import base64
import json
import struct
import time
from dataclasses import dataclass, field

from streamer.display import EncodedPicture
from streamer.passthrough import VideoPacket, VideoSetup

_HEADER = struct.Struct("!BBHHHIIdd")
HEADER_BYTES = _HEADER.size
_VERSION = 1
_JPEG, _PACKET, _SETUP = 1, 2, 3
_KEY = 1
"""Flag of a packet that decoding can begin at."""


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
    """Network byte order: version u8, kind u8 (1), width u16, height u16, flags u16, stream number u32, sequence u32,
    media time f64, capture time f64 (both seconds), then the JPEG."""
    times = (picture.time_seconds, picture.captured_at)
    return _header(_JPEG, picture.size, 0, number, picture.sequence, *times) + picture.jpeg


def packet_message(number: int, packet: VideoPacket) -> bytes:
    """As `picture_message`, of kind 2: flag 1 for a key picture, and the H.264 of one picture, in order of decoding;
    the times are those at which it is to be shown."""
    times = (packet.time_seconds, packet.captured_at)
    return _header(_PACKET, packet.setup.size, _KEY * packet.key, number, packet.number, *times) + packet.data


def setup_message(number: int, packet: VideoPacket) -> bytes:
    """What a decoder needs from this packet on, of kind 3: JSON with ``codec`` and ``description`` (base64; empty where
    packets have start codes)."""
    setup = packet.setup
    payload = json.dumps({"codec": setup.codec, "description": base64.b64encode(setup.description).decode()})
    times = (packet.time_seconds, packet.captured_at)
    return _header(_SETUP, setup.size, 0, number, packet.number, *times) + payload.encode()


def _header(
    kind: int, size: tuple[int, int], flags: int, number: int, sequence: int, seconds: float, captured_at: float
) -> bytes:
    captured = time.time() - (time.monotonic() - captured_at)
    places = (number & 0xFFFFFFFF, sequence & 0xFFFFFFFF)
    return _HEADER.pack(_VERSION, kind, *size, flags, *places, seconds, captured)


@dataclass(frozen=True, slots=True)
class Packet:
    """The H.264 of one picture as it comes over the wire, in order of decoding."""

    number: int
    """`Stream.number`"""
    sequence: int
    """Rises by one from packet to packet; after a gap decoding goes on at the next key picture."""
    key: bool
    media_seconds: float
    """At which it is to be shown."""
    captured: float
    """Unix seconds on the server's clock."""
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Setup:
    """What a decoder of the packets behind it needs."""

    number: int
    """`Stream.number`"""
    setup: VideoSetup


def parse_binary(message: bytes) -> Picture | Packet | Setup:
    """Raises `ValueError` for a message that is too short, of another version or of a kind that is not known."""
    if len(message) < HEADER_BYTES or message[0] != _VERSION:
        raise ValueError(f"not a picture of version {_VERSION}: {message[:2]!r}, {len(message)} bytes")
    _, kind, width, height, flags, number, sequence, media, captured = _HEADER.unpack_from(message)
    body = message[HEADER_BYTES:]
    match kind:
        case 1:
            return Picture(number, sequence, (width, height), media, captured, body)
        case 2:
            return Packet(number, sequence, bool(flags & _KEY), media, captured, body)
        case 3:
            values = json.loads(body)
            description = base64.b64decode(values["description"])
            return Setup(number, VideoSetup(values["codec"], description, (width, height)))
    raise ValueError(f"not a kind of picture that is known: {kind}")


def parse_picture(message: bytes) -> Picture:
    """Raises `ValueError` for a message that is too short or of another version."""
    if len(message) < HEADER_BYTES or message[0] != _VERSION or message[1] != _JPEG:
        raise ValueError(f"not a picture of version {_VERSION}: {message[:2]!r}, {len(message)} bytes")
    _, _, width, height, _, number, sequence, media, captured = _HEADER.unpack_from(message)
    return Picture(number, sequence, (width, height), media, captured, message[HEADER_BYTES:])
