"""Channels from TOML: what is right is built, and what is wrong is said with its place and without secrets."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from streamer.errors import OptionError
from streamer.notify import configure
from streamer.notify.command import Command
from streamer.notify.configure import channel_from_mapping, check_channel
from streamer.notify.mqtt import Mqtt
from streamer.notify.webhook import Webhook
from tests.notify.receivers import Receiver, free_port
from tests.notify.stores import notice


def channel(text: str, **more: Any) -> Any:
    return channel_from_mapping("phone", tomllib.loads(text), "streamer.toml: channels.phone", **more)


def test_a_webhook(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", "swordfish")
    text = f'type = "webhook"\nurl = "{receiver.url}"\nsecret_env = "HOOK_SECRET"\ntimeout_seconds = 3'
    with channel(text, base_url="https://cam.example") as built:
        assert isinstance(built, Webhook)
        assert built.name == "phone"
        built.send(notice())
    assert receiver.got[0].headers["x-streamer-signature"].startswith("t=")
    assert receiver.got[0].json["snapshot_url"].startswith("https://cam.example/")


def test_a_tables_own_base_url_comes_first(receiver: Receiver) -> None:
    text = f'type = "webhook"\nurl = "{receiver.url}"\nbase_url = "https://own.example"'
    with channel(text, base_url="https://cam.example") as built:
        built.send(notice())
    assert receiver.got[0].json["snapshot_url"].startswith("https://own.example/")


def test_mqtt(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hunter2\n")
    text = (
        f'type = "mqtt"\nhost = "127.0.0.1"\nport = {free_port()}\nusername = "me"\nprefix = "home/cams"\n'
        f'password_file = "{tmp_path / "password"}"\ndiscovery = false\nkeepalive_seconds = 20'
    )
    with channel(text, on_command=lambda *_: None) as built:
        assert isinstance(built, Mqtt)
        assert built.topics.available == "home/cams/available"


def test_a_command(tmp_path: Path) -> None:
    code = f"open({str(tmp_path / 'ran')!r}, 'w').close()"
    with channel_from_mapping("siren", {"type": "command", "argv": [sys.executable, "-c", code]}, "here") as built:
        assert isinstance(built, Command)
        built.send(notice())
    assert (tmp_path / "ran").exists()


def test_the_documents_example_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mqtt").write_text("hunter2")
    monkeypatch.setenv("HOOK_SECRET", "swordfish")
    text = (configure.__doc__ or "").partition("::")[2].partition("The keys are")[0]
    tables = tomllib.loads(text.replace("/run/secrets", str(tmp_path)).replace("homeassistant.local", "127.0.0.1"))
    for name, table in tables["channels"].items():
        with channel_from_mapping(name, table, f"channels.{name}") as built:
            assert built.name == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "type: None cannot be used; expected one of webhook, mqtt, command"),
        ('type = "mail"', "type: 'mail'"),
        ('type = "webhook"', "url: None cannot be used; expected a value: it is missing"),
        ('type = "mqtt"', "host: None"),
        ('type = "command"', "argv: None"),
        ('type = "command"\nargv = "siren --short"', "argv: 'siren --short'"),
        ('type = "command"\nargv = ["a", 1]', "argv: "),
        (
            'type = "webhook"\nurl = "https://a"\nsecret = "hunter2"',
            r"secret: '\*\*\*' .*only the keys of type webhook",
        ),
        ('type = "webhook"\nurl = "https://a"\nhost = "a"', "host: "),
        ('type = "webhook"\nurl = ["https://me:hunter2@a"]', "url: "),
        ('type = "webhook"\nurl = "ftp://me:hunter2@a"', r"url: 'ftp://\*\*\*@a'"),
        ('type = "webhook"\nurl = "https://a"\ntimeout_seconds = "3"', "timeout_seconds: '3'"),
        ('type = "webhook"\nurl = "https://a"\ntimeout_seconds = true', "timeout_seconds: True"),
        ('type = "webhook"\nurl = "https://a"\ntimeout_seconds = nan', "timeout_seconds: nan"),
        ('type = "webhook"\nurl = "https://a"\nallow_private = 1', "allow_private: 1"),
        ('type = "webhook"\nurl = "https://a"\nsecret_env = "NO_SUCH_ONE"', "secret_env: 'NO_SUCH_ONE'"),
        ('type = "mqtt"\nhost = "a"\nport = 1883.0', "port: 1883.0"),
        ('type = "mqtt"\nhost = "a"\nprefix = "a/#"', "prefix: 'a/#'"),
        ('type = "mqtt"\nhost = "a"\nbroker = "b"', "broker: "),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, words: str) -> None:
    with pytest.raises(OptionError, match=rf"^streamer\.toml: channels\.phone\.{words}") as caught:
        channel(text)
    assert "hunter2" not in f"{caught.value} {caught.value!r} {caught.value.__cause__!r}"
    with pytest.raises(OptionError) as checked:
        check_channel("phone", tomllib.loads(text), "streamer.toml: channels.phone")
    assert str(checked.value) == str(caught.value)
