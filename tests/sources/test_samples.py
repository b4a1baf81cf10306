"""The sample tables of MP4 files say what reading every packet says, or nothing."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from streamer.errors import SourceError
from streamer.sampling import Sampling, select
from streamer.sources import open_source
from streamer.sources.packets import PacketTable
from streamer.sources.samples import sample_table
from streamer.sources.video import VideoSource
from tests.media import even, ffmpeg, make_clip


def from_boxes(path: Path) -> PacketTable | None:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return sample_table(str(path), stream, next(container.demux(stream)))


def from_packets(path: Path) -> PacketTable | None:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return PacketTable.build(container.demux(stream), stream.time_base)


def sampled(path: Path, spec: str) -> list[tuple[int | None, int | None]]:
    with open_source(str(path), sampling=spec) as source:
        return [(frame.index, frame.pts) for frame in source.frames()]


def plain(path: Path, spec: str) -> list[tuple[int | None, int | None]]:
    """The rule applied to every picture of the file."""
    with open_source(str(path)) as source:
        assert isinstance(source, VideoSource)
        return [(picture.index, picture.pts) for picture in select(source.pictures(), Sampling.parse(spec))]


def agree(path: Path) -> bool:
    """Whether the boxes say the same; False where they say nothing."""
    found, expected = from_boxes(path), from_packets(path)
    if found is None:
        return False
    assert expected is not None
    assert list(found.marks()) == list(expected.marks())
    for mark in expected.marks():
        assert found.key_before(mark.pts) == expected.key_before(mark.pts)
    return True


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_boxes_say_what_the_packets_say(tmp_path: Path, suffix: str, b_frames: int) -> None:
    uneven = [moment + moment % 7 for moment in even(50)]
    assert agree(make_clip(tmp_path / f"clip{suffix}", uneven, b_frames=b_frames))


def test_real_clips(clips: Path) -> None:
    judged = {}
    for path in sorted([*clips.glob("*.mp4"), *clips.glob("*.mov")]):
        try:
            judged[path.name] = agree(path)
        except av.FFmpegError:
            continue
    assert judged["counter.mp4"]
    assert judged["vfr.mp4"]
    assert sum(judged.values()) >= 3


def test_a_cut_file_and_fragments_are_read_packet_by_packet(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.mp4", even(40))
    early = tmp_path / "early.mp4"
    ffmpeg("-i", str(whole), "-c", "copy", "-movflags", "+faststart", str(early))
    assert agree(early)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(early.read_bytes()[:-2000])
    assert from_boxes(cut) is None
    fragments = tmp_path / "fragments.mp4"
    ffmpeg("-i", str(whole), "-c", "copy", "-movflags", "frag_keyframe+empty_moov", str(fragments))
    assert from_boxes(fragments) is None


def test_a_file_that_begins_in_the_middle_of_a_picture_group(tmp_path: Path) -> None:
    """Its edit list tells to decode some pictures and not to show them."""
    whole = make_clip(tmp_path / "whole.mp4", even(60))
    later = tmp_path / "later.mp4"
    ffmpeg("-ss", "1.65", "-i", str(whole), "-c", "copy", str(later))
    assert sampled(later, "every 0.7 s") == plain(later, "every 0.7 s")


@pytest.mark.parametrize("name", [b"ctts", b"stsz", b"tkhd", b"trak"])
def test_damaged_boxes_change_nothing(tmp_path: Path, name: bytes) -> None:
    path = make_clip(tmp_path / "clip.mp4", even(60), gop=10)
    data = bytearray(path.read_bytes())
    place = data.index(name) + 8
    data[place : place + 4] = b"\x00\x00\xff\xff"
    path.write_bytes(data)
    try:
        expected = plain(path, "every 2 s")
    except SourceError:
        with pytest.raises(SourceError):
            sampled(path, "every 2 s")
    else:
        assert sampled(path, "every 2 s") == expected
