"""What a live job stands on: its folder, the changes kept there, its history."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from streamer.admission import check_allowed
from streamer.configuration import Configuration
from streamer.datafolder import alone_in
from streamer.errors import OptionError
from streamer.history import History, HistoryOptions
from streamer.kept import Changes
from streamer.monitor import MAX_STREAMS
from streamer.notify.configure import check_channel


@dataclass(frozen=True, slots=True)
class Groundwork:
    """A job's own for as long as it runs."""

    folder: Path
    changes: Changes
    history: History


@contextmanager
def groundwork(configuration: Configuration) -> Iterator[Groundwork]:
    """What the configuration says, opened; without a data folder it is kept for the block only. Raises the
    `StreamerError` of what cannot be used, or is another job's."""
    check_allowed(configuration.allow)
    with ExitStack() as stack:
        folder = configuration.data
        if folder is not None:
            stack.enter_context(alone_in(folder))
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="streamer-")))
        changes = Changes(None if configuration.data is None else folder / "changes.json")
        options = HistoryOptions(**changes.keep(configuration.keep).limits())
        history = History(folder, configuration.history_url, pictures=configuration.pictures, options=options)
        yield Groundwork(folder, changes, stack.enter_context(history))


def check_job(configuration: Configuration, more: int = 0) -> None:
    """Raises the `StreamerError` of what would end the job of this configuration at its start, with ``more`` streams
    beside its own: before a model is loaded for it."""
    for name, table in configuration.channels.items():
        check_channel(name, table, f"channels.{name}")
    with groundwork(configuration) as ground:
        check_count(len(ground.changes.streams(configuration.streams)) + more)


def check_count(streams: int, most: int = MAX_STREAMS) -> None:
    """Raises `OptionError` for more streams than a job can have."""
    if streams > most:
        raise OptionError("streams", streams, f"at most {most} in a running job")
