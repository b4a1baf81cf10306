"""Live pictures by FFmpeg: RTSP, HTTP (multipart MJPEG, HLS), other network streams, and webcams."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import av
from av.device import enumerate_input_devices

from streamer.errors import SourceError
from streamer.sources.arrivals import Arrivals
from streamer.sources.decoding import Decoder, Target
from streamer.sources.encoded import Tap, keepable
from streamer.sources.live import LiveOptions, StalledError
from streamer.sources.picture import Stopwatch
from streamer.sources.ring import PacketRing
from streamer.sources.timeline import Timeline

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

    from streamer.sources.base import Counters
    from streamer.sources.picture import VideoPicture

_SLICE_SECONDS = 0.5
"""RTSP reads can be taken up again after a timeout, so they are cut short to notice that the source is closed."""
_LONGEST_GAP_SECONDS = 10.0
"""A longer jump of the camera's clock is not believed."""
_PROBE_MICROSECONDS = "1000000"
"""How long RTSP is looked at before the first picture; FFmpeg's own 5 s make a camera slow to come back."""
_UNTIMED = ("mpjpeg", "mjpeg", "image2pipe")
"""Formats whose pictures carry no time; FFmpeg invents 25 a second."""


def network_target(address: str, options: LiveOptions, hwaccel: str | None = None) -> Target:
    rtsp = address.lower().startswith(("rtsp:", "rtsps:"))
    return Target(
        address,
        address,
        options={"rtsp_transport": options.transport, "analyzeduration": _PROBE_MICROSECONDS} if rtsp else {},
        open_timeout_seconds=options.connect_timeout_seconds,
        read_timeout_seconds=min(_SLICE_SECONDS, options.stall_seconds) if rtsp else options.stall_seconds,
        hwaccel=hwaccel,
        threads="SLICE",
    )


def webcam_target(address: str, options: LiveOptions, platform: str = sys.platform) -> Target:
    """``/dev/video0``, ``webcam:0``, or ``webcam:NAME`` as the system calls it. Raises `SourceError`."""
    name = address.removeprefix("webcam:") or "0"
    url, format_ = _device(address, name, platform)
    if format_ not in av.formats_available and not any(format_ in known.split(",") for known in av.formats_available):
        raise SourceError(address, f"this build of PyAV cannot read webcams ({format_})", "use an RTSP or HTTP camera")
    timeouts = options.connect_timeout_seconds, options.stall_seconds
    return Target(address, url, format_, open_timeout_seconds=timeouts[0], read_timeout_seconds=timeouts[1])


def _device(address: str, name: str, platform: str) -> tuple[str, str]:
    """What FFmpeg calls the camera: (url, format)."""
    if platform == "darwin":
        return f"{name}:none", "avfoundation"
    if platform != "win32":
        return (f"/dev/video{name}" if name.isdecimal() else name), "v4l2"
    if name.isdecimal():
        cameras = [device.name for device in enumerate_input_devices("dshow") if "video" in device.media_types]
        if int(name) >= len(cameras):
            raise SourceError(address, f"there are {len(cameras)} webcams", "plug it in, or name another one")
        name = cameras[int(name)]
    return f"video={name}", "dshow"


class NetworkFeed:
    """One camera or network stream."""

    comes_back = True

    def __init__(self, target: Target, options: LiveOptions) -> None:
        self._target, self._options = target, options
        self.address = target.address
        self.codec = ""
        self.rate: float | None = None
        self.ring = PacketRing(options.keep_seconds) if options.keep_seconds else None
        self._timeline: Timeline | None = None
        self._last_at = 0.0
        self._count = self._round = 0

    def pictures(self, stop: threading.Event, counters: Counters) -> Iterator[VideoPicture]:
        decoder = Decoder(self._target, counters)
        decoder.reading = Stopwatch()
        self._round += 1
        self._arrivals = Arrivals()
        try:
            timeline = self._begin(decoder)
            timed = decoder.container.format.name not in _UNTIMED
            self._keep(decoder, timed)
            for packet in self._packets(decoder, stop):
                self._arrivals.add(packet.pts, time.monotonic())
                for frame in decoder.decode(packet):
                    arrived = self._arrivals.of(frame.pts)
                    at = timeline.place(frame.pts if timed else None, Fraction(max(0.0, arrived - self._last_at)))
                    self._last_at = arrived
                    picture = decoder.picture(frame, at, self._count)
                    picture.captured_at, picture.round = arrived, self._round
                    self._count += 1
                    yield picture
        finally:
            decoder.close()
            if self.ring is not None:
                self.ring.interrupt()

    def _keep(self, decoder: Decoder, timed: bool) -> None:
        if not keepable(self.codec):
            self.ring = None
        if self.ring is not None:
            decoder.keep = tap = Tap(self.ring.put, lambda: self._arrivals.newest, timed=timed)
            tap.round = self._round

    def _begin(self, decoder: Decoder) -> Timeline:
        self.codec = decoder.stream.codec_context.name
        self.rate = float(decoder.rate) if decoder.rate else None
        time_base = decoder.stream.time_base
        if self._timeline is None:
            self._last_at = time.monotonic()
            self._timeline = Timeline(time_base, decoder.rate, _LONGEST_GAP_SECONDS)
        else:
            self._timeline.interrupt(time_base)
        return self._timeline

    def _packets(self, decoder: Decoder, stop: threading.Event) -> Iterator[Packet[VideoStream]]:
        """Raises `StalledError` after too long a silence and `SourceError` where the other side hangs up."""
        heard = time.monotonic()
        while not stop.is_set():
            asked = time.monotonic()
            try:
                for packet in decoder.packets():
                    heard = time.monotonic()
                    yield packet
                    if stop.is_set():
                        return
            except SourceError as error:
                self._check_silence(error, asked, heard)
            else:
                if "hls" in decoder.container.format.name and decoder.container.duration:
                    return
                raise SourceError(self.address, "the other side ended the stream", "it is tried again")

    def _check_silence(self, error: SourceError, asked: float, heard: float) -> None:
        """Returns where a silence is still short enough to listen on."""
        if not isinstance(error.__cause__, av.ExitError | TimeoutError):
            raise error
        now, waited = time.monotonic(), self._target.read_timeout_seconds
        if now - heard >= 0.9 * self._options.stall_seconds:
            reason = f"connected, but nothing came for {now - heard:.0f} s"
            raise StalledError(self.address, reason, "check the camera") from error
        if now - max(asked, heard) < waited / 2:  # some protocols stay broken after a timeout
            raise error
