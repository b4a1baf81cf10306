"""Recordings of real cameras, and of files played as such; test_ring.py has the logic, test_clipping.py the files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest

from streamer.errors import OptionError
from streamer.sources import LiveOptions, PacketRing, Source, State, open_source
from streamer.sources.picture import VideoPicture
from tests.media import even, ffmpeg, make_clip
from tests.sources.cameras import RtspCamera, free_port, mjpeg_camera, need_gstreamer
from tests.sources.playing import check_plays, counters, number_of, payloads, slices

LIMIT_SECONDS = 20.0
KEEPING = LiveOptions(
    connect_timeout_seconds=3,
    stall_seconds=1.5,
    first_delay_seconds=0.1,
    longest_delay_seconds=0.5,
    jitter=0.1,
    keep_seconds=10,
)


class Camera:
    """A source whose pictures a thread takes."""

    def __init__(self, address: str, **more: bool) -> None:
        self.states: list[State] = []
        self.source: Source = open_source(
            address,
            live=KEEPING,
            on_state=lambda state, _: self.states.append(state),
            **more,  # type: ignore[arg-type]
        )
        self.shown = 0
        self._thread = threading.Thread(target=self._work, name="taker", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        for _ in self.source.pictures():
            self.shown += 1

    @property
    def ring(self) -> PacketRing:
        assert self.source.ring is not None
        return self.source.ring

    def wait(self, for_what: Callable[[], object]) -> None:
        until = time.monotonic() + LIMIT_SECONDS
        while not for_what():
            assert time.monotonic() < until, (self.states, self.shown, self.source.counters)
            time.sleep(0.02)


@contextmanager
def watching(address: str, **more: bool) -> Iterator[Camera]:
    camera = Camera(address, **more)
    try:
        yield camera
    finally:
        camera.source.close()
        camera._thread.join(LIMIT_SECONDS)
        assert not camera._thread.is_alive()


# -- real cameras


def test_two_seconds_before_and_two_after_from_an_rtsp_camera(tmp_path: Path) -> None:
    need_gstreamer()
    film = make_clip(tmp_path / "film.mp4", even(200, fps=25), size=(320, 180), gop=25, b_frames=0)
    with RtspCamera(what=str(film)) as server, watching(server.url) as camera:
        camera.wait(lambda: camera.ring.held_seconds > 2.2)
        recording = camera.ring.record(2, 2)
        asked = time.time()
        assert recording.wait(LIMIT_SECONDS)
        assert recording.ended == "complete"
        clip = recording.write(tmp_path / "alerts" / "door.mp4")
        assert clip.path == tmp_path / "alerts" / "door.mp4"
    check_plays(clip)
    assert (clip.codec, clip.size) == ("h264", (320, 180))
    assert 3.8 <= clip.seconds <= 5.2
    assert 2.0 <= clip.moment_seconds <= 3.2
    assert clip.started_at + clip.moment_seconds == pytest.approx(asked, abs=0.3)
    numbers = counters(clip)
    assert numbers == list(range(numbers[0], numbers[0] + clip.pictures))
    assert numbers[0] % 25 == 0
    originals = payloads(film)[numbers[0] : numbers[-1] + 1]
    assert [slices(data) for data in payloads(clip.path)] == [slices(data) for data in originals]
    assert [path.name for path in clip.path.parent.iterdir()] == ["door.mp4"]


@pytest.mark.slow
def test_a_camera_that_is_killed_and_comes_back_with_another_size(tmp_path: Path) -> None:
    need_gstreamer()
    port = free_port()
    with RtspCamera(port) as server, watching(server.url) as camera:
        camera.wait(lambda: camera.ring.held_seconds > 1.2)
        recording = camera.ring.record(1, 60)
        time.sleep(0.5)
        server.kill()
        assert recording.wait(LIMIT_SECONDS)
        assert recording.ended == "camera"
        clip = recording.write(tmp_path / "part.mp4")
        late = camera.ring.record(30, 60)  # the past is still there
        assert late.packets()
        with RtspCamera(port, size="160x90"):
            assert late.wait(LIMIT_SECONDS)
            assert late.ended == "changed"
            camera.wait(lambda: camera.ring.held_seconds > 0.5)
            small = camera.ring.record(10, 0.3)
            assert {packet.encoding.size for packet in camera.ring.packets()} == {(160, 90)}
            assert small.wait(LIMIT_SECONDS)
    check_plays(clip)
    assert clip.size == (320, 180)
    assert 1.3 <= clip.seconds <= 3.5
    check_plays(late.write(tmp_path / "late.mp4"))
    second = small.write(tmp_path / "small.mp4")
    check_plays(second)
    assert second.size == (160, 90)
    with av.open(str(second.path)) as container:
        assert {(frame.width, frame.height) for frame in container.decode(video=0)} == {(160, 90)}


def test_an_mjpeg_camera_is_timed_by_arrival(tmp_path: Path) -> None:
    with mjpeg_camera() as address, watching(f"{address}/cam") as camera:
        camera.wait(lambda: camera.ring.held_seconds > 1)
        recording = camera.ring.record(0.6, 0.6)
        assert recording.wait(LIMIT_SECONDS)
        clip = recording.write(tmp_path / "yard")
    assert clip.path.name == "yard.mp4"
    check_plays(clip)
    assert (clip.codec, clip.size) == ("mjpeg", (320, 180))
    assert clip.seconds == pytest.approx(1.2, abs=0.3)
    assert all(data.startswith(b"\xff\xd8") for data in payloads(clip.path))
    numbers = counters(clip)
    assert numbers == list(range(numbers[0], numbers[0] + clip.pictures))


def test_a_file_with_b_frames_as_a_camera_over_its_loops(tmp_path: Path) -> None:
    film = make_clip(tmp_path / "film.mp4", even(24, fps=25), gop=12, b_frames=2)
    with watching(str(film), realtime=True, loop=True) as camera:
        camera.wait(lambda: camera.ring.held_seconds > 1.3)
        taken = next(iter(camera.source.pictures()))
        assert isinstance(taken, VideoPicture)
        recording = camera.ring.record(1, 0.8, at=taken.captured_at)
        assert recording.wait(LIMIT_SECONDS)
        assert recording.ended == "complete"
        assert len({packet.encoding for packet in camera.ring.packets()}) == 1
        clip = recording.write(tmp_path / "clip.mp4")
    check_plays(clip)
    originals, copies = payloads(film), payloads(clip.path)
    first = originals.index(copies[0])
    assert copies == [originals[(first + place) % 24] for place in range(len(copies))]
    with av.open(str(clip.path)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == clip.pictures
    rounds = len(frames) // 24
    assert rounds >= 1
    assert clip.seconds == pytest.approx(len(frames) / 25, abs=0.1 * (rounds + 1))
    nearest = min(frames, key=lambda frame: abs((frame.time or 0.0) - clip.moment_seconds))
    assert number_of(nearest) == taken.index


@pytest.mark.parametrize("name", ["film.mp4", "film.avi"])
def test_a_file_played_once_leaves_its_past(tmp_path: Path, name: str) -> None:
    """Packets come into the ring as their pictures are shown, also where they carry no pts."""
    film = make_clip(tmp_path / "film.mp4", even(15, fps=25))
    if name == "film.avi":
        ffmpeg("-i", str(film), "-c:v", "mpeg4", "-bf", "0", str(film := tmp_path / name))
    with open_source(str(film), realtime=True, live=KEEPING) as source:
        shown = [picture.captured_at for picture in source.pictures()]
        assert source.ring is not None
        held = source.ring.packets()
        clip = source.ring.record(10, 10).write(tmp_path / "clip.mp4")
    assert [packet.data for packet in held] == payloads(film) == payloads(clip.path)
    assert held[-1].captured_at == pytest.approx(shown[-1], abs=0.2)
    assert held[-1].captured_at - held[0].captured_at > 0.3
    assert clip.seconds == pytest.approx(0.6, abs=0.05)


# -- who has a ring


def test_nothing_is_kept_unless_asked_for(tmp_path: Path) -> None:
    film = str(make_clip(tmp_path / "film.mp4", even(4)))
    for address in (film, "rtsp://127.0.0.1:9/x", "synthetic:?live=1", "webcam:0"):
        with open_source(address, realtime=True) as source:
            assert source.ring is None
    for address in ("synthetic:?live=1", "synthetic:?seconds=1"):
        with open_source(address, realtime=True, live=KEEPING) as source:
            assert source.ring is None
    with open_source(film, live=KEEPING) as source:  # a file that is read at once is no camera
        assert source.ring is None
    with pytest.raises(OptionError, match="keep"):
        LiveOptions(keep_seconds=-1)


def test_bare_pixels_are_not_kept(tmp_path: Path) -> None:
    film = tmp_path / "film.avi"
    ffmpeg("-i", str(make_clip(tmp_path / "film.mp4", even(4, fps=25))), "-c:v", "rawvideo", str(film))
    with watching(str(film), realtime=True) as camera:
        camera.wait(lambda: camera.states and camera.states[-1] == "ended")
        assert camera.shown > 0
        assert camera.source.ring is None
