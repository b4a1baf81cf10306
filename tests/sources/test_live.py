"""Cameras: newest first, back by themselves, and gone at once when closed. Against real servers where there are any."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest

from streamer.errors import OptionError, SourceError
from streamer.frames import Frame
from streamer.sources import LiveOptions, Source, State, open_source
from streamer.sources.decoding import explained
from streamer.sources.live import LiveSource
from streamer.sources.network import webcam_target
from streamer.sources.synthetic import read_counter
from tests.media import even, ffmpeg, make_clip
from tests.sources.cameras import RtspCamera, file_server, free_port, mjpeg_camera, mute_camera, need_gstreamer

LIMIT_SECONDS = 25.0
QUICK = LiveOptions(
    connect_timeout_seconds=3, stall_seconds=1.5, first_delay_seconds=0.2, longest_delay_seconds=1, jitter=0.1
)


class Watcher:
    """Takes a source's frames on a thread, so that a test can wait for something and fail where it never comes."""

    def __init__(self, address: str, options: LiveOptions = QUICK, sampling: str = "all", **more: bool) -> None:
        self.states: list[tuple[State, str]] = []
        self.frames: list[Frame] = []
        self.error: SourceError | None = None
        self.source: Source = open_source(
            address,
            sampling=sampling,
            size_for=lambda size: (128, 72),
            live=options,
            on_state=lambda state, detail: self.states.append((state, detail)),
            **more,  # type: ignore[arg-type]
        )
        self.thread = threading.Thread(target=self._work, name="watcher", daemon=True)
        self.thread.start()

    def _work(self) -> None:
        try:
            for frame in self.source.frames():
                self.frames.append(frame)
        except SourceError as error:
            self.error = error

    def wait(self, for_what: Callable[[], object]) -> None:
        until = time.monotonic() + LIMIT_SECONDS
        while not for_what():
            assert time.monotonic() < until, (self.states, len(self.frames), self.source.counters, self.error)
            time.sleep(0.02)

    def names(self) -> list[str]:
        return [state for state, _ in self.states]

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *exc_info: object) -> None:
        begun = time.monotonic()
        self.source.close()
        self.thread.join(LIMIT_SECONDS)
        assert not self.thread.is_alive()
        assert time.monotonic() - begun < 1.5


@pytest.fixture
def rtsp() -> Iterator[RtspCamera]:
    need_gstreamer()
    with RtspCamera() as camera:
        yield camera


def test_rtsp_that_is_killed_comes_back(rtsp: RtspCamera) -> None:
    with Watcher(rtsp.url) as watcher:
        watcher.wait(lambda: len(watcher.frames) >= 5)
        rtsp.kill()
        watcher.wait(lambda: "waiting" in watcher.names())
        watcher.wait(lambda: watcher.source.counters.reconnects >= 2)
        before = len(watcher.frames)
        with RtspCamera(rtsp.port, size="160x90"):
            watcher.wait(lambda: len(watcher.frames) >= before + 5)
            assert watcher.names()[-1] == "live"
        assert [frame.source_size for frame in watcher.frames[:: len(watcher.frames) - 1]] == [(320, 180), (160, 90)]
        times = [frame.time_seconds for frame in watcher.frames]
        assert times == sorted(set(times))
        assert all(frame.captured_at is not None for frame in watcher.frames)
        assert watcher.source.counters.faults
    assert watcher.names()[-1] == "ended"
    assert watcher.error is None


def test_rtsp_that_freezes_is_noticed_and_taken_up_again(rtsp: RtspCamera) -> None:
    with Watcher(rtsp.url) as watcher:
        watcher.wait(lambda: len(watcher.frames) >= 3)
        rtsp.tell("freeze")
        watcher.wait(lambda: watcher.source.counters.stalls >= 1)
        assert "stalled" in watcher.names()
        rtsp.tell("thaw")
        before = len(watcher.frames)
        watcher.wait(lambda: len(watcher.frames) >= before + 3)


def test_rtsp_over_udp(rtsp: RtspCamera) -> None:
    with Watcher(rtsp.url, LiveOptions(transport="udp", connect_timeout_seconds=5)) as watcher:
        watcher.wait(lambda: len(watcher.frames) >= 3)


@pytest.mark.slow
def test_rtsp_plays_a_file_to_its_end_and_is_asked_again(tmp_path: Path) -> None:
    need_gstreamer()
    clip = make_clip(tmp_path / "clip.mp4", even(20), size=(320, 180))
    with RtspCamera(what=str(clip)) as camera, Watcher(camera.url) as watcher:
        watcher.wait(lambda: watcher.source.counters.reconnects >= 1)
        assert {read_counter(frame.image) for frame in watcher.frames} <= set(range(20))


def test_multipart_mjpeg() -> None:
    with mjpeg_camera() as address, Watcher(f"{address}/cam", sampling="every 0.2 s") as watcher:
        watcher.wait(lambda: len(watcher.frames) >= 4)
        numbers = [read_counter(frame.image) for frame in watcher.frames]
        assert numbers == sorted(set(numbers))
        moments = [frame.captured_at or 0.0 for frame in watcher.frames]
        usual = sorted(frame.decode_ms for frame in watcher.frames)[len(watcher.frames) // 2]
        assert usual < 60, "decoding does not count the wait for the next picture"
        assert moments[3] - moments[0] > 0.4
        assert watcher.frames[3].time_seconds - watcher.frames[0].time_seconds == pytest.approx(
            moments[3] - moments[0], abs=0.3
        )


@pytest.mark.parametrize(("path", "words"), [("/denied", "refuses the login"), ("/nothing", "no such address")])
def test_http_refusals_are_told_without_the_password(path: str, words: str) -> None:
    options = LiveOptions(attempts=2, first_delay_seconds=0.05)
    with mjpeg_camera() as address:
        url = address.replace("http://", "http://me:secret@") + path
        with Watcher(url, options) as watcher:
            watcher.wait(lambda: watcher.error)
            assert words in str(watcher.error)
            assert "secret" not in f"{watcher.error}{watcher.states}{watcher.source.counters.faults}"
            assert watcher.names()[-1] == "failed"


def test_hls_is_played_to_its_end(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", even(30), size=(320, 180), gop=10)
    ffmpeg("-i", str(clip), "-c", "copy", "-hls_time", "1", "-hls_list_size", "0", str(tmp_path / "live.m3u8"))
    with file_server(tmp_path) as address, Watcher(f"{address}/live.m3u8") as watcher:
        watcher.wait(lambda: watcher.names() and watcher.names()[-1] == "ended" and watcher.frames)
        watcher.wait(lambda: read_counter(watcher.frames[-1].image) == 29)
        assert watcher.source.counters.decoded == 30


def test_a_video_file_over_http_is_a_file(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", even(30))
    with file_server(tmp_path) as address, open_source(f"{address}/clip.mp4", sampling="every 1 s") as source:
        assert not source.live
        assert [frame.index for frame in source.frames()] == [0, 10, 20]


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_mute_camera_does_not_hang(scheme: str) -> None:
    options = LiveOptions(connect_timeout_seconds=1, stall_seconds=1, attempts=2, first_delay_seconds=0.05)
    with mute_camera() as port, Watcher(f"{scheme}://127.0.0.1:{port}/x", options) as watcher:
        watcher.wait(lambda: watcher.error)
        assert "in time" in str(watcher.error)


def test_closing_does_not_wait_for_a_mute_camera() -> None:
    with mute_camera() as port, Watcher(f"rtsp://127.0.0.1:{port}/x", LiveOptions(connect_timeout_seconds=4)):
        time.sleep(0.3)


def test_nobody_there() -> None:
    with Watcher(f"rtsp://127.0.0.1:{free_port()}/x", LiveOptions(attempts=1)) as watcher:
        watcher.wait(lambda: watcher.error)
    assert "nothing listens there" in str(watcher.error)
    with (
        open_source(f"rtsp://127.0.0.1:{free_port()}/x", live=LiveOptions(attempts=1)) as source,
        pytest.raises(SourceError, match="nothing listens"),
    ):
        _ = source.info


def test_a_slow_taker_gets_the_newest_and_the_rest_is_counted() -> None:
    with open_source("synthetic:?live=1&fps=50&seconds=2&size=64x36") as source:
        seen = []
        for picture in source.pictures():
            seen.append(picture.index)
            time.sleep(0.2)
        assert source.counters.dropped == source.counters.decoded - len(seen) > 50
        assert seen == sorted(set(seen), key=lambda index: index or 0)


@pytest.mark.parametrize(
    ("fault", "state", "counted"), [("die@0.4", "waiting", "reconnects"), ("hang@0.4", "stalled", "stalls")]
)
def test_a_synthetic_camera_fails_as_asked(fault: str, state: State, counted: str) -> None:
    options = LiveOptions(stall_seconds=0.3, first_delay_seconds=0.1)
    with Watcher(f"synthetic:?live=1&fps=20&fault={fault}&size=128x72", options) as watcher:
        watcher.wait(lambda: getattr(watcher.source.counters, counted) >= 2)
        assert state in watcher.names()
        numbers = [read_counter(frame.image) for frame in watcher.frames]
        assert numbers == sorted(set(numbers))


def test_jumping_clocks_and_sizes_are_followed() -> None:
    with Watcher("synthetic:?live=1&fps=20&fault=jump@0.3") as watcher:
        watcher.wait(lambda: len(watcher.frames) >= 12)
        assert 0 < watcher.frames[-1].time_seconds < 60
    with Watcher("synthetic:?live=1&fps=20&fault=resize@0.3") as watcher:
        watcher.wait(lambda: len(watcher.frames) >= 12)
        assert {frame.source_size for frame in watcher.frames} == {(640, 360), (320, 180)}
        assert watcher.source.info.size == (320, 180)


def test_sixteen_cameras_at_once_and_one_dead() -> None:
    watchers = [Watcher("synthetic:?live=1&fps=10&size=64x36") for _ in range(15)]
    dead = Watcher("synthetic:?live=1&fault=refuse", QUICK)
    for watcher in watchers:
        watcher.wait(lambda watcher=watcher: len(watcher.frames) >= 5)  # type: ignore[misc]
    assert not dead.frames
    assert dead.source.counters.reconnects >= 1
    for watcher in [*watchers, dead]:
        with watcher:
            pass
    assert not any(thread.name.startswith("decode synthetic") for thread in threading.enumerate())


def test_a_file_plays_at_its_own_pace(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", even(15))
    with open_source(str(clip), realtime=True) as source:
        assert source.live
        frames = list(source.frames())
    moments = [frame.captured_at or 0.0 for frame in frames]
    assert moments[-1] - moments[0] == pytest.approx(1.4, abs=0.3)
    for frame in frames:
        assert (frame.captured_at or 0.0) - moments[0] == pytest.approx(frame.time_seconds, abs=0.25)


def test_a_looped_file_goes_on_and_its_time_rises(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", even(10, fps=25))
    with Watcher(str(clip), realtime=True, loop=True) as watcher:
        watcher.wait(lambda: len(watcher.frames) >= 25)
        times = [frame.time_seconds for frame in watcher.frames]
        assert times == sorted(set(times))
        for frame in watcher.frames:
            assert frame.index == read_counter(frame.image)
            assert round(frame.time_seconds * 25) % 10 == frame.index


def test_a_looped_window_of_a_file(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", even(30, fps=25))
    seen: list[int | None] = []
    with open_source(str(clip), realtime=True, loop=True, start=0.4, end=0.6) as source:
        for frame in source.frames():
            seen.append(frame.index)
            if len(seen) == 12:
                break
    assert set(seen) <= {10, 11, 12, 13, 14}


def test_a_broken_file_as_camera_gives_what_it_has_then_its_error(clips: Path) -> None:
    with Watcher(str(clips / "truncated_faststart.mp4"), realtime=True) as watcher:
        watcher.wait(lambda: watcher.error)
    assert watcher.error is not None
    assert watcher.error.frames_read == 33
    assert watcher.frames
    assert watcher.names()[-1] == "failed"


def test_the_delay_doubles_up_to_a_limit_with_some_chance() -> None:
    options = LiveOptions(first_delay_seconds=1, longest_delay_seconds=8, jitter=0.5)
    assert [options.delay_seconds(n, 0.5) for n in (1, 2, 3, 4, 5, 500)] == [1, 2, 4, 8, 8, 8]
    assert options.delay_seconds(1, 0.0) == 0.5
    assert options.delay_seconds(1, 0.999) == pytest.approx(1.5, abs=0.01)


def test_options_are_checked() -> None:
    with pytest.raises(OptionError, match="transport"):
        LiveOptions(transport="pigeon")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="stall"):
        LiveOptions(stall_seconds=0)
    with pytest.raises(OptionError, match="loop"):
        open_source("synthetic:", loop=True)


def test_webcams_are_found_by_each_systems_names() -> None:
    options = LiveOptions()
    target = webcam_target("webcam:1", options, "linux")
    assert (target.url, target.format) == ("/dev/video1", "v4l2")
    assert webcam_target("/dev/video7", options, "linux").url == "/dev/video7"
    with pytest.raises(SourceError, match="cannot read webcams"):
        webcam_target("webcam:0", options, "darwin")
    with Watcher("webcam:63", LiveOptions(attempts=1)) as watcher:
        watcher.wait(lambda: watcher.error)
    assert "no such" in str(watcher.error)


def test_a_closed_camera_gives_nothing_more() -> None:
    source = open_source("synthetic:?live=1")
    source.close()
    source.close()
    assert list(source.pictures()) == []
    assert isinstance(source, LiveSource)


def test_sampling_a_camera_by_the_clock() -> None:
    with Watcher("synthetic:?live=1&fps=50&seconds=1.5&size=64x36", sampling="5 fps") as watcher:
        watcher.wait(lambda: watcher.names() and watcher.names()[-1] == "ended")
        watcher.thread.join(LIMIT_SECONDS)
    assert 6 <= len(watcher.frames) <= 9
    assert [frame.sequence for frame in watcher.frames] == list(range(len(watcher.frames)))
    assert Fraction(watcher.frames[0].pts or 0, 90_000) == 0


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("rtsp://10.0.0.5/live", av.InvalidDataError(1, "Invalid data"), "reached (check network, address and port)"),
        ("http://10.0.0.5/live", OSError(errno.EIO, "Input/output error"), "be reached (check network, address and"),
        ("http://10.0.0.5/live", OSError(errno.EHOSTUNREACH, "No route to host"), "be reached: No route to host"),
        ("http://10.0.0.5/page", av.InvalidDataError(1, "Invalid data"), "cannot be read as a video"),
        ("yard.mp4", av.InvalidDataError(1, "Invalid data"), "cannot be read as a video"),
    ],
)
def test_a_camera_that_is_not_reached_is_no_broken_video(address: str, error: Exception, words: str) -> None:
    assert words in str(explained(address, error))
