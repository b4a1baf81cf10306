"""A packet table from the sample tables of an MP4 or QuickTime file, so that its data need not be read.

FFmpeg's index gives each packet's dts, place and key flag; what an MP4 adds to dts to make pts is in its ``ctts`` box.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from streamer.sources.packets import Key, PacketTable

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

_CONTAINERS = (b"moov", b"mdia", b"minf", b"stbl")


def sample_table(path: str, stream: VideoStream, first: Packet[VideoStream]) -> PacketTable | None:
    """None where the file is not whole, has edits or fragments, or its tables do not agree with FFmpeg's index.

    ``first`` is the file's first packet: it tells what FFmpeg adds to all times.
    """
    entries = list(stream.index_entries)
    if not entries or len(entries) != stream.frames or first.pts is None or first.dts != entries[0].timestamp:
        return None
    if any(entry.is_discard for entry in entries) or first.pos != entries[0].pos:
        return None
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size < max(entry.pos + entry.size for entry in entries):
                return None
            offsets = _offsets(file, stream.id)
    except (OSError, ValueError, struct.error):
        return None
    if offsets is None or len(offsets) != len(entries):
        return None
    dts = np.fromiter((entry.timestamp for entry in entries), np.int64, len(entries))
    pts: list[int] = (dts + offsets + (first.pts - int(dts[0]) - int(offsets[0]))).tolist()
    keys = [Key(place, pts[place], entry.timestamp) for place, entry in enumerate(entries) if entry.is_keyframe]
    return PacketTable.checked(pts, keys, stream.time_base)


def _offsets(file: BinaryIO, track: int) -> NDArray[np.int64] | None:
    """pts - dts of each sample of ``track``, up to a constant. Raises ValueError or struct.error for nonsense."""
    size = os.fstat(file.fileno()).st_size
    for name, start, end in _boxes(file, 0, size):
        if name == b"moov":
            for kind, *part in _boxes(file, start, end):
                if kind == b"trak":
                    tables = {box: _read(file, *place) for box, *place in _inside(file, part[0], part[1])}
                    if _track(tables.get(b"tkhd", b"")) == track:
                        return _expanded(tables)
    return None


def _boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, and the interval of the content, of the boxes in [start, end)."""
    while start + 8 <= end:
        file.seek(start)
        header = file.read(16)
        length, name = struct.unpack(">I4s", header[:8])
        content = 8
        if length == 1:
            length, content = struct.unpack(">Q", header[8:])[0], 16
        length = length or end - start
        if length < content or start + length > end:
            raise ValueError(f"a box of {length} bytes")
        yield name, start + content, start + length
        start += length


def _inside(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The wanted boxes at any depth."""
    for name, begin, stop in _boxes(file, start, end):
        if name in _CONTAINERS:
            yield from _inside(file, begin, stop)
        elif name in (b"tkhd", b"stsz", b"ctts"):
            yield name, begin, stop


def _read(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def _track(header: bytes) -> int | None:
    """The number of the track that a ``tkhd`` box belongs to."""
    if not header:
        return None
    return int(struct.unpack_from(">I", header, 20 if header[0] == 1 else 12)[0])


def _expanded(tables: dict[bytes, bytes]) -> NDArray[np.int64] | None:
    count = struct.unpack_from(">I", tables.get(b"stsz", b""), 8)[0]
    if b"ctts" not in tables:
        return np.zeros(count, np.int64)
    runs = struct.unpack_from(">I", tables[b"ctts"], 4)[0]
    pairs = np.frombuffer(tables[b"ctts"], ">u4", 2 * runs, 8).reshape(runs, 2)
    if int(pairs[:, 0].sum()) != count:
        return None
    return np.repeat(pairs[:, 1].astype(np.int32).astype(np.int64), pairs[:, 0])
