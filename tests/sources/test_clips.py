"""Every odd clip ends in frames or in one clear error, and never hangs."""

from __future__ import annotations

import itertools
import os
import threading
from pathlib import Path

import pytest

from streamer.errors import SourceError
from streamer.frames import Frame
from streamer.sources import open_source

LIMIT_SECONDS = 30.0
FRAMES = {
    "anamorphic_sar2.mp4": 30, "av1_video.mkv": 125, "bitrot.ts": 59, "car-detection.mp4": 377, "corrupted.mp4": 49,
    "counter.mp4": 30, "edit_list_positive_shift.mp4": 270, "h265_10bits.mp4": 30, "interlaced_h264.mp4": 20,
    "no_duration.webm": 74, "no_keyframe_start.ts": 50, "resolution_change.h264": 40, "sample_fragmented.mp4": 30,
    "sample_with_fake_auxiliary_tracks.mp4": 5, "ts_gap_forward.ts": 30, "ts_pts_jump_back.ts": 80, "vfr.mp4": 21,
    "video_0.mov": 3, "video_90.mov": 3, "video_180.mov": 3, "video_270.mov": 3,
}  # fmt: skip
ERRORS = {
    "truncated_faststart.mp4": (33, "ends early"),
    "audio_only.m4a": (0, "no video in it, only audio"),
    "zero_byte.mp4": (0, "the file is empty"),
    "not_a_video.mp4": (0, "cannot be read as a video"),
}


def read(path: Path, spec: str) -> tuple[list[Frame], SourceError | None, list[str]]:
    """What comes of a clip, watched over: a decode that hangs fails the test instead of the run."""
    frames: list[Frame] = []
    errors: list[SourceError] = []
    faults: list[str] = []

    def work() -> None:
        with open_source(str(path), sampling=spec, size_for=lambda size: (64, 36)) as source:
            try:
                frames.extend(source.frames())
            except SourceError as error:
                errors.append(error)
            faults.extend(source.counters.faults)

    thread = threading.Thread(target=work, name=f"read {path.name}", daemon=True)
    thread.start()
    thread.join(LIMIT_SECONDS)
    assert not thread.is_alive(), f"{path.name} hangs"
    return frames, errors[0] if errors else None, faults


@pytest.mark.parametrize("name", FRAMES)
def test_it_gives_its_frames(clips: Path, name: str) -> None:
    frames, error, _ = read(clips / name, "all")
    assert error is None
    assert abs(len(frames) - FRAMES[name]) <= (1 if name in ("bitrot.ts", "corrupted.mp4") else 0)
    times = [frame.time_seconds for frame in frames]
    assert times[0] == 0
    assert all(before < after for before, after in itertools.pairwise(times))
    assert [frame.index for frame in frames] == [frame.sequence for frame in frames] == list(range(len(frames)))


@pytest.mark.parametrize("name", ERRORS)
def test_it_gives_one_clear_error(clips: Path, name: str) -> None:
    count, words = ERRORS[name]
    for spec in ("all", "every 1 s"):
        frames, error, _ = read(clips / name, spec)
        assert error is not None
        assert words in str(error)
        assert name in str(error)
        assert error.remedy
        assert error.frames_read == count
        assert (len(frames) == count) if spec == "all" else (bool(frames) == bool(count))


@pytest.mark.parametrize("name", [*FRAMES, "truncated_faststart.mp4"])
@pytest.mark.parametrize("spec", ["at 0,0.05,1,2,3,4"])
def test_sampled_is_what_the_rule_chooses_of_all(clips: Path, name: str, spec: str) -> None:
    if name in ("bitrot.ts", "corrupted.mp4"):
        pytest.skip("concealment of damage depends on timing between decoder threads")
    every, _, _ = read(clips / name, "all")
    sampled, _, _ = read(clips / name, spec)
    assert sampled[0].index == 0
    by_index = {frame.index: frame for frame in every}
    for frame in sampled:
        assert (by_index[frame.index].image == frame.image).all()
        assert by_index[frame.index].time_seconds == frame.time_seconds


def test_damage_is_counted_and_told(clips: Path) -> None:
    with open_source(str(clips / "corrupted.mp4")) as source:
        assert sum(1 for _ in source.pictures()) >= 28
        assert source.counters.corrupt >= 1
        assert "cannot be decoded" in source.counters.faults[0]


def test_a_changed_resolution_is_followed(clips: Path) -> None:
    with open_source(str(clips / "resolution_change.h264")) as source:
        sizes = [frame.source_size for frame in source.frames()]
    assert len(set(sizes)) == 2
    assert all(frame_size[0] * 3 == frame_size[1] * 4 for frame_size in sizes)


def test_words_for_every_kind_of_nothing(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing to see here\n" * 50)
    (tmp_path / "film.mp4").write_bytes(b"")
    for name, words in {
        "missing.mp4": "no such file",
        "notes.txt": "text, not a video",
        "film.mp4": "the file is empty",
        "": "these are|no videos or pictures|empty",
    }.items():
        with pytest.raises(SourceError, match=words):
            list(open_source(str(tmp_path / name)).frames())


def test_no_permission_is_said(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"x")
    path.chmod(0)
    root = os.geteuid() == 0
    if root:
        tmp_path.chmod(0o700)
        os.seteuid(65534)
    try:
        for address in (str(path), str(tmp_path / "deeper" / "film.mp4") if root else str(path)):
            with pytest.raises(SourceError, match="may not be read"):
                list(open_source(address).frames())
    finally:
        if root:
            os.seteuid(0)
