"""Sources, model and page put together: what ``streamer watch`` and ``streamer demo`` run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from streamer.errors import OptionError
from streamer.monitor import Monitor
from streamer.server import Server
from streamer.settings import StreamSettings
from streamer.sources import LiveOptions, open_source, stream_name
from streamer.streams import Opener

if TYPE_CHECKING:
    from streamer.models.base import VisionModel
    from streamer.sources import Source


def sample_video(name: str = "street.mp4") -> Path:
    """A sample video: the one in the package, or any of ``sample_videos/`` in a checkout. Raises `OptionError`."""
    packaged = Path(str(files("streamer"))) / "sample_videos" / name
    beside = Path(str(files("streamer"))).parent / "sample_videos" / name
    for path in (packaged, beside):
        if path.exists():
            return path
    raise OptionError("sample video", name, "street.mp4, which comes with the package")


def opener(address: str, *, loop: bool = False, hwaccel: str | None = None, live: LiveOptions | None = None) -> Opener:
    """Opens ``address`` as a camera: files play at their own pace, again from the start with ``loop``.

    Raises `SourceError` at once for a file that does not exist.
    """

    def open_it() -> Source:
        return open_source(address, realtime=True, loop=loop, hwaccel=hwaccel, live=live)

    open_it().close()
    return open_it


@contextmanager
def watch(
    addresses: Sequence[str],
    model: VisionModel,
    settings: StreamSettings | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    loop: bool = False,
    hwaccel: str | None = None,
    live: LiveOptions | None = None,
) -> Iterator[Server]:
    """Watches the sources and shows them: a running `Server`, whose ``url`` is the page; ended when the block ends.

    Raises `SourceError` for files that do not exist and `OptionError` for an address that cannot be listened on. A
    camera that cannot be reached does not raise: its state says so, and it is tried again.
    """
    openers = [(address, opener(address, loop=loop, hwaccel=hwaccel, live=live)) for address in addresses]
    with Monitor(model) as monitor, Server(monitor, host=host, port=port, token=token) as server:
        for address, open_it in openers:
            monitor.add(_free_name(stream_name(address), monitor), open_it, settings, address=address)
        yield server


def _free_name(wanted: str, monitor: Monitor) -> str:
    taken = {status.name for status in monitor.statuses()}
    name, number = wanted[:90], 2
    while name in taken:
        name, number = f"{wanted[:90]} ({number})", number + 1
    return name
