"""Clips made of files' packets for tests, and whether FFmpeg plays them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from streamer.sources import Clip, PacketRing, Recording
from streamer.sources.base import Counters
from streamer.sources.decoding import Decoder, Target
from streamer.sources.encoded import Tap
from streamer.sources.synthetic import read_counter


def ring_of(path: Path, *, timed: bool = True) -> PacketRing:
    """A file's packets, each come at the moment that its number says, 25 a second."""
    ring, numbers = PacketRing(600), iter(range(100_000))
    decoder = Decoder(Target(str(path), f"file:{path}"), Counters())
    decoder.keep = Tap(ring.put, lambda: next(numbers) / 25, timed=timed)
    for packet in decoder.packets():
        decoder.decode(packet)
    decoder.close()
    return ring


def whole(ring: PacketRing) -> Recording:
    """All that a ring of `ring_of` holds, about the moment of its second second."""
    recording = ring.record(100, 500, at=1.0, max_seconds=1000)
    assert recording.packets() == ring.packets()
    return recording


def payloads(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def slices(data: bytes) -> bytes:
    """The H.264 slices alone of a length-prefixed packet, without parameter sets and the like."""
    found, place = b"", 0
    while place < len(data):
        end = place + 4 + int.from_bytes(data[place : place + 4], "big")
        found += data[place:end] if data[place + 4] & 31 in (1, 5) else b""
        place = end
    return found


def number_of(frame: av.VideoFrame) -> int:
    return read_counter(np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8))


def counters(clip: Clip) -> list[int]:
    """The numbers that the pictures of a clip say. Fails at any picture that FFmpeg does not decode."""
    with av.open(str(clip.path)) as container:
        frames = list(container.decode(video=0))
    assert all(not frame.is_corrupt for frame in frames)
    return [number_of(frame) for frame in frames]


def check_plays(clip: Clip) -> None:
    """FFmpeg says nothing against it; its facts are those of the file."""
    for command in (
        ["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_format", "-show_packets", str(clip.path)],
        ["ffmpeg", "-v", "error", "-xerror", "-i", str(clip.path), "-enc_time_base", "-1", "-f", "null", "-"],
    ):
        if shutil.which(command[0]) is None:
            pytest.skip(f"the {command[0]} command is not installed")
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        assert (done.returncode, done.stderr) == (0, "")
        if command[0] == "ffprobe":
            told = json.loads(done.stdout)
    packets, stream = told["packets"], told["streams"][0]
    assert len(packets) == clip.pictures
    assert packets[0]["flags"].startswith("K")
    moments = [int(packet["dts"]) for packet in packets]
    assert moments == sorted(set(moments))
    assert float(stream["start_time"]) == pytest.approx(0, abs=0.002)
    assert (stream["width"], stream["height"]) == clip.size
    assert float(told["format"]["duration"]) == pytest.approx(clip.seconds, abs=0.05)
    assert 0 <= clip.moment_seconds <= clip.seconds
    assert clip.path.stat().st_size == clip.size_bytes
