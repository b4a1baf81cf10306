"""Sources, model and page put together: what ``streamer watch`` and ``streamer demo`` run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from streamer.configuration import Configuration, StreamEntry
from streamer.errors import OptionError
from streamer.monitor import Monitor
from streamer.server import Server
from streamer.settings import StreamSettings
from streamer.sources import open_source, stream_name
from streamer.station import Station

if TYPE_CHECKING:
    from streamer.further import FurtherModel
    from streamer.models.base import VisionModel


def sample_video(name: str = "street.mp4") -> Path:
    """A sample video: the one in the package, or any of ``sample_videos/`` in a checkout. Raises `OptionError`."""
    packaged = Path(str(files("streamer"))) / "sample_videos" / name
    beside = Path(str(files("streamer"))).parent / "sample_videos" / name
    for path in (packaged, beside):
        if path.exists():
            return path
    raise OptionError("sample video", name, "street.mp4, which comes with the package")


@contextmanager
def watch(
    addresses: Sequence[str],
    model: VisionModel,
    settings: StreamSettings | None = None,
    *,
    configuration: Configuration | None = None,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    host_names: Sequence[str] = (),
    tls: tuple[Path, Path] | None = None,
    loop: bool = False,
    hwaccel: str | None = None,
    udp: bool = False,
    watching: Callable[[VisionModel], Monitor] = Monitor,
    further: Sequence[FurtherModel] = (),
) -> Iterator[Server]:
    """Watches the sources, and those of a configuration, and shows them: a running `Server`, whose ``url`` is the page;
    ended when the block ends.

    ``settings``, ``loop``, ``hwaccel`` and ``udp`` are those of ``addresses``; ``watching`` and
    ``further`` are as `Station` says. Without a configuration that names a data folder the history lasts as long as the
    block. Raises `SourceError` for files that do not exist and `OptionError` for an address that cannot be listened on.
    A camera that cannot be reached does not raise: its state says so, and it is tried again.
    """
    given = configuration or Configuration()
    names = [entry.name for entry in given.streams]
    added = []
    for address in addresses:
        open_source(address, realtime=True, loop=loop, hwaccel=hwaccel).close()  # is it there?
        names.append(free_name(stream_name(address), names))
        added.append(StreamEntry(names[-1], address, settings or StreamSettings(), loop, udp, hwaccel))
    whole = replace(given, streams=(*given.streams, *added))
    with (
        Station(model, whole, watching=watching, further=further) as station,
        Server(
            station.monitor, host=host, port=port, token=token, host_names=host_names, station=station, tls=tls
        ) as server,
    ):
        yield server


def free_name(wanted: str, taken: Sequence[str]) -> str:
    """``wanted``, or with a number behind it where it is taken."""
    name, number = wanted[:90], 2
    while name in taken:
        name, number = f"{wanted[:90]} ({number})", number + 1
    return name
