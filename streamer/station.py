"""A whole live job: streams, model, history, rules, alerts and channels, and the changes that people make to them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from streamer.admission import admit, check_allowed
from streamer.alerting import Alerting
from streamer.allocator import give_back
from streamer.clips import ClipOptions
from streamer.configuration import Configuration, StreamEntry, read_configuration
from streamer.errors import OptionError, StreamerError
from streamer.further import FurtherModel, FurtherModels
from streamer.groundwork import check_count, check_questions, groundwork
from streamer.jobs import JobOptions, Jobs
from streamer.keeping import Keep
from streamer.monitor import Monitor
from streamer.notify.base import Channel
from streamer.notify.configure import channel_from_mapping
from streamer.notify.delivery import Delivery
from streamer.notify.mqtt import Mqtt
from streamer.orders import Orders
from streamer.rules import Rule
from streamer.settings import StreamSettings
from streamer.sharing import SharedModel
from streamer.sources import open_source
from streamer.stamp import Stamp

if TYPE_CHECKING:
    from streamer.models.base import VisionModel
    from streamer.settings import StreamStatus
    from streamer.sources.base import Source

log = logging.getLogger(__name__)

FILE_SECONDS = 2.0
"""How often the configuration file is looked at for changes."""
GIVE_BACK_SECONDS = 10.0
"""How often memory that is free is given back to the system."""
MAX_RULES = 200
LATENCY_SECONDS = 5.0
"""Of the model, for which packets are kept beyond those before an alert."""
VIEWERS_SECONDS = 0.5
"""For which packets are kept where no clips are made: viewers may want them as they come."""
CLOSE_SECONDS = 2.0


class Station:
    """Runs what a `Configuration` says until it is closed. A context manager; does not own the model.

    What people change while it runs is kept in ``changes.json`` in the data folder; the configuration file is read
    again when it changes, never written. Without a data folder the history is kept for this run only. Everything may
    be called from any thread; raises the `StreamerError` of whatever cannot be done, and then nothing has changed.
    """

    def __init__(
        self,
        model: VisionModel,
        configuration: Configuration,
        *,
        watching: Callable[[VisionModel], Monitor] = Monitor,
        further: Sequence[FurtherModel] = (),
    ) -> None:
        """``watching(model)`` makes the live job, which ends with the station; so do the ``further`` models, which only
        comparisons ask."""
        self._configuration = configuration
        self._lock = threading.RLock()
        self._entries: dict[str, StreamEntry] = {}
        self.fault: str | None = None
        """Why the newest version of the configuration file is not in use; None where it is."""
        self.reloads = 0
        self._stopping = threading.Event()
        with ExitStack() as stack:
            ground = stack.enter_context(groundwork(configuration))
            self._changes, self.history = ground.changes, ground.history
            self._orders = Orders(self._paused)
            """Of channels: they must not wait until they are carried out."""
            stack.callback(self._orders.close)
            self._delivery = self._deliver(configuration)
            stack.callback(lambda: self._delivery.close())
            shared = SharedModel(model)
            self.monitor = stack.enter_context(watching(shared.live))
            self.further = stack.enter_context(FurtherModels(further, shared))
            self.alerting = stack.enter_context(
                Alerting(
                    self.monitor,
                    self.history,
                    self._changes.rules(configuration.rules),
                    clips=ClipOptions(configuration.clip_before_seconds, configuration.clip_after_seconds),
                    channels=lambda: self._delivery.channels,
                    wake=lambda: self._delivery.wake(),
                )
            )
            entries = self._changes.streams(configuration.streams)
            check_count(len(entries), self.monitor.most_streams)
            check_questions(self.rules, [entry.name for entry in entries])
            for entry in entries:
                self._start(entry)
            self.jobs = stack.enter_context(Jobs(ground.folder / "files", shared, _job_options(configuration)))
            """Of files that people hand in."""
            self._closing = stack.pop_all()
        self._changes.settle(configuration.streams, configuration.rules, configuration.keep)
        self._stamp = Stamp.of(configuration.path)
        self._warn_of_rules()
        self._publish_analysis()
        self._thread = threading.Thread(target=self._tend, name="configuration", daemon=True)
        self._thread.start()

    @property
    def tokens_path(self) -> Path | None:
        """Where tokens are kept; None where nothing is."""
        data = self._configuration.data
        return None if data is None else data / "tokens.json"

    # -- streams

    def entries(self) -> tuple[StreamEntry, ...]:
        """As they run."""
        with self._lock:
            return tuple(
                replace(one, settings=self.monitor.status(one.name).settings) for one in self._entries.values()
            )

    def add(self, entry: StreamEntry, *, trusted: bool = False) -> StreamStatus:
        """Starts a stream and keeps it. Unless ``trusted``, its source must be one that the configuration allows."""
        if not trusted:
            admit(entry.address, self._configuration.allow)
        with self._lock:
            if entry.name in self._entries:
                raise OptionError("stream name", entry.name, "one that no other stream has")
            check_questions(self.rules, [entry.name])
            self._start(entry)
            try:
                self._changes.put(entry, self._of_file(entry.name))
            except StreamerError:
                self._stop(entry.name)
                raise
            self._publish_analysis(entry.name)
        return self.monitor.status(entry.name)

    def change(
        self, name: str, edit: Callable[[StreamSettings], StreamSettings], *, group: str | None = None
    ) -> StreamStatus:
        """Applies ``edit`` to the stream's settings, puts it under ``group`` where that is given, and keeps both."""
        with self._lock:
            entry = self._entry(name)
            entry = entry if group is None else replace(entry, group=group)
            before = self.monitor.status(name).settings
            status = self.monitor.change(name, edit)
            try:
                self._keep(replace(entry, settings=status.settings))
            except StreamerError:
                self.monitor.change(name, lambda _: before)
                raise
            self.monitor.regroup(name, entry.group)
            self._publish_analysis(name)
        return self.monitor.status(name)

    def remove(self, name: str) -> None:
        """Ends a stream for good."""
        with self._lock:
            self._changes.remove(self._entry(name), self._of_file(name))
            self._stop(name)

    def restart(self, name: str) -> None:
        """Opens the stream's source again."""
        self.monitor.restart(name)

    # -- rules

    @property
    def rules(self) -> tuple[Rule, ...]:
        return self.alerting.rules

    def set_rule(self, rule: Rule) -> None:
        """Puts a rule in the place of the one of that name, or behind the others, and keeps it."""
        with self._lock:
            for channel in rule.channels:
                if channel not in self._configuration.channels:
                    known = ", ".join(self._configuration.channels) or "none"
                    raise OptionError("channels", channel, f"a channel of the configuration: {known}")
            rules = {other.name: other for other in self.rules} | {rule.name: rule}
            if len(rules) > MAX_RULES:
                raise OptionError("rules", len(rules), f"at most {MAX_RULES} rules")
            check_questions(rules.values(), self._entries)
            self._changes.put(rule, self._rule_of_file(rule.name))
            self.alerting.set_rules(rules.values())

    def remove_rule(self, name: str) -> None:
        with self._lock:
            rules = {rule.name: rule for rule in self.rules}
            if name not in rules:
                raise OptionError("rule", name, "one of " + (", ".join(rules) or "none yet"))
            self._changes.remove(rules.pop(name), self._rule_of_file(name))
            self.alerting.set_rules(rules.values())
            for stream in self._entries:
                self._forget(stream, name)

    # -- the past

    @property
    def keep(self) -> Keep:
        """How much of it is kept."""
        return self._changes.keep(self._configuration.keep)

    def set_keep(self, keep: Keep) -> None:
        """Changes that; what is beyond the limits goes within a minute or so."""
        with self._lock:
            self._changes.put(keep, self._configuration.keep)
            self.history.limit(**keep.limits())

    # -- channels

    @property
    def delivery(self) -> Delivery:
        """Of the channels of now; another one after a reload that changed them."""
        return self._delivery

    # -- the file

    @property
    def configuration(self) -> Configuration:
        return self._configuration

    def reload(self) -> None:
        """Reads the configuration file again and does what it says now. Raises `OptionError` for one that cannot be
        used; then everything stays. ``data``, ``history_url`` and the clips' lengths need a new start."""
        path = self._configuration.path
        if path is None:
            raise OptionError("configuration", "none", "a job that was started with a file (-c)")
        with self._lock:
            try:
                if path.exists() and not path.stat().st_size:  # an editor is writing it
                    raise OptionError("configuration", path.name, "a file with something in it; it is empty")
                new = read_configuration(path)
                check_allowed(new.allow)
                self._use(new)
            except StreamerError as error:
                self.fault = _without_value(error)
                raise
            self.fault, self.reloads = None, self.reloads + 1

    def _use(self, new: Configuration) -> None:
        wanted = {entry.name: entry for entry in self._changes.streams(new.streams)}
        check_count(len(wanted), self.monitor.most_streams)
        check_questions(self._changes.rules(new.rules), wanted)
        if new.channels != self._configuration.channels or new.base_url != self._configuration.base_url:
            delivery = self._deliver(new)
            old, self._delivery = self._delivery, delivery
            old.close()
        self._configuration = new
        self._changes.settle(new.streams, new.rules, new.keep)
        for name in [name for name in self._entries if name not in wanted]:
            self._stop(name)
        for entry in wanted.values():
            self._become(entry)
        self.alerting.set_rules(self._changes.rules(new.rules))
        self.history.limit(**self.keep.limits())
        self._warn_of_rules()
        self._publish_analysis()

    def _become(self, entry: StreamEntry) -> None:
        old = self._entries.get(entry.name)
        if old is not None and replace(old, settings=entry.settings, group=entry.group) == entry:
            self._entries[entry.name] = entry
            self.monitor.change(entry.name, lambda _: entry.settings)
            self.monitor.regroup(entry.name, entry.group)
            return
        if old is not None:
            self._stop(entry.name)
        self._start(entry)

    def _tend(self) -> None:
        trouble: str | None = None
        given_back = time.monotonic()
        while not self._stopping.wait(FILE_SECONDS):
            if time.monotonic() - given_back >= GIVE_BACK_SECONDS:
                give_back()
                given_back = time.monotonic()
            self._look_at_file()
            now = self.history.fault
            if now != trouble:
                log.warning("the history: %s", now or "all is well again")
            trouble = now

    def _look_at_file(self) -> None:
        stamp = Stamp.of(self._configuration.path)
        if stamp is None or stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self.reload()
            log.warning("the configuration was read again, and is in use")
        except StreamerError as error:
            log.warning("the changed configuration is not used: %s", _without_value(error))

    def _warn_of_rules(self) -> None:
        for rule in self.rules:
            if gone := [name for name in rule.channels if name not in self._configuration.channels]:
                log.warning("rule %s tells %s, and there is no such channel", rule.name, " and ".join(gone))
            if not any(rule.applies_to(name) for name in self._entries):
                wanted = ", ".join(rule.streams) or "all streams"
                log.warning("rule %s is for %s, and there is no such stream", rule.name, wanted)

    # -- the end

    def close(self) -> None:
        """Ends all threads; calling it again does nothing."""
        self._stopping.set()
        self._thread.join(CLOSE_SECONDS)
        self._closing.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- parts

    def _start(self, entry: StreamEntry) -> None:
        before = self._configuration.clip_before_seconds
        wanted = before > 0 or self._configuration.clip_after_seconds > 0
        keep = before + LATENCY_SECONDS if wanted else VIEWERS_SECONDS
        opener = _opener(entry, keep)
        self.monitor.add(entry.name, opener, entry.settings, address=entry.address, group=entry.group)
        self.alerting.ask(entry.name)
        self._entries[entry.name] = entry

    def _stop(self, name: str) -> None:
        self.monitor.remove(name)
        del self._entries[name]
        self._forget(name)

    def _publish_analysis(self, *names: str) -> None:
        """Tells home automation which streams are analysed; of all by default."""
        for name in names or tuple(self._entries):
            paused = self.monitor.status(name).settings.paused
            for channel in self._mqtt:
                channel.publish_analysis(name, not paused)

    def _forget(self, stream: str, rule: str | None = None) -> None:
        for channel in self._mqtt:
            channel.forget(stream, rule)

    def _keep(self, entry: StreamEntry) -> None:
        self._changes.put(entry, self._of_file(entry.name))
        self._entries[entry.name] = entry

    def _entry(self, name: str) -> StreamEntry:
        if name not in self._entries:
            raise OptionError("stream", name, "one of " + (", ".join(self._entries) or "none yet"))
        return self._entries[name]

    def _of_file(self, name: str) -> StreamEntry | None:
        return next((entry for entry in self._configuration.streams if entry.name == name), None)

    def _rule_of_file(self, name: str) -> Rule | None:
        return next((rule for rule in self._configuration.rules if rule.name == name), None)

    def _deliver(self, configuration: Configuration) -> Delivery:
        channels: list[Channel] = []
        try:
            for name, table in configuration.channels.items():
                channels.append(
                    channel_from_mapping(
                        name,
                        table,
                        f"channels.{name}",
                        base_url=configuration.base_url or None,
                        on_command=self._obey,
                    )
                )
            self._mqtt = tuple(channel for channel in channels if isinstance(channel, Mqtt))
            return Delivery(self.history, channels)
        except StreamerError:
            for channel in channels:
                channel.close()
            raise

    def _obey(self, stream: str, command: str) -> None:
        """What a channel asks for: MQTT can pause and resume the analysis. Returns at once."""
        self._orders.put(stream, command)

    def _paused(self, stream: str, command: str) -> None:
        try:
            self.change(stream, lambda settings: replace(settings, paused=command == "pause"))
        except StreamerError as error:
            log.warning("a channel asked to %s %s: %s", command, stream, error)


def _without_value(error: StreamerError) -> str:
    """What is wrong in a configuration, without what stands there: it may be a password under a misspelt name."""
    return f"{error.option}: expected {error.expected}" if isinstance(error, OptionError) else str(error)


def _job_options(configuration: Configuration) -> JobOptions:
    return JobOptions(
        upload_bytes=round(configuration.upload_gib * 2**30),
        keep_bytes=round(configuration.files_gib * 2**30),
        keep_days=configuration.files_days,
    )


def _opener(entry: StreamEntry, keep_seconds: float) -> Callable[[], Source]:
    def open_it() -> Source:
        return open_source(
            entry.address, realtime=True, loop=entry.loop, hwaccel=entry.hwaccel, live=entry.live(keep_seconds)
        )

    return open_it
