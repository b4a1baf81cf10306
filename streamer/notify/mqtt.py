"""Alerts to an MQTT broker, and streams and rules to Home Assistant. The topics: `streamer.notify.topics`.

An alert is published as the message that all channels send (`streamer.notify.message`), at least once; receivers drop
doubles by its ``id``. The state of its rule is ON from its first message to its ``end``.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Self

from streamer.notify import discovery
from streamer.notify.base import Notice
from streamer.notify.broker import Broker, BrokerOptions, Message
from streamer.notify.message import message, message_bytes
from streamer.notify.topics import Topics, checked_prefix, slug

log = logging.getLogger(__name__)

OnCommand = Callable[[str, Literal["pause", "resume"]], None]
"""Called with the stream's name, on the connection's thread: it must return at once."""
MAX_KNOWN_ALERTS = 1000
"""How many alerts' newest revisions are remembered."""
_ATTRIBUTES = (
    "id", "type", "revision", "severity", "title", "reason", "description", "started_at", "updated_at", "ended_at",
    "faults",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MqttOptions:
    """The broker, and what is published there."""

    broker: BrokerOptions
    prefix: str = "streamer"
    """What all topics begin with. Two installations at one broker need two."""
    discovery: bool = True
    """Whether Home Assistant is told of rules and streams."""
    discovery_prefix: str = "homeassistant"
    base_url: str | None = None
    """Where the page is reached, for the addresses of snapshots and clips."""

    def __post_init__(self) -> None:
        checked_prefix("prefix", self.prefix)
        checked_prefix("discovery_prefix", self.discovery_prefix)


class Mqtt:
    """A channel to an MQTT broker. Connects at once and stays connected; everything may be called from any thread."""

    def __init__(self, name: str, options: MqttOptions, *, on_command: OnCommand | None = None) -> None:
        """``on_command`` is told what others ask for by ``<stream>/analysis/set``; without it nobody can ask.

        Raises `MissingExtraError` without paho-mqtt, `OptionError` where password or certificates cannot be read.
        """
        self.name = name
        self.topics = Topics(options.prefix)
        self._options = options
        self._on_command = on_command
        self._lock = threading.Lock()
        self._streams: dict[str, str] = {}
        """Slug -> name of the streams that were heard of."""
        self._open: dict[tuple[str, str], set[str]] = {}
        """Stream and rule -> ids of alerts that have not ended."""
        self._told: set[str] = set()
        """Home Assistant's topics that were published; the connection repeats them where the broker forgot them."""
        self._forgotten: set[tuple[str, str | None]] = set()
        """Stream and rule, or a stream with all its rules (None), that are gone: no late message brings them back."""
        self._newest: OrderedDict[str, int] = OrderedDict()
        """Alert -> revision."""
        listening = (self.topics.analysis_sets, self._commanded) if on_command else (None, None)
        self._broker = Broker(name, options.broker, self.topics.available, *listening)

    @property
    def connected(self) -> bool:
        return self._broker.connected

    def send(self, notice: Notice) -> None:
        values = message(notice, self._options.base_url)
        stream, rule = str(notice.document["stream"]), str(notice.document["rule"])
        messages = [Message(self.topics.alerts(stream), message_bytes(values))]
        with self._lock:
            removed = self._forgotten & {(stream, rule), (stream, None)}
            gone = bool(removed) and notice.document.get("type") == "end"
            if not gone:
                self._forgotten -= removed
            if not gone:
                self._streams[slug(stream)] = stream
            if self._is_news(notice) and not gone:
                messages = [*self._state(stream, rule, notice, values), *messages]
        self._broker.publish(messages)

    def publish_analysis(self, stream: str, on: bool) -> None:
        """Says whether a stream is analysed; now, or as soon as there is a connection."""
        state = Message(self.topics.analysis_state(stream), b"ON" if on else b"OFF", True)
        with self._lock:
            self._streams[slug(stream)] = stream
            self._forgotten.discard((stream, None))
            messages = [state]
            if self._on_command:
                topic = discovery.switch_topic(self.topics, self._options.discovery_prefix, stream)
                switch = discovery.switch(self.topics, stream, self._options.base_url)
                messages = [*self._telling(topic, switch), state]
        self._broker.keep(messages)

    def forget(self, stream: str, rule: str | None = None) -> None:
        """Clears all that is retained about a rule of a stream, or about a stream itself where no rule is given; now,
        or as soon as there is a connection."""
        prefix = self._options.discovery_prefix
        with self._lock:
            if len(self._forgotten) >= MAX_KNOWN_ALERTS:
                self._forgotten.clear()
            self._forgotten.add((stream, rule))
            topics = []
            for name in [rule] if rule is not None else [name for of, name in self._open if of == stream]:
                self._open.pop((stream, name), None)
                topics += [
                    discovery.sensor_topic(self.topics, prefix, stream, name),
                    self.topics.state(stream, name),
                    self.topics.attributes(stream, name),
                ]
            if rule is None:
                self._streams.pop(slug(stream), None)
                topics += [discovery.switch_topic(self.topics, prefix, stream), self.topics.analysis_state(stream)]
            self._told.difference_update(topics)
        self._broker.keep([Message(topic, b"", True) for topic in topics])

    def close(self) -> None:
        self._broker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _is_news(self, notice: Notice) -> bool:
        """False for a dead letter replayed after the alert went on: it does not turn the state back."""
        newest = max(self._newest.pop(notice.alert, 0), notice.revision)
        self._newest[notice.alert] = newest
        while len(self._newest) > MAX_KNOWN_ALERTS:
            self._newest.popitem(last=False)
        return notice.revision == newest

    def _state(self, stream: str, rule: str, notice: Notice, values: dict[str, Any]) -> list[Message]:
        """What Home Assistant has to know before it, the attributes, and the state, in this order."""
        alerts = self._open.setdefault((stream, rule), set())
        if notice.document.get("type") == "end":
            alerts.discard(notice.alert)
        else:
            alerts.add(notice.alert)
        attributes = {key: notice.document.get(key) for key in _ATTRIBUTES}
        attributes |= {"snapshot_url": values["snapshot_url"], "clip_url": values["clip_url"]}
        topic = discovery.sensor_topic(self.topics, self._options.discovery_prefix, stream, rule)
        return [
            *self._telling(topic, discovery.sensor(self.topics, stream, rule, self._options.base_url)),
            Message(self.topics.attributes(stream, rule), message_bytes(attributes), True),
            Message(self.topics.state(stream, rule), b"ON" if alerts else b"OFF", True),
        ]

    def _telling(self, topic: str, entity: dict[str, Any]) -> list[Message]:
        """What Home Assistant is told at the first need; nothing afterwards."""
        if not self._options.discovery or topic in self._told:
            return []
        self._told.add(topic)
        return [Message(topic, message_bytes(entity), True)]

    def _commanded(self, topic: str, payload: bytes, retained: bool) -> None:
        place = topic.removeprefix(f"{self._options.prefix}/").partition("/")[0]
        action: Literal["pause", "resume"] | None = {b"ON": "resume", b"OFF": "pause"}.get(payload.strip().upper())  # type: ignore[assignment]
        with self._lock:
            stream = self._streams.get(place)
        if self._on_command is None or stream is None or action is None or retained:
            log.warning("channel %s: %r on %s was not heeded", self.name, payload[:20], topic)
            return
        try:
            self._on_command(stream, action)
        except Exception:
            log.exception("channel %s: %s of %s failed", self.name, action, stream)
