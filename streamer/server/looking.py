"""What one viewer sees of the streams: JPEGs as its screen and its link want them, or a camera's own H.264."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streamer.server.link import Link
from streamer.server.picture import setup_message

if TYPE_CHECKING:
    from streamer.display import CarriedBoxes, EncodedPicture, Wish
    from streamer.monitor import Look, Monitor
    from streamer.passthrough import VideoPacket, VideoSetup
    from streamer.server.outbox import Outbox

SILENCE_SECONDS = 3.0
"""Without packets, after which a viewer gets JPEGs again until they come."""


@dataclass(slots=True, eq=False)
class _Video:
    """A stream that a viewer may have as it comes."""

    end: Callable[[], None]
    next: int | None = None
    """Number of the packet that goes on from the one before; None: only a key picture will do."""
    setup: VideoSetup | None = None
    heard_at: float = 0.0
    running: bool = False
    """Whether it takes the place of JPEGs."""


class Looking:
    """Used on the event loop alone. Messages go to ``outbox``; nothing is asked of the job for what is not wanted."""

    def __init__(self, monitor: Monitor, outbox: Outbox) -> None:
        self._monitor, self._outbox = monitor, outbox
        self._link = Link()
        self._widths: dict[str, int] = {}
        """Streams that are wanted -> pixels across of their places on the screen."""
        self._as_sent: frozenset[str] = frozenset()
        self._looks: dict[str, Look] = {}
        self._video: dict[str, _Video] = {}
        self._counted = (0, 0)

    def __contains__(self, stream: str) -> bool:
        return stream in self._widths

    def want(self, widths: Mapping[str, int], as_sent: frozenset[str]) -> set[str]:
        """From now on these streams and no others; ``as_sent``: those of them that may come as packets. Gives those
        that are new. Raises `OptionError` for an unknown stream; then those before it are wanted."""
        for name in self._widths.keys() - widths.keys():
            self.forget(name)
        self._outbox.keep_pictures(frozenset(widths))
        fresh = widths.keys() - self._widths.keys()
        self._as_sent = as_sent
        for name, width in widths.items():
            self._arrange(name, width)
            self._widths[name] = width
        return fresh

    def forget(self, stream: str) -> None:
        """It is not wanted any more, or gone."""
        self._widths.pop(stream, None)
        if look := self._looks.pop(stream, None):
            look()
        if video := self._video.pop(stream, None):
            video.end()

    def close(self) -> None:
        for name in tuple(self._widths):
            self.forget(name)

    def tend(self, now: float) -> None:
        """Now and then: looks what becomes of the pictures, and asks for others where the link takes more or less.
        Raises `OptionError` where a stream has gone meanwhile."""
        offered, lost = self._outbox.pictures_offered, self._outbox.pictures_dropped
        before, self._counted = self._counted, (offered, lost)
        changed = self._link.judge(now, offered - before[0], lost - before[1])
        for name, width in tuple(self._widths.items()):
            video = self._video.get(name)
            if video is not None and video.running and now - video.heard_at > SILENCE_SECONDS:
                video.running, video.next, changed = False, None, True
            if changed:
                self._arrange(name, width)

    # -- what comes

    def picture(self, picture: EncodedPicture, message: Callable[[], bytes]) -> None:
        look = self._looks.get(picture.stream)
        if look is not None and look.wish == picture.wish:
            self._outbox.put_picture(picture.stream, message())

    def boxes(self, boxes: CarriedBoxes, text: Callable[[], str]) -> None:
        if boxes.stream in self._widths:
            self._outbox.put_boxes(boxes.stream, text())

    def packet(self, number: int, packet: VideoPacket, message: Callable[[], bytes]) -> None:
        """``number``: the stream's, for the wire. What came after a gap waits for the next key picture."""
        video = self._video.get(packet.stream)
        if video is None:
            return
        follows = packet.number == video.next and packet.setup == video.setup
        if not (follows or packet.key):
            video.next = None
            return
        if packet.setup != video.setup:
            video.setup = packet.setup
            self._outbox.put_video(packet.stream, setup_message(number, packet))
        if not self._outbox.put_video(packet.stream, message()):
            video.next = video.setup = None
            return
        video.next, video.heard_at = packet.number + 1, time.monotonic()
        if not video.running:
            video.running = True
            self._arrange(packet.stream, self._widths[packet.stream])

    # -- what is asked of the job

    def _arrange(self, name: str, width: int) -> None:
        """Video as long as the link takes it, JPEGs until it runs; a new look before the old one ends."""
        video = self._video.get(name)
        wanted = name in self._as_sent and self._link.step == 0
        if video is None and wanted:
            self._video[name] = _Video(self._monitor.watch(name))
        elif video is not None and not wanted:
            del self._video[name]
            video.end()
            self._outbox.drop_video(name)
            video = None
        if video is not None and video.running:
            if look := self._looks.pop(name, None):
                look()
            return
        self._look(name, self._link.wish(width))

    def _look(self, name: str, wish: Wish) -> None:
        before = self._looks.get(name)
        if before is not None and before.asked == wish:
            return
        self._looks[name] = self._monitor.look(name, wish)
        if before is not None:
            before()
