"""Sampling files: the same pictures, to the pixel, as a plain decode of the whole file gives."""

from __future__ import annotations

import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamer.sampling import Sampling, select
from streamer.sources import open_source
from streamer.sources.picture import VideoPicture
from streamer.sources.synthetic import read_counter
from streamer.sources.video import VideoSource
from tests.media import even, ffmpeg, make_clip

SIZE = (320, 180)
SPECS = ["every 1 s", "every 0.3 s", "4 fps", "every 7th", "at 0,0.55,1.999,2,2.95", "keyframes", "all from 1.3 to 2.1"]


def video(path: Path, spec: str | Sampling) -> VideoSource:
    source = open_source(str(path), sampling=spec, size_for=lambda size: SIZE)
    assert isinstance(source, VideoSource)
    return source


def plain(path: Path, spec: str | Sampling) -> list[VideoPicture]:
    """The rule applied to every picture of the file."""
    sampling = Sampling.parse(spec) if isinstance(spec, str) else spec
    return list(select(video(path, Sampling.all()).pictures(), sampling))


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("name", ["counter.mp4", "vfr.mp4", "av1_video.mkv", "h265_10bits.mp4"])
def test_sampling_gives_what_a_full_decode_gives(clips: Path, name: str, spec: str) -> None:
    expected = plain(clips / name, spec)
    frames = list(video(clips / name, spec).frames())
    assert [frame.index for frame in frames] == [picture.index for picture in expected]
    assert [frame.pts for frame in frames] == [picture.pts for picture in expected]
    assert [frame.time_seconds for frame in frames] == [picture.time_seconds for picture in expected]
    for frame, picture in zip(frames, expected, strict=True):
        assert np.array_equal(frame.image, picture.scaled(SIZE))


def test_the_counter_clip_says_what_its_authors_say(clips: Path) -> None:
    frames = list(video(clips / "counter.mp4", "at 0.7,0.79,0.8").frames())
    assert [(frame.index, frame.time_seconds) for frame in frames] == [(7, 0.7), (8, 0.8)]
    assert frames[0].source_size == (1920, 1080)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("spec", ["every 4 s", "every 23rd", "keyframes", "at 3.05,11.1,11.2,17", "all from 12 to 13"])
def test_seeking_finds_the_same_pictures_in_every_container(tmp_path: Path, suffix: str, spec: str) -> None:
    path = make_clip(tmp_path / f"clip{suffix}", even(200), gop=15)
    source = video(path, spec)
    frames = list(source.frames())
    expected = plain(path, spec)
    assert [read_counter(frame.image) for frame in frames] == [picture.index for picture in expected]
    assert [frame.index for frame in frames] == [picture.index for picture in expected]
    assert all(np.array_equal(f.image, p.scaled(SIZE)) for f, p in zip(frames, expected, strict=True))
    if suffix != ".ts":
        assert source.seeks > 0
    assert source.counters.decoded == len(frames)


@pytest.mark.parametrize("parameters", ["open-gop=1", "bframes=0", "bframes=3:b-pyramid=normal:ref=4", "slices=4"])
@pytest.mark.parametrize("spec", ["every 2 s", "every 5th", "every 3rd", "at 3.05,11.1,11.2,17", "keyframes"])
def test_what_is_left_out_changes_no_pixel(tmp_path: Path, parameters: str, spec: str) -> None:
    """Neither key frames that pictures shown before them need, nor pictures that others need in odd ways."""
    drawn = make_clip(tmp_path / "drawn.mp4", even(200), gop=50)
    path = tmp_path / "clip.mp4"
    coded = f"{parameters}:keyint=13:min-keyint=13:scenecut=0:threads=1"
    ffmpeg("-i", str(drawn), "-vf", "noise=alls=9", "-c:v", "libx264", "-x264-params", coded, str(path))
    source = video(path, spec)
    frames, expected = list(source.frames()), plain(path, spec)
    assert [frame.index for frame in frames] == [picture.index for picture in expected]
    assert all(np.array_equal(f.image, p.scaled(SIZE)) for f, p in zip(frames, expected, strict=True))
    assert not source.counters.faults


def test_one_key_frame_in_the_whole_file_means_decoding_on(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", even(60), gop=250)
    source = video(path, "every 2 s")
    assert [read_counter(frame.image) for frame in source.frames()] == [0, 20, 40]
    assert source.seeks == 0


def test_sparse_sampling_is_quicker_than_a_full_decode(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", even(400), size=(960, 540), gop=10)
    begun = time.perf_counter()
    count = sum(1 for _ in video(path, Sampling.all()).pictures())
    full = time.perf_counter() - begun
    begun = time.perf_counter()
    assert [frame.index for frame in video(path, "every 10 s").frames()] == [0, 100, 200, 300]
    assert count == 400
    assert time.perf_counter() - begun < full


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    gaps=st.lists(st.integers(5, 900), min_size=3, max_size=50),
    asked=st.lists(st.integers(0, 20_000), min_size=1, max_size=8),
    gop=st.sampled_from([1, 4, 12, 60]),
    b_frames=st.sampled_from([0, 2]),
    suffix=st.sampled_from([".mp4", ".mkv"]),
)
def test_any_clip_of_variable_rate(gaps: list[int], asked: list[int], gop: int, b_frames: int, suffix: str) -> None:
    times = [sum(gaps[:n]) for n in range(len(gaps))]
    with tempfile.TemporaryDirectory() as folder:
        path = make_clip(Path(folder) / f"clip{suffix}", times, gop=gop, b_frames=b_frames)
        moments = [Fraction(value, 1000) for value in asked]
        end = times[-1] + (times[-1] - times[-2])
        holding = [[n for n, t in enumerate(times) if t <= m * 1000][-1] for m in moments if m * 1000 < end]
        frames = list(video(path, Sampling.at(moments)).frames())
    assert [read_counter(frame.image) for frame in frames] == sorted(set(holding))
    assert [frame.index for frame in frames] == sorted(set(holding))


def test_scene_changes_are_found(tmp_path: Path, clips: Path) -> None:
    assert [f.index for f in video(clips / "car-detection.mp4", "scenes 0.3").frames()] == [0]
    path = tmp_path / "two.mp4"
    make_clip(path, even(20))
    assert [f.index for f in video(path, "scenes 0.9").frames()] == [0]
    assert len(list(video(path, "scenes 0.001").frames())) > 10


def test_info_is_upright_and_states_what_is_known(clips: Path) -> None:
    with video(clips / "video_90.mov", "all") as source:
        info = source.info
    assert info.size == (320, 568)
    assert (info.kind, info.picture_count, info.codec, info.rate) == ("file", 3, "h264", 30.0)
    with video(clips / "no_duration.webm", "all") as source:
        assert source.info.duration_seconds is None


def test_each_iteration_begins_anew(tmp_path: Path) -> None:
    source = video(make_clip(tmp_path / "clip.mp4", even(12)), "every 5th")
    assert [f.index for f in source.frames()] == [f.index for f in source.frames()] == [0, 5, 10]


def test_close_ends_iteration(tmp_path: Path) -> None:
    source = video(make_clip(tmp_path / "clip.mp4", even(40)), "all")
    pictures = source.pictures()
    next(pictures)
    source.close()
    source.close()
    assert list(pictures) == []
