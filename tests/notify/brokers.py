"""A real MQTT broker on 127.0.0.1 that can be killed and started again, and a real second client."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.notify.receivers import can_connect, free_port, wait_until

_PLACES = ("mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto", "/opt/homebrew/sbin/mosquitto")


def mosquitto() -> str:
    for place in _PLACES:
        if found := shutil.which(place):
            return found
    pytest.skip("mosquitto, the MQTT broker, is not installed")


class Mosquitto:
    """Without persistence, so that a killed one has forgotten everything."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.port = free_port()
        self._program = mosquitto()
        self._config = folder / f"mosquitto-{self.port}.conf"
        lines = [f"listener {self.port} 127.0.0.1", "persistence false", *more]
        if not any(line.startswith("allow_anonymous") for line in more):
            lines.append("allow_anonymous true")
        if os.geteuid() == 0:
            lines.append("user root")  # else it becomes a user who may not read the test's folder
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_until(lambda: can_connect(self.port))

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def __enter__(self) -> Mosquitto:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()


class Watcher:
    """Another client that subscribes to everything, as Home Assistant would."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self._subscribed = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _client, _data, got: self.heard.append(
            (got.topic, bytes(got.payload), got.retain)
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._subscribed.wait(5)

    def say(self, topic: str, payload: str, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(5)

    def all(self, topic: str) -> list[bytes]:
        return [payload for place, payload, _ in list(self.heard) if place == topic]

    def last(self, topic: str) -> bytes | None:
        return next(iter(self.all(topic)[::-1]), None)

    def last_json(self, topic: str) -> dict[str, Any]:
        values = json.loads(self.last(topic) or b"null")
        assert isinstance(values, dict)
        return values

    def expect(self, topic: str, payload: bytes, seconds: float = 5.0) -> None:
        wait_until(lambda: self.last(topic) == payload, seconds)

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def retained(port: int) -> dict[str, bytes]:
    """What a client that comes now is told of what was before it."""
    with Watcher(port) as watcher:
        watcher.say("the/end", "x")
        wait_until(lambda: watcher.last("the/end"))
        return {topic: payload for topic, payload, old in watcher.heard if old}
