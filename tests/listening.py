"""A listener to a live job."""

from __future__ import annotations

from dataclasses import replace

from streamer.display import EncodedPicture
from streamer.monitor import Event, Monitor
from streamer.results import FrameResult
from streamer.settings import StreamSettings, StreamStatus

FAST = StreamSettings(fps=20, display_fps=20, gate=0)
GATED = replace(FAST, gate=StreamSettings().gate)


class Listener:
    """Keeps every event."""

    def __init__(self, monitor: Monitor) -> None:
        self.events: list[Event] = []
        monitor.subscribe(self.events.append)

    def results(self, stream: str = "a") -> list[FrameResult]:
        return [event for event in tuple(self.events) if isinstance(event, FrameResult) and event.stream == stream]

    def pictures(self) -> list[EncodedPicture]:
        return [event for event in tuple(self.events) if isinstance(event, EncodedPicture)]

    def states(self, stream: str = "a") -> list[str]:
        found = [event for event in tuple(self.events) if isinstance(event, StreamStatus) and event.name == stream]
        return [event.state for event in found]
