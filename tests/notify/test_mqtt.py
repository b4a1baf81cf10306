"""MQTT with a real broker, which is killed in between, and a real second client."""

from __future__ import annotations

import json
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamer.errors import MissingExtraError, NotifyError, OptionError
from streamer.notify.broker import BrokerOptions
from streamer.notify.delivery import Delivery, DeliveryOptions
from streamer.notify.mqtt import Mqtt, MqttOptions
from tests.notify.brokers import Mosquitto, Watcher, retained
from tests.notify.receivers import free_port, wait_until
from tests.notify.stores import ALERT, MemoryStore, notice

SENSOR = "homeassistant/binary_sensor/streamer/gate__night/config"
SWITCH = "homeassistant/switch/streamer/gate/config"
STATE, ATTRIBUTES = "streamer/gate/night/state", "streamer/gate/night/attributes"
ALERTS, AVAILABLE = "streamer/gate/alerts", "streamer/available"
NIGHT: dict[str, Any] = {"rule": "night"}


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path) as one:
        yield one


@pytest.fixture
def watcher(broker: Mosquitto) -> Iterator[Watcher]:
    with Watcher(broker.port) as one:
        yield one


def options(port: int, timeout_seconds: float = 5.0, **changes: Any) -> MqttOptions:
    return MqttOptions(BrokerOptions("127.0.0.1", port, timeout_seconds=timeout_seconds), **changes)


def test_an_alerts_life(broker: Mosquitto, watcher: Watcher) -> None:
    with Mqtt("home", options(broker.port, base_url="https://cam.example")) as channel:
        channel.send(notice(1, **NIGHT))
        watcher.expect(AVAILABLE, b"online")
        watcher.expect(STATE, b"ON")
        channel.send(notice(2, phase="update", revision=2, description="A man", **NIGHT))
        wait_until(lambda: len(watcher.all(ALERTS)) == 2)
        assert watcher.last(STATE) == b"ON"
        assert watcher.last_json(ATTRIBUTES)["description"] == "A man"
        channel.send(notice(3, phase="end", revision=3, **NIGHT))
        watcher.expect(STATE, b"OFF")
        wait_until(lambda: len(watcher.all(ALERTS)) == 3)
        first = json.loads(watcher.all(ALERTS)[0])
        assert first["id"] == f"{ALERT}:1"
        assert first["alert"] == notice(1, **NIGHT).document
        assert first["alert"]["faults"] == {"clip": "the disk is full"}
        assert first["snapshot_url"] == "https://cam.example/api/v1/snapshots/a%20b.jpg"
        assert [json.loads(text)["alert"]["type"] for text in watcher.all(ALERTS)] == ["new", "update", "end"]
        assert watcher.last_json(ATTRIBUTES)["faults"] == {"clip": "the disk is full"}
        assert sorted(retained(broker.port)) == sorted([SENSOR, STATE, ATTRIBUTES, AVAILABLE])  # no alert is
    watcher.expect(AVAILABLE, b"offline")


def test_what_home_assistant_is_told(broker: Mosquitto, watcher: Watcher) -> None:
    with Mqtt("home", options(broker.port, base_url="https://cam.example"), on_command=lambda *_: None) as channel:
        channel.publish_analysis("gate", True)
        channel.send(notice(1, **NIGHT))
        channel.send(notice(2, phase="update", revision=2, **NIGHT))
        wait_until(lambda: len(watcher.all(ALERTS)) == 2)
    sensor, switch = watcher.last_json(SENSOR), watcher.last_json(SWITCH)
    assert (len(watcher.all(SENSOR)), len(watcher.all(SWITCH))) == (1, 1)
    assert sensor["state_topic"] == STATE
    assert sensor["json_attributes_topic"] == ATTRIBUTES
    assert switch["state_topic"] == "streamer/gate/analysis/state"
    assert switch["command_topic"] == "streamer/gate/analysis/set"
    assert sensor["unique_id"] != switch["unique_id"]
    for config in (sensor, switch):
        assert (config["payload_on"], config["payload_off"]) == ("ON", "OFF")
        assert config["availability_topic"] == AVAILABLE
        assert (config["payload_available"], config["payload_not_available"]) == ("online", "offline")
        assert config["device"]["identifiers"] == ["streamer_streamer_gate"]
        assert config["device"]["name"] == "gate"
        assert config["device"]["configuration_url"] == "https://cam.example"
        assert config["origin"]["name"] == "streamer"


def test_discovery_can_be_left_out(broker: Mosquitto, watcher: Watcher) -> None:
    with Mqtt("home", options(broker.port, discovery=False), on_command=lambda *_: None) as channel:
        channel.publish_analysis("gate", True)
        channel.send(notice(1, **NIGHT))
        watcher.expect(STATE, b"ON")
    assert not [topic for topic, _, _ in watcher.heard if topic.startswith("homeassistant/")]


def test_what_is_forgotten_is_gone_from_the_broker(broker: Mosquitto, watcher: Watcher) -> None:
    with Mqtt("home", options(broker.port), on_command=lambda *_: None) as channel:
        channel.publish_analysis("gate", True)
        channel.send(notice(1, **NIGHT))
        assert SENSOR in retained(broker.port)
        channel.forget("gate", "night")
        watcher.expect(ATTRIBUTES, b"")
        assert sorted(retained(broker.port)) == sorted([AVAILABLE, SWITCH, "streamer/gate/analysis/state"])
        channel.forget("gate")
        watcher.expect("streamer/gate/analysis/state", b"")
        assert list(retained(broker.port)) == [AVAILABLE]
        channel.send(notice(2, phase="end", revision=2, **NIGHT))  # because its rule is gone
        wait_until(lambda: len(watcher.all(ALERTS)) == 2)
        assert list(retained(broker.port)) == [AVAILABLE], "and nothing of it comes back"
        channel.send(notice(3, phase="update", revision=3, **NIGHT))  # is told of again
        assert SENSOR in retained(broker.port)
        channel.forget("gate")
        watcher.expect(STATE, b"")
        assert list(retained(broker.port)) == [AVAILABLE], "with all its rules"


def test_two_alerts_of_one_rule_keep_it_on_until_both_ended(broker: Mosquitto, watcher: Watcher) -> None:
    with Mqtt("home", options(broker.port)) as channel:
        for number, (id, phase, revision) in enumerate(
            [("a", "new", 1), ("b", "new", 1), ("a", "end", 2), ("b", "end", 2), ("a", "new", 1)]
        ):
            channel.send(notice(number, id=id, phase=phase, revision=revision, **NIGHT))  # type: ignore[arg-type]
        wait_until(lambda: len(watcher.all(ALERTS)) == 5)
    assert watcher.all(STATE) == [b"ON", b"ON", b"ON", b"OFF"]  # an old one that is replayed turns nothing back


def test_commands(broker: Mosquitto, watcher: Watcher, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[tuple[str, str]] = []

    def on_command(stream: str, action: str) -> None:
        heard.append((stream, action))
        if len(heard) == 1:
            raise ValueError("a fault of the listener")

    watcher.say("streamer/gate/analysis/set", "OFF", retain=True)  # an old one is not heeded
    with Mqtt("home", options(broker.port), on_command=on_command) as channel:
        channel.publish_analysis("gate", True)
        channel.publish_analysis("Front door", True)
        watcher.expect("streamer/gate/analysis/state", b"ON")
        wait_until(lambda: "was not heeded" in caplog.text)
        watcher.say("streamer/gate/analysis/set", "OFF")
        watcher.say("streamer/unknown/analysis/set", "OFF")
        watcher.say("streamer/gate/analysis/set", "maybe")
        watcher.say(channel.topics.analysis_set("Front door"), "on")
        wait_until(lambda: len(heard) == 2)
        channel.publish_analysis("gate", False)
        watcher.expect("streamer/gate/analysis/state", b"OFF")
    assert heard == [("gate", "pause"), ("Front door", "resume")]
    caplog.clear()  # the listener's fault is an error of the log


def test_a_killed_broker_comes_back_and_nothing_is_lost(broker: Mosquitto, caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    waits = DeliveryOptions(first_wait_seconds=0.1, longest_wait_seconds=0.3, attempts=1000)
    channel = Mqtt("home", options(broker.port, timeout_seconds=0.5), on_command=lambda *_: None)
    with Delivery(store, [channel], waits) as delivery:
        channel.publish_analysis("gate", True)
        store.add("home", **NIGHT)
        delivery.wake()
        wait_until(lambda: store.get(1).state == "delivered")
        broker.kill()
        store.add("home", "update", 2, **NIGHT)
        store.add("home", id="other", rule="day")
        delivery.wake()
        wait_until(lambda: store.get(2).attempts > 0 and store.get(3).attempts > 0)
        channel.publish_analysis("gate", False)
        broker.start()  # it remembers nothing
        with Watcher(broker.port) as watcher:
            wait_until(lambda: all(store.get(number).state == "delivered" for number in (2, 3)))
            wait_until(lambda: len(watcher.all(ALERTS)) >= 2)
            assert {json.loads(text)["id"] for text in watcher.all(ALERTS)} == {f"{ALERT}:2", "other:1"}
            watcher.expect(AVAILABLE, b"online")
            watcher.expect(STATE, b"ON")
            watcher.expect("streamer/gate/day/state", b"ON")
            watcher.expect("streamer/gate/analysis/state", b"OFF")
            assert watcher.last_json(SENSOR)["state_topic"] == STATE
            assert watcher.last_json(SWITCH)
    assert len([record for record in caplog.records if "no connection to the broker" in record.message]) == 1


def test_the_last_will_is_heard_after_a_kill(broker: Mosquitto, watcher: Watcher) -> None:
    code = (
        "import sys, time\n"
        "from streamer.notify.broker import BrokerOptions\n"
        "from streamer.notify.mqtt import Mqtt, MqttOptions\n"
        "Mqtt('home', MqttOptions(BrokerOptions('127.0.0.1', int(sys.argv[1]))))\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(broker.port)])
    try:
        watcher.expect(AVAILABLE, b"online", 20)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    watcher.expect(AVAILABLE, b"offline", 3)
    assert retained(broker.port)[AVAILABLE] == b"offline"


def test_nobody_there_is_said_within_the_timeout_and_close_is_quick() -> None:
    channel = Mqtt("home", options(free_port(), timeout_seconds=0.4))
    begin = time.monotonic()
    with pytest.raises(NotifyError, match=r"the broker 127\.0\.0\.1:\d+ cannot be reached: .*refused") as caught:
        channel.send(notice())
    assert time.monotonic() - begin < 1
    assert not caught.value.lasting
    begin = time.monotonic()
    channel.close()
    channel.close()
    assert time.monotonic() - begin < 1
    with pytest.raises(NotifyError):
        channel.send(notice())


def test_a_broker_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        channel = Mqtt("home", options(mute.getsockname()[1], timeout_seconds=0.3))
        with pytest.raises(NotifyError, match="cannot be reached"):
            channel.send(notice())
        wait_until(lambda: "does not answer" in _said(channel))
        begin = time.monotonic()
        channel.close()
        assert time.monotonic() - begin < 2
    assert not [thread for thread in threading.enumerate() if thread.name == "mqtt home"]


def _said(channel: Mqtt) -> str:
    with pytest.raises(NotifyError) as caught:
        channel.send(notice())
    return str(caught.value)


def test_a_broker_that_hangs_acknowledges_nothing(broker: Mosquitto) -> None:
    channel = Mqtt("home", options(broker.port, timeout_seconds=0.5))
    channel.send(notice())
    broker.signal(signal.SIGSTOP)
    try:
        with pytest.raises(NotifyError, match=r"acknowledged nothing within 0\.5 s"):
            channel.send(notice(2, phase="update", revision=2))
        begin = time.monotonic()
        channel.close()
        assert time.monotonic() - begin < 2.5
        assert not [thread for thread in threading.enumerate() if thread.name == "mqtt home"]
    finally:
        broker.signal(signal.SIGCONT)


def test_passwords(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "me", "hunter2"], check=True, timeout=10)
    with Mosquitto(tmp_path, "allow_anonymous false", f"password_file {passwords}") as broker:
        monkeypatch.setenv("RIGHT", "hunter2")
        monkeypatch.setenv("WRONG", "hunter3")
        right, wrong = (
            MqttOptions(BrokerOptions("127.0.0.1", broker.port, "me", name, timeout_seconds=seconds))
            for name, seconds in (("RIGHT", 5.0), ("WRONG", 0.5))
        )
        with Mqtt("home", right) as channel:
            channel.send(notice())
        with Mqtt("home", wrong) as channel, pytest.raises(NotifyError, match="it refused us: Not authorized") as error:
            channel.send(notice())
    assert "hunter" not in f"{error.value!r} {caplog.text} {right!r}"


# paho-mqtt leaves the socket of a greeting that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
def test_tls(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    lines = [f"certfile {certificate[0]}", f"keyfile {certificate[1]}"]
    with Mosquitto(tmp_path, *lines) as broker:
        trusting = BrokerOptions("127.0.0.1", broker.port, tls=True, ca_file=str(certificate[0]))
        with Mqtt("home", MqttOptions(trusting)) as channel:
            channel.send(notice())
        doubting = BrokerOptions("127.0.0.1", broker.port, tls=True, timeout_seconds=0.5)
        words = "certificate cannot be trusted: self-signed"
        with Mqtt("home", MqttOptions(doubting)) as channel, pytest.raises(NotifyError, match=words):
            channel.send(notice())


def test_without_the_extra_it_is_said_what_to_install() -> None:
    code = (
        "import sys\n"
        "sys.modules['paho'] = None\n"
        "from streamer.errors import MissingExtraError\n"
        "from streamer.notify.mqtt import BrokerOptions, Mqtt, MqttOptions\n"
        "try:\n"
        "    Mqtt('home', MqttOptions(BrokerOptions('127.0.0.1')))\n"
        "except MissingExtraError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == f"{MissingExtraError('MQTT', 'paho-mqtt', 'mqtt')}\n"
    assert "pip install 'streamer[mqtt]'" in done.stdout


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"host": "mqtt://a"}, "host"),
        ({"host": "me:hunter2@a"}, "host: 'a'"),
        ({"host": ""}, "host"),
        ({"port": 0}, "port"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"keepalive_seconds": 1}, "keepalive_seconds"),
        ({"password_env": "X"}, "username"),
    ],
)
def test_brokers_that_cannot_be(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        BrokerOptions(**{"host": "a", **changes})
