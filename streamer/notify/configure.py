"""Channels from a configuration's tables, such as these of TOML::

    [channels.phone]
    type = "webhook"
    url = "https://hooks.example.com/alerts"
    secret_env = "HOOK_SECRET"

    [channels.home]
    type = "mqtt"
    host = "homeassistant.local"
    username = "streamer"
    password_file = "/run/secrets/mqtt"

    [channels.siren]
    type = "command"
    argv = ["/usr/local/bin/siren", "--short"]

The keys are the fields of `WebhookOptions`, of `MqttOptions` with `BrokerOptions`, and of `CommandOptions`. Secrets
stand in none: only the names of environment variables and files that hold them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, TypeVar, cast

from streamer.errors import OptionError
from streamer.notify.base import Channel
from streamer.notify.broker import BrokerOptions, credentials
from streamer.notify.command import Command, CommandOptions
from streamer.notify.mqtt import Mqtt, MqttOptions, OnCommand
from streamer.notify.webhook import Webhook, WebhookOptions

T = TypeVar("T")

TYPES = ("webhook", "mqtt", "command")
_TEXTS = frozenset({
    "type", "url", "secret_env", "secret_file", "base_url", "ca_file", "host", "username", "password_env",
    "password_file", "client_id", "prefix", "discovery_prefix",
})  # fmt: skip
_SWITCHES = frozenset(("allow_private", "tls", "discovery"))
_WHOLE = frozenset(("port", "keepalive_seconds"))
_NUMBERS = frozenset(("timeout_seconds",))


def channel_from_mapping(
    name: str,
    mapping: Mapping[str, Any],
    where: str,
    *,
    base_url: str | None = None,
    on_command: OnCommand | None = None,
) -> Channel:
    """The channel that the table describes. A channel of MQTT connects at once, so it has to be closed.

    ``where`` names the table in errors, such as ``streamer.toml: channels.phone``. ``base_url`` holds where the table
    has none; ``on_command`` is for channels that can be asked for something. Raises `OptionError` for a key that is
    missing, unknown or of the wrong kind, and what the channels raise.
    """
    with _placed(where):
        match _read(mapping, base_url):
            case WebhookOptions() as options:
                return Webhook(name, options)
            case MqttOptions() as options:
                return Mqtt(name, options, on_command=on_command)
            case options:
                return Command(name, options)


def check_channel(name: str, mapping: Mapping[str, Any], where: str) -> None:
    """Raises what `channel_from_mapping` would, and connects to nothing."""
    with _placed(where):
        match _read(mapping):
            case WebhookOptions() as options:
                Webhook(name, options).close()
            case MqttOptions() as options:
                credentials(options.broker)


@contextmanager
def _placed(where: str) -> Iterator[None]:
    try:
        yield
    except OptionError as error:
        raise OptionError(f"{where}.{error.option}", error.value, error.expected) from error.__cause__


def _read(mapping: Mapping[str, Any], base_url: str | None = None) -> WebhookOptions | MqttOptions | CommandOptions:
    kind = mapping.get("type")
    if kind not in TYPES:
        raise OptionError("type", kind, f"one of {', '.join(TYPES)}")
    values = {"base_url": base_url, **mapping} if base_url is not None else dict(mapping)
    _check_keys(mapping, str(kind))
    if kind == "webhook":
        return _options(WebhookOptions, values, ("url",))
    if kind == "mqtt":
        return _options(MqttOptions, {**values, "broker": _options(BrokerOptions, values, ("host",))})
    return _options(CommandOptions, {**values, "argv": _argv(values.get("argv"))})


def _known_keys(kind: str) -> set[str]:
    options = {"webhook": (WebhookOptions,), "mqtt": (MqttOptions, BrokerOptions), "command": (CommandOptions,)}
    return {"type", *(field.name for each in options[kind] for field in fields(each))} - {"broker"}


def _check_keys(mapping: Mapping[str, Any], kind: str) -> None:
    known = _known_keys(kind)
    for key, value in mapping.items():
        if key not in known:
            # The value may be a secret that was meant for a key that does not exist.
            raise OptionError(key, "***", f"only the keys of type {kind}: {', '.join(sorted(known))}")
        for keys, kinds, expected in (
            (_TEXTS, str, "a text"),
            (_SWITCHES, bool, "true or false"),
            (_WHOLE, int, "a whole number"),
            (_NUMBERS, (int, float), "a number"),
        ):
            if key in keys and (not isinstance(value, kinds) or (kinds is not bool and isinstance(value, bool))):
                raise OptionError(key, "***" if key in ("url", "host") else value, expected)


def _options(kind: type[T], values: Mapping[str, Any], required: Sequence[str] = ()) -> T:
    for key in required:
        if key not in values:
            raise OptionError(key, None, "a value: it is missing")
    names = {field.name for field in fields(cast("type[Any]", kind))}
    return kind(**{key: value for key, value in values.items() if key in names})


def _argv(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        raise OptionError("argv", value, "a list of words: the program and its arguments")
    return tuple(value)
