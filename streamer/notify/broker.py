"""A connection to an MQTT broker that comes back by itself, and with it all retained state.

A thread of its own connects, and connects again; each connection is a new client of paho-mqtt, so that nothing that
an earlier one did not get rid of arrives late and overwrites what is newer. What is retained is remembered here and
published again with every connection: a broker that lost its memory has it back.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamer.errors import MissingExtraError, NotifyError, OptionError
from streamer.secret import Secret, read_secret

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage, MQTTMessageInfo

log = logging.getLogger(__name__)

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 10.0
"""Between two attempts to connect; doubled from one to the next."""
CLOSE_SECONDS = 2.0
"""How long `Broker.close` waits for the thread."""
_FAREWELL_SECONDS = 0.5
ONLINE, OFFLINE = b"online", b"offline"


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """Where the broker is and who we are there."""

    host: str
    port: int = 1883
    """8883 is usual with TLS."""
    username: str | None = None
    password_env: str | None = None
    """Environment variable with the password."""
    password_file: str | None = None
    """File with the password instead."""
    tls: bool = False
    ca_file: str | None = None
    """Certificates in PEM that the broker's is checked against; the system's by default."""
    client_id: str | None = None
    """By default another for every run: a broker disconnects a client when a second one of its name comes."""
    timeout_seconds: float = 10.0
    """For a message to be acknowledged, the wait for a connection included."""
    keepalive_seconds: int = 30
    """After one and a half of these without a word the broker says that we are offline."""

    def __post_init__(self) -> None:
        if not self.host or any(letter.isspace() or letter in "/@" for letter in self.host):
            raise OptionError("host", self.host.rpartition("@")[2], "the name or address of a broker, without a scheme")
        if self.username is None and (self.password_env or self.password_file):
            raise OptionError("username", None, "a name where there is a password")
        if not 0 < self.port < 65536:
            raise OptionError("port", self.port, "1 to 65535")
        if not 0 < self.timeout_seconds <= 300:
            raise OptionError("timeout_seconds", self.timeout_seconds, "a number above 0, at most 300")
        if not 5 <= self.keepalive_seconds <= 3600:
            raise OptionError("keepalive_seconds", self.keepalive_seconds, "5 to 3600")


@dataclass(frozen=True, slots=True)
class Message:
    """Something to publish."""

    topic: str
    payload: bytes
    retain: bool = False
    """Whether it is the topic's state. An empty payload then clears it."""


Listener = Callable[[str, bytes, bool], None]
"""Called with topic, payload and whether it was retained, on the connection's thread: it must return at once."""


class Broker:
    """Publishes from any thread. `close` ends its threads."""

    def __init__(
        self,
        name: str,
        options: BrokerOptions,
        available: str,
        pattern: str | None = None,
        listener: Listener | None = None,
    ) -> None:
        """``available``: the topic that says online and offline. ``pattern``: topics that ``listener`` hears.

        Raises `MissingExtraError` without paho-mqtt, `OptionError` where password or certificates cannot be read.
        """
        self.name = name
        self._options = options
        self._available, self._pattern, self._listener = available, pattern, listener
        self._password, self._context = credentials(options)
        self._client_id = options.client_id or f"streamer-{uuid.uuid4().hex[:12]}"
        self._changed = threading.Condition()
        self._retained: dict[str, bytes] = {}
        self._clearing: dict[str, MQTTMessageInfo] = {}
        self._client: Client | None = None
        """The one that is connected."""
        self._ended: Client | None = None
        """The one whose connection ended last."""
        self._fault = "no connection yet"
        self._warned = False
        self._closing = False
        self._thread = threading.Thread(target=self._work, name=f"mqtt {name}", daemon=True)
        self._thread.start()

    @property
    def place(self) -> str:
        return f"{self._options.host}:{self._options.port}"

    @property
    def connected(self) -> bool:
        return self._client is not None

    def keep(self, messages: Sequence[Message]) -> None:
        """Publishes retained messages now or with the next connection, without waiting for either."""
        with self._changed:
            self._remember(messages)
            if self._client is not None:
                self._publish(self._client, messages)

    def publish(self, messages: Sequence[Message]) -> None:
        """Returns when the broker has acknowledged all. Raises `NotifyError` where it does not in time; what is
        retained among them is published with the next connection all the same."""
        deadline = time.monotonic() + self._options.timeout_seconds
        with self._changed:
            self._changed.wait_for(lambda: self._client or self._closing, self._options.timeout_seconds)
            self._remember(messages)
            if self._client is None or self._closing:
                raise NotifyError(self.name, f"the broker {self.place} cannot be reached: {self._fault}")
            client = self._client
            published = self._publish(client, messages)
        for info in published:
            self._await(client, info, deadline)

    def close(self) -> None:
        """Says offline where that can be said; over within `CLOSE_SECONDS`."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(CLOSE_SECONDS)

    # -- retained state

    def _remember(self, messages: Sequence[Message]) -> None:
        """A topic that was cleared is remembered until the broker has acknowledged it."""
        self._retained.update({message.topic: message.payload for message in messages if message.retain})
        for topic in [topic for topic, info in self._clearing.items() if info.rc == 0 and info.is_published()]:
            del self._clearing[topic]
            if self._retained.get(topic) == b"":
                del self._retained[topic]

    def _publish(self, client: Client, messages: Sequence[Message]) -> list[MQTTMessageInfo]:
        published = []
        for message in messages:
            info = client.publish(message.topic, message.payload, qos=1, retain=message.retain)
            published.append(info)
            self._clearing.pop(message.topic, None)
            if message.retain and not message.payload:
                self._clearing[message.topic] = info
        return published

    def _await(self, client: Client, info: MQTTMessageInfo, deadline: float) -> None:
        try:
            while not info.is_published():
                if self._client is not client:
                    raise NotifyError(self.name, f"the connection to the broker {self.place} was lost: {self._fault}")
                if time.monotonic() > deadline:
                    seconds = self._options.timeout_seconds
                    raise NotifyError(self.name, f"the broker {self.place} acknowledged nothing within {seconds:g} s")
                info.wait_for_publish(0.1)
        except (ValueError, RuntimeError) as error:  # how paho-mqtt says that the connection is gone
            raise NotifyError(self.name, f"the broker {self.place} did not take it: {error}") from error

    # -- the thread

    def _work(self) -> None:
        wait = FIRST_WAIT_SECONDS
        while not self._closing:
            client = self._fresh()
            wait = FIRST_WAIT_SECONDS if self._session(client) else min(2 * wait, LONGEST_WAIT_SECONDS)
            with self._changed:
                self._changed.wait_for(lambda: self._closing, wait)

    def _session(self, client: Client) -> bool:
        """One connection from its beginning to its end; whether there was one."""
        options = self._options
        try:
            client.connect(options.host, options.port, options.keepalive_seconds)
        except (OSError, ValueError) as error:
            self._lost(client, _words(error))
            return False
        client.loop_start()
        try:
            with self._changed:
                up = self._changed.wait_for(
                    lambda: client in (self._client, self._ended) or self._closing, options.timeout_seconds
                )
                was_connected = self._client is client
                self._changed.wait_for(lambda: self._ended is client or self._closing or not up)
            if not up:
                self._lost(client, "it does not answer")
            self._farewell(client)
            return was_connected
        finally:
            self._end(client)

    def _fresh(self) -> Client:
        paho = _paho()
        client: Client = paho.Client(
            paho.CallbackAPIVersion.VERSION2,
            self._client_id,
            clean_session=True,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = min(5.0, self._options.timeout_seconds)
        if self._options.username is not None:
            client.username_pw_set(self._options.username, self._password.reveal() if self._password else None)
        if self._context is not None:
            client.tls_set_context(self._context)
        client.will_set(self._available, OFFLINE, qos=1, retain=True)
        client.on_connect = self._on_connect
        client.on_disconnect = lambda ended, _data, _flags, reason, _properties: self._lost(ended, str(reason))
        if self._listener is not None:
            client.on_message = self._heard(self._listener)
        return client

    def _on_connect(self, client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._lost(client, f"it refused us: {reason}")
            return
        with self._changed:
            if self._pattern is not None:
                client.subscribe(self._pattern, qos=1)
            self._publish(client, [Message(topic, payload, True) for topic, payload in self._retained.items()])
            self._publish(client, [Message(self._available, ONLINE, True)])
            self._client, self._warned = client, False
            self._changed.notify_all()
        log.info("channel %s: connected to the broker %s", self.name, self.place)

    @staticmethod
    def _heard(listener: Listener) -> Callable[[Client, Any, MQTTMessage], None]:
        return lambda _client, _data, message: listener(message.topic, bytes(message.payload), message.retain)

    def _lost(self, client: Client, reason: str) -> None:
        with self._changed:
            if self._ended is client:
                return  # a refusal is followed by a disconnection, which says less
            self._fault, self._ended, self._client = reason, client, None
            warn, self._warned = not self._warned and not self._closing, True
            self._changed.notify_all()
        if warn:
            log.warning("channel %s: no connection to the broker %s: %s", self.name, self.place, reason)

    def _farewell(self, client: Client) -> None:
        with self._changed:
            if self._client is not client:
                return
            (offline,) = self._publish(client, [Message(self._available, OFFLINE, True)])
        with contextlib.suppress(ValueError, RuntimeError):
            offline.wait_for_publish(_FAREWELL_SECONDS)
        client.disconnect()
        with self._changed:
            self._changed.wait_for(lambda: self._ended is client, _FAREWELL_SECONDS)

    def _end(self, client: Client) -> None:
        """Shuts the socket down under paho-mqtt's thread, which else waits for a broker that hangs."""
        connection = client.socket()
        if isinstance(connection, socket.socket):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # of TLS too, whose own would take its state away
        with contextlib.suppress(AttributeError):  # its thread may end between its own look at it and its join
            client.loop_stop()
        with self._changed:
            self._client = None


def _paho() -> Any:
    try:
        import paho.mqtt.client as paho
    except ImportError as error:
        raise MissingExtraError("MQTT", "paho-mqtt", "mqtt") from error
    return paho


def credentials(options: BrokerOptions) -> tuple[Secret | None, ssl.SSLContext | None]:
    """The password, and what the broker's certificate is checked against. Raises what `Broker` says."""
    password = read_secret("password", options.password_env, options.password_file)
    context = _context(options) if options.tls else None
    _paho()
    return password, context


def _context(options: BrokerOptions) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=options.ca_file)
    except OSError as error:
        said = error.strerror or error
        raise OptionError("ca_file", options.ca_file, f"a file of certificates in PEM ({said})") from error


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate cannot be trusted: {error.verify_message}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
