"""A camera's own packets, handed on with the times of their pictures."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from streamer.models.scripted import ScriptedModel
from streamer.monitor import Event, Monitor
from streamer.passthrough import VideoPacket
from streamer.settings import StreamSettings
from streamer.sources import LiveOptions, open_source
from tests.media import even, make_clip, set_display_matrix
from tests.server.rig import Camera, eventually
from tests.sources.cameras import RtspCamera

QUIET = StreamSettings(tasks=())


class Watcher:
    """Keeps the packets of the stream ``a``."""

    def __init__(self, monitor: Monitor) -> None:
        self.packets: list[VideoPacket] = []
        self._lock = threading.Lock()
        monitor.subscribe(self._hear)

    def _hear(self, event: Event) -> None:
        if isinstance(event, VideoPacket):
            with self._lock:
                self.packets.append(event)


def decoded(packets: list[VideoPacket]) -> Iterator[tuple[float, av.VideoFrame]]:
    """As a browser does it: the setup, then packets from a key picture on; each picture with its time."""
    context = av.CodecContext.create("h264", "r")
    assert isinstance(context, av.VideoCodecContext)
    if packets[0].setup.description:
        context.extradata = packets[0].setup.description
    for packet in packets:
        sent = av.Packet(packet.data)
        sent.pts, sent.time_base = round(packet.time_seconds * 1e6), Fraction(1, 1_000_000)
        for frame in context.decode(sent):
            yield float((frame.pts or 0) * Fraction(1, 1_000_000)), frame
    for frame in context.decode(None):
        yield float((frame.pts or 0) * Fraction(1, 1_000_000)), frame


def watched(address: str, *, loop: bool, wanted: int, seconds: float = 15.0) -> list[VideoPacket]:
    with Monitor(ScriptedModel()) as monitor:
        watcher = Watcher(monitor)
        live = LiveOptions(keep_seconds=0.5)
        monitor.add("a", lambda: open_source(address, realtime=True, loop=loop, live=live), QUIET)
        unwatch = monitor.watch("a")
        eventually(lambda: len(watcher.packets) >= wanted, seconds)
        unwatch()
        return watcher.packets[:wanted]


@pytest.mark.parametrize("b_frames", [0, 2])
def test_packets_of_a_looped_file_are_its_pictures_at_their_times(tmp_path: Path, b_frames: int) -> None:
    """Decoded from the first key picture on they rise evenly in time across the file's end, and are what the file's
    own decode gives."""
    path = make_clip(tmp_path / "clip.mp4", even(12, 20), gop=6, b_frames=b_frames)
    with av.open(str(path)) as container:
        originals = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    packets = watched(str(path), loop=True, wanted=40)
    assert [packet.number for packet in packets] == list(range(packets[0].number, packets[0].number + 40))
    first = next(place for place, packet in enumerate(packets) if packet.key)
    times = []
    for time, frame in list(decoded(packets[first:]))[:-3]:
        times.append(time)
        place = round(time * 20) % 12
        assert np.array_equal(frame.to_ndarray(format="gray"), originals[place]), time
    assert np.diff(times) == pytest.approx(0.05, abs=0.002)
    assert times[-1] > 12 / 20, "more than a round"
    assert packets[0].setup.codec.startswith("avc1.")


def test_packets_of_a_camera_decode_and_belong_to_its_pictures() -> None:
    """Over RTSP, whose packets have start codes and no record."""
    with RtspCamera() as camera:
        packets = watched(camera.url, loop=False, wanted=30)
    first = next(place for place, packet in enumerate(packets) if packet.key)
    assert packets[first].setup.description == b""
    pictures = list(decoded(packets[first:]))
    assert len(pictures) >= len(packets) - first - 2
    assert np.all(np.diff([time for time, _ in pictures]) > 0)
    for packet in packets:
        assert packet.captured_at > 0


def test_nothing_is_handed_on_of_turned_or_drawn_pictures_nor_when_nobody_watches(tmp_path: Path) -> None:
    path = set_display_matrix(make_clip(tmp_path / "turned.mp4", even(12, 20), gop=6), 0, 1, -1, 0)
    with Monitor(ScriptedModel()) as monitor:
        watcher = Watcher(monitor)
        live = LiveOptions(keep_seconds=0.5)
        plain = make_clip(tmp_path / "plain.mp4", even(12, 20), gop=6)
        monitor.add("turned", lambda: open_source(str(path), realtime=True, loop=True, live=live), QUIET)
        monitor.add("drawn", lambda: Camera(fps=20), QUIET)
        monitor.add("unwatched", lambda: open_source(str(plain), realtime=True, loop=True, live=live), QUIET)
        ends = [monitor.watch("turned"), monitor.watch("drawn")]
        eventually(lambda: all(status.counts.get("pictures", 0) > 15 for status in monitor.statuses()))
        assert watcher.packets == []
        for end in ends:
            end()
