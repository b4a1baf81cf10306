"""Clips of every kind of stream play and hold its own packets; what cannot be written leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import pytest

from streamer.errors import OutputError
from streamer.sources import PacketRing, Recording, open_source
from streamer.sources.base import Counters
from streamer.sources.decoding import Decoder, Target
from streamer.sources.encoded import EncodedPacket, Tap
from tests.media import even, ffmpeg, make_clip, set_display_matrix
from tests.sources.playing import check_plays, counters, payloads, ring_of, whole


def parameters(path: Path) -> bytes | None:
    with av.open(str(path)) as container:
        return container.streams.video[0].codec_context.extradata


@pytest.mark.parametrize(
    ("codec", "source", "target"),
    [
        ("libx264", "film.mp4", ".mp4"),
        ("libx264", "film.ts", ".mp4"),
        ("libx265", "film.mp4", ".mp4"),
        ("libx265", "film.ts", ".mp4"),
        ("mpeg4", "film.avi", ".mp4"),
        ("mpeg4", "film.ts", ".mp4"),
        ("libvpx", "film.webm", ".mkv"),
        ("libvpx-vp9", "film.webm", ".mp4"),
    ],
)
def test_every_codec_in_its_container(tmp_path: Path, codec: str, source: str, target: str) -> None:
    if codec not in av.codec.codecs_available:
        pytest.skip(f"this build of PyAV has no {codec}")
    b_frames = 0 if source.endswith(".avi") else 2  # AVI has no pts, and FFmpeg's guess of the last one is wrong
    film = make_clip(tmp_path / source, even(30, fps=25), codec=codec, b_frames=b_frames)
    clip = whole(ring_of(film)).write(tmp_path / "clip.mp4")
    assert clip.path == tmp_path / f"clip{target}"
    check_plays(clip)
    assert clip.pictures == 30
    assert clip.seconds == pytest.approx(1.2, abs=0.05)
    assert counters(clip) == list(range(30))
    if not source.endswith(".ts"):
        assert payloads(clip.path) == payloads(film)


@pytest.mark.parametrize("name", ["film.mp4", "film.ts"])
def test_hevc_is_of_the_kind_that_apples_players_take(tmp_path: Path, name: str) -> None:
    if "libx265" not in av.codec.codecs_available:
        pytest.skip("this build of PyAV has no libx265")
    film = make_clip(tmp_path / name, even(20, fps=25), codec="libx265")
    clip = whole(ring_of(film)).write(tmp_path / "clip.mp4")
    assert b"hvc1" in clip.path.read_bytes()


def test_rotation_and_aspect_come_along(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mp4", even(10), aspect=Fraction(2))
    set_display_matrix(film, 0, 1, -1, 0)
    clip = whole(ring_of(film)).write(tmp_path / "clip.mp4")
    sizes = [open_source(str(path)).info.size for path in (film, clip.path)]
    assert sizes == [(96, 320), (96, 320)]


@pytest.mark.parametrize("name", ["ts_gap_forward.ts", "ts_pts_jump_back.ts", "no_keyframe_start.ts", "vfr.mp4"])
def test_odd_times_of_real_files(clips: Path, tmp_path: Path, name: str) -> None:
    ring = ring_of(clips / name)
    assert ring.packets()[0].key
    check_plays(whole(ring).write(tmp_path / "clip.mp4"))


def test_a_size_that_changes_within_a_stream_begins_anew(tmp_path: Path) -> None:
    parts = [make_clip(tmp_path / f"{n}.ts", even(10), size=size) for n, size in enumerate([(160, 96), (320, 180)])]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    ring = PacketRing(600)
    recordings: list[Recording] = []

    def put(packet: EncodedPacket) -> None:
        ring.put(packet)
        if not recordings:
            recordings.append(ring.record(0, 60, at=packet.captured_at))

    decoder = Decoder(Target(str(joined), f"file:{joined}", threads="SLICE"), Counters())
    decoder.keep = Tap(put, time.monotonic)
    for packet in decoder.packets():
        decoder.decode(packet)
    decoder.close()
    assert recordings[0].ended == "changed"
    for recording, size in ((recordings[0], (160, 96)), (ring.record(60, 0), (320, 180))):
        clip = recording.write(tmp_path / "clip.mp4")
        check_plays(clip)
        assert clip.size == size
        assert counters(clip) == list(range(10))
    alone = whole(ring_of(parts[1])).write(tmp_path / "alone.mp4")
    assert parameters(clip.path) == parameters(alone.path)


def test_pictures_that_need_those_before_the_clip_are_left_out(tmp_path: Path) -> None:
    """With open groups, the pictures shown just before a key frame are decoded behind it."""
    film = tmp_path / "film.ts"
    make_clip(tmp_path / "film.mp4", even(36, fps=25), size=(320, 180))
    ffmpeg("-i", str(tmp_path / "film.mp4"), "-c:v", "mpeg2video", "-q:v", "3", "-bf", "2", "-g", "6", str(film))
    ring = ring_of(film)
    held = ring.packets()
    key = [place for place, packet in enumerate(held) if packet.key][2]
    assert (held[key + 1].pts or 0) < (held[key].pts or 0)
    clip = ring.record(1.0, 500, at=1.001 + key / 25, max_seconds=600).write(tmp_path / "clip.mp4")
    check_plays(clip)
    numbers = counters(clip)
    assert numbers == list(range(numbers[0], 36))
    assert clip.pictures == len(held) - key - 2


# -- where it cannot be written


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    recording = whole(ring_of(make_clip(tmp_path / "film.mp4", even(4))))
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError, match=r"clip\.mp4: the clip cannot be written: .*\(is there room"):
        recording.write(tmp_path / "file" / "clip.mp4")
    (tmp_path / "taken.mp4").mkdir()
    with pytest.raises(OutputError, match="taken"):
        recording.write(tmp_path / "taken.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "film.mp4", "taken.mp4"]
    assert recording.write(tmp_path / "clip.mp4").pictures == 4  # tried again elsewhere
    with pytest.raises(OutputError, match="no packet was kept"):
        PacketRing().record(1, 1).write(tmp_path / "nothing.mp4")


_FULL = """
import resource, signal, sys
from pathlib import Path
from streamer.errors import OutputError
from tests.sources.playing import ring_of, whole
recording = whole(ring_of(Path(sys.argv[1])))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    recording.write(Path(sys.argv[2]))
except OutputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit of file sizes")
@pytest.mark.parametrize("share", [0.2, 0.98])
def test_no_room_leaves_the_clip_of_before(tmp_path: Path, share: float) -> None:
    """The operating system lets no file grow beyond a part of what the clip needs."""
    film, path = make_clip(tmp_path / "film.mp4", even(40)), tmp_path / "clip.mp4"
    path.write_text("the one before")
    room = str(round(film.stat().st_size * share))
    command = [sys.executable, "-c", _FULL, str(film), str(path), room]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "clip.mp4: the clip cannot be written" in done.stdout
    assert path.read_text() == "the one before"
    assert sorted(found.name for found in tmp_path.iterdir()) == ["clip.mp4", "film.mp4"]
