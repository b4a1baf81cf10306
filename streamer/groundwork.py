"""What a live job stands on: its folder, the changes kept there, its history."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
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
from streamer.rules import Rule
from streamer.rules.asking import MAX_QUESTIONS


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


def check_job(configuration: Configuration, more: Sequence[str] = (), most: int = MAX_STREAMS) -> None:
    """Raises the `StreamerError` of what would end the job of this configuration at its start, with streams called
    ``more`` beside its own, ``most`` in all: before a model is loaded for it."""
    for name, table in configuration.channels.items():
        check_channel(name, table, f"channels.{name}")
    with groundwork(configuration) as ground:
        names = [*(entry.name for entry in ground.changes.streams(configuration.streams)), *more]
        check_count(len(names), most)
        check_questions(ground.changes.rules(configuration.rules), names)


def check_questions(rules: Iterable[Rule], streams: Iterable[str]) -> None:
    """Raises `OptionError` where rules ask more of a stream than is asked of any."""
    asking = [rule for rule in rules if rule.enabled and rule.question is not None]
    for stream in streams:
        if (count := sum(rule.applies_to(stream) for rule in asking)) > MAX_QUESTIONS:
            expected = f"at most {MAX_QUESTIONS} questions of rules on one stream; name the streams of some, or switch"
            raise OptionError("rules", f"{count} questions on {stream}", f"{expected} some off")


def check_count(streams: int, most: int) -> None:
    """Raises `OptionError` for more streams than a job can have."""
    if streams > most:
        raise OptionError("streams", streams, f"at most {most} in a running job")
