"""What viewers may change, behind one face: a bare live job, or a station that keeps the changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from streamer.configuration import StreamEntry
from streamer.errors import OptionError
from streamer.settings import StreamSettings

if TYPE_CHECKING:
    from streamer.monitor import Monitor
    from streamer.station import Station
    from streamer.streams import Opener

Edit = Callable[[StreamSettings], StreamSettings]
Admit = Callable[[str], "Opener"]
"""From the address of a source that a viewer wants to add to its opener; raises `StreamerError` where it may not be."""


class Controls(Protocol):
    """Each may take a while and raises the `StreamerError` of what cannot be done. Called from any thread."""

    @property
    def can_add(self) -> bool:
        """Whether streams may be added and removed."""

    def change(self, stream: str, edit: Edit) -> None: ...

    def restart(self, stream: str) -> None: ...

    def add(self, stream: str, address: str, settings: StreamSettings) -> None: ...

    def remove(self, stream: str) -> None: ...

    def acknowledge(self, alert: str, by: str) -> None: ...


class MonitorControls:
    """Changes last as long as the job. Streams may be added where there is ``admit``."""

    def __init__(self, monitor: Monitor, admit: Admit | None = None) -> None:
        self._monitor, self._admit = monitor, admit

    @property
    def can_add(self) -> bool:
        return self._admit is not None

    def change(self, stream: str, edit: Edit) -> None:
        self._monitor.change(stream, edit)

    def restart(self, stream: str) -> None:
        self._monitor.restart(stream)

    def add(self, stream: str, address: str, settings: StreamSettings) -> None:
        self._monitor.add(stream, self._admitted()(address), settings, address=address)

    def remove(self, stream: str) -> None:
        self._admitted()
        self._monitor.remove(stream)

    def acknowledge(self, alert: str, by: str) -> None:
        raise OptionError("alert", alert, "a job with rules; this one has no alerts")

    def _admitted(self) -> Admit:
        if self._admit is None:
            raise OptionError("command", "add or remove", "a server that lets viewers add streams; this one does not")
        return self._admit


class StationControls:
    """Changes are kept over restarts."""

    def __init__(self, station: Station) -> None:
        self._station = station

    @property
    def can_add(self) -> bool:
        return bool(self._station.configuration.allow)

    def change(self, stream: str, edit: Edit) -> None:
        self._station.change(stream, edit)

    def restart(self, stream: str) -> None:
        self._station.restart(stream)

    def add(self, stream: str, address: str, settings: StreamSettings) -> None:
        self._station.add(StreamEntry(stream, address, settings))

    def remove(self, stream: str) -> None:
        if not self.can_add:
            raise OptionError("command", "remove", "a server that lets viewers add streams (allow in streams.toml)")
        self._station.remove(stream)

    def acknowledge(self, alert: str, by: str) -> None:
        self._station.alerting.book.acknowledge(alert, by)
