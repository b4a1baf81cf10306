"""``streams.toml``: the streams, rules and channels of a live job, as their owner writes them down.

::

    data = "streamer-data"              # history, pictures, clips; beside this file

    [[streams]]
    name = "gate"
    address = "rtsp://camera:${GATE_PASSWORD}@10.0.0.5/live"
    tasks = ["caption", "detect: person, car"]
    budget = 140
    fps = 1

    [[rules]]
    name = "ladder"
    question = "Is someone on the ladder?"
    streams = ["gate"]

    [channels.phone]
    type = "webhook"
    url = "https://example.org/hook"
    secret_env = "HOOK_SECRET"

``${NAME}`` in an address or a channel's value is taken from the environment. docs/configuration.md has every setting.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from streamer.errors import OptionError
from streamer.gemma.schemas import checked_schema
from streamer.keeping import Keep
from streamer.reading import Reader, flag, number, placed, read, text, texts, whole
from streamer.rules import Rule
from streamer.settings import StreamSettings
from streamer.sources import LiveOptions
from streamer.tasks import Task, parse_task

MAX_BYTES = 1 << 20
"""Of a configuration file."""
DATA = "streamer-data"
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_NAME_LENGTH = 100


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """A stream as it is to run."""

    name: str
    address: str = field(repr=False)
    """With its password, which no page, log or answer shows."""
    settings: StreamSettings = field(default_factory=StreamSettings)
    loop: bool = False
    """A file starts again at its end."""
    udp: bool = False
    """RTSP over UDP instead of TCP."""
    hwaccel: str | None = None
    group: str = ""
    """Under which the page puts it together with others."""
    template: str = field(default="", repr=False)
    """``address`` as the file has it, with its variables; empty where it has none of them."""

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name) > _NAME_LENGTH or not self.name.isprintable():
            raise OptionError("name", self.name, f"1 to {_NAME_LENGTH} printable characters")
        if not self.address.strip():
            raise OptionError("address", self.address, "an address, a file or a camera")
        if len(self.group) > _NAME_LENGTH or not self.group.isprintable():
            raise OptionError("group", self.group, f"at most {_NAME_LENGTH} printable characters")

    def live(self, keep_seconds: float = 0.0) -> LiveOptions:
        """``keep_seconds``: how much of the newest video is kept for clips."""
        return LiveOptions(transport="udp" if self.udp else "tcp", keep_seconds=keep_seconds)

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values, which `from_mapping` takes back; the address is as the file has it, without what its
        variables stand for."""
        names = ("name", "loop", "udp", "hwaccel", "group")
        values = {name: getattr(self, name) for name in names} | {"settings": self.settings.to_mapping()}
        return values | {"address": self.template or self.address}

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> StreamEntry:
        """Raises `OptionError` for what is no stream."""
        try:
            return cls(**{**mapping, "settings": StreamSettings.from_mapping(mapping["settings"])})
        except (TypeError, KeyError) as error:
            raise OptionError("stream", mapping.get("name"), f"the fields of a stream ({error})") from error


@dataclass(frozen=True, slots=True)
class Configuration:
    """What a file says; by default what holds without one."""

    streams: tuple[StreamEntry, ...] = ()
    rules: tuple[Rule, ...] = ()
    channels: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """By name; `streamer.notify.channel_from_mapping` reads them."""
    data: Path | None = None
    """Folder of history, pictures, clips and the changes made on the page; None keeps nothing."""
    history_url: str | None = field(default=None, repr=False)
    """Of a database for the history; an SQLite file in ``data`` by default."""
    pictures: str | None = field(default=None, repr=False)
    """Folder or store (``s3://BUCKET/FOLDER``) of pictures and clips; in ``data`` by default."""
    keep_days: float = 30.0
    keep_gib: float = 10.0
    """Of pictures, clips and database."""
    keep_alert_days: float = 365.0
    upload_gib: float = 2.0
    """Of one file that is handed in on the page."""
    files_gib: float = 10.0
    """Of all files that were handed in, with what was made of them."""
    files_days: float = 30.0
    """Of those that are done."""
    clip_before_seconds: float = 5.0
    clip_after_seconds: float = 10.0
    """Of the video kept with an alert; both 0: none is kept."""
    base_url: str = ""
    """Where people reach this server, for the links in notices: ``https://cameras.example.org``."""
    allow: tuple[str, ...] = ()
    """Folders, ``scheme://`` and ``scheme://host`` of sources that may be added on the page."""
    compare_with: tuple[str, ...] = ()
    """Models beside the job's own, for comparisons, as ``--compare-with`` takes them; read at the start only."""
    path: Path | None = None
    """Of the file."""

    def __post_init__(self) -> None:
        _check_unique("streams", [entry.name for entry in self.streams])
        _check_unique("rules", [rule.name for rule in self.rules])
        for rule in self.rules:
            for channel in rule.channels:
                if channel not in self.channels:
                    known = ", ".join(self.channels) or "none yet"
                    raise OptionError(f"rules.{rule.name}.channels", channel, f"a channel of this file: {known}")
        files = (("upload_gib", 1e-6, 1e6), ("files_gib", 0, 1e6), ("files_days", 0, 1e5))
        for name, low, high in (("clip_before_seconds", 0, 60), ("clip_after_seconds", 0, 300), *files):
            if not low <= getattr(self, name) <= high:
                raise OptionError(name, getattr(self, name), f"a number from {low:g} to {high:g}")
        assert self.keep  # raises for what it cannot be

    @property
    def keep(self) -> Keep:
        return Keep(self.keep_days, self.keep_gib, self.keep_alert_days)


def read_configuration(
    path: Path, environment: Mapping[str, str] | None = None, *, to_run: bool = True
) -> Configuration:
    """The file's words. ``environment``: that of the process by default. Unless it is ``to_run``, variables that are
    not set stay as they stand there: who looks at the history need not know the cameras' passwords.

    Raises `OptionError` that names the place in the file, for what cannot be read or used, and for a variable that is
    not set.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise OptionError("configuration", str(path), f"a file that can be read ({error.strerror})") from error
    if len(raw) > MAX_BYTES:
        raise OptionError("configuration", str(path), "a file of at most 1 MiB")
    try:
        document = tomllib.loads(raw.decode("utf-8"))
    except ValueError as error:
        raise OptionError("configuration", str(path), f"TOML ({error})") from error
    with placed(path.name):
        known = os.environ if environment is None else environment
        return configuration_of(document, path, known if to_run else _Known(known))


def configuration_of(document: Mapping[str, Any], path: Path, environment: Mapping[str, str]) -> Configuration:
    """The configuration of a parsed file. Raises `OptionError`."""
    values = {key: value for key, value in document.items() if key not in ("streams", "rules", "channels")}
    plain = read(values, "file", _FILE)
    entries = _listed(document.get("streams", []), "streams")
    rules = _listed(document.get("rules", []), "rules")
    for name in ("data", "pictures"):
        if "\0" in plain.get(name, ""):
            raise OptionError(f"file.{name}", plain[name], "a folder's name")
    history_url, pictures = plain.pop("history_url", None), plain.pop("pictures", None)
    return Configuration(
        streams=tuple(_stream(entry, f"streams[{place}]", environment) for place, entry in enumerate(entries)),
        rules=tuple(Rule.from_mapping(rule, f"rules[{place}]") for place, rule in enumerate(rules)),
        channels=_channels(document.get("channels", {}), environment),
        data=Path(os.path.normpath(path.parent / plain.pop("data", DATA))),
        history_url=None if history_url is None else _filled(history_url, "history_url", environment),
        pictures=None if pictures is None else _place(_filled(pictures, "pictures", environment), path),
        path=path,
        **plain,
    )


def digest(entry: StreamEntry | Rule | Keep) -> str:
    """The same for entries that say the same."""
    words = json.dumps(entry.to_mapping(), sort_keys=True, default=str)
    return hashlib.blake2b(words.encode(), digest_size=16).hexdigest()


class _Known(dict[str, str]):
    """An environment in which what is not set stands for itself."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return f"${{{name}}}"


def _stream(entry: object, where: str, environment: Mapping[str, str]) -> StreamEntry:
    values = read(entry, where, _STREAM, required=("name", "address"))
    with placed(where):
        written = values["address"]
        values["address"] = _filled(written, "address", environment)
        values["template"] = written if _VARIABLE.search(written) else ""
        settings = {name: values.pop(name) for name in _SETTINGS if name in values}
        return StreamEntry(**values, settings=StreamSettings(**settings))


def _channels(tables: object, environment: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    if not isinstance(tables, Mapping):
        raise OptionError("channels", tables, "tables such as [channels.phone]")
    for name, table in tables.items():
        if not isinstance(table, Mapping):
            raise OptionError(f"channels.{name}", table, "a table")
    return {name: _filled_table(table, f"channels.{name}", environment) for name, table in tables.items()}


def _filled_table(table: Mapping[str, Any], where: str, environment: Mapping[str, str]) -> dict[str, Any]:
    return {
        key: _filled(value, f"{where}.{key}", environment) if isinstance(value, str) else value
        for key, value in table.items()
    }


def _filled(value: str, where: str, environment: Mapping[str, str]) -> str:
    """With the variables' values."""

    def one(match: re.Match[str]) -> str:
        name = match[1]
        if name not in environment:
            raise OptionError(where, match[0], f"a variable that is set: {name} is not in the environment")
        return environment[name]

    return _VARIABLE.sub(one, value)


def _place(address: str, path: Path) -> str:
    """A folder beside the file at ``path``; an address as it is."""
    return address if "://" in address else os.path.normpath(path.parent / address)


def _listed(value: object, where: str) -> Sequence[object]:
    if not isinstance(value, list):
        raise OptionError(where, value, f"tables such as [[{where}]]")
    return value


def _check_unique(what: str, names: Sequence[str]) -> None:
    for place, name in enumerate(names):
        if name in names[:place]:
            raise OptionError(f"{what}[{place}].name", name, "a name that no other one has")


def _tasks(value: object, where: str) -> tuple[Task, ...]:
    if not isinstance(value, list):
        raise OptionError(where, value, 'a list such as ["caption", "detect: person, car"]')
    tasks = []
    for place, item in enumerate(value):
        with placed(f"{where}[{place}]"):
            tasks.append(parse_task(item) if isinstance(item, str) else _task(item))
    return tuple(tasks)


def _task(item: object) -> Task:
    """From a table: ``{ ask = "How many?", name = "count" }``."""
    if not isinstance(item, Mapping) or len(kinds := [key for key in item if key not in _TASK_MORE]) != 1:
        raise OptionError("task", item, 'a text, or a table such as { ask = "How many?", name = "count" }')
    task = parse_task(f"{kinds[0]}:{text(item[kinds[0]], kinds[0])}")
    more = read({key: item[key] for key in item if key in _TASK_MORE}, "task", _TASK_MORE)
    return Task.from_mapping(task.to_mapping() | more)


def _budget(value: object, where: str) -> int | Literal["auto"]:
    return "auto" if value == "auto" else whole(value, where)


def _schema(value: object, where: str) -> dict[str, Any]:
    try:
        return checked_schema(value)
    except OptionError as error:
        raise OptionError(where, value, error.expected) from None


_TASK_MORE: Mapping[str, Reader] = {"name": text, "max_tokens": whole, "frames": whole, "schema": _schema}
_SETTINGS: Mapping[str, Reader] = {
    "tasks": _tasks,
    "budget": _budget,
    "fps": number,
    "gate": number,
    "gate_seconds": number,
    "display_fps": number,
    "display_width": whole,
    "paused": flag,
}
_STREAM: Mapping[str, Reader] = {
    "name": text,
    "address": text,
    "loop": flag,
    "udp": flag,
    "hwaccel": text,
    "group": text,
    **_SETTINGS,
}
_FILE: Mapping[str, Reader] = {
    "data": text,
    "history_url": text,
    "pictures": text,
    "keep_days": number,
    "keep_gib": number,
    "keep_alert_days": number,
    "upload_gib": number,
    "files_gib": number,
    "files_days": number,
    "clip_before_seconds": number,
    "clip_after_seconds": number,
    "base_url": text,
    "allow": texts,
    "compare_with": texts,
}
