"""A first look at a source before it is watched: whether it can be opened, and what its first picture shows."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streamer.addresses import redact
from streamer.display import display_size, encode_jpeg
from streamer.errors import SourceError
from streamer.sources import LiveOptions, open_source
from streamer.sources.live import LiveSource

if TYPE_CHECKING:
    from streamer.sources.base import Size, SourceInfo

WIDTH = 640
"""Of the picture, at most."""


@dataclass(frozen=True, slots=True)
class FirstLook:
    """What a source is, and its first picture."""

    info: SourceInfo
    size: Size
    """``(width, height)`` of the JPEG."""
    jpeg: bytes = field(repr=False)


class Probes:
    """Looks at sources, at most ``most`` at once. Used from any thread.

    A source counts until its own thread has ended: FFmpeg may hold that a while longer than anybody waits.
    """

    def __init__(self, most: int, seconds: float) -> None:
        """``seconds``: how long one look may take."""
        self._most, self._seconds = most, seconds
        self._lock = threading.Lock()
        self._sources: list[LiveSource] = []

    def look(self, address: str, *, udp: bool = False) -> FirstLook | None:
        """Opens the source at ``address`` and waits for its first picture; None where enough are being looked at.

        ``udp``: RTSP over UDP instead of TCP. Raises `SourceError` with the reason, without passwords, where no
        picture comes in time.
        """
        patience = max(0.1, self._seconds / 2)
        options = LiveOptions(
            transport="udp" if udp else "tcp", connect_timeout_seconds=patience, stall_seconds=patience, attempts=1
        )
        source = open_source(address, realtime=True, live=options)
        assert isinstance(source, LiveSource)
        with source:
            if not self._take(source):
                return None
            return _first(source, address, self._seconds)

    def _take(self, source: LiveSource) -> bool:
        with self._lock:
            self._sources = [one for one in self._sources if not one.over]
            if len(self._sources) >= self._most:
                return False
            self._sources.append(source)
            return True


def _first(source: LiveSource, address: str, seconds: float) -> FirstLook:
    begun = time.monotonic()
    clock = threading.Timer(seconds, source.close)
    clock.name, clock.daemon = "probe", True
    clock.start()
    try:
        with suppress(StopIteration):
            picture = next(source.pictures())
            size = display_size(picture.source_size, WIDTH)
            return FirstLook(source.info, size, encode_jpeg(picture.scaled(size)))
    except SourceError as error:
        raise SourceError(address, redact(error.reason), error.remedy) from error
    finally:
        clock.cancel()
        clock.join()
    if time.monotonic() - begun >= seconds:
        raise SourceError(address, f"it gives no picture within {seconds:g} s", "check network, address and port")
    raise SourceError(address, "it ends before its first picture", "check that it is a whole, playable video")
