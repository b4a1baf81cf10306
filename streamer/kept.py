"""What people changed while a live job ran, kept over restarts in ``changes.json`` beside the history.

A change counts until the configuration file says something else of the same stream, rule or limits than when it was
made: then the file's owner has spoken last.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from streamer.configuration import StreamEntry, digest
from streamer.errors import OptionError, OutputError
from streamer.keeping import Keep
from streamer.outputs.atomic import replacing
from streamer.rules import Rule

Kind = Literal["streams", "rules", "limits"]
Entry = StreamEntry | Rule | Keep
VERSION = 1


@dataclass(frozen=True, slots=True)
class _Change:
    """``value`` None: it was removed. ``file``: digest of what the file said of it; None where it said nothing."""

    value: dict[str, Any] | None
    file: str | None


def _kind_of(entry: Entry) -> Kind:
    match entry:
        case StreamEntry():
            return "streams"
        case Rule():
            return "rules"
    return "limits"


def _with_secrets(entry: StreamEntry, file: StreamEntry | None) -> StreamEntry:
    """The file's address again, with what its variables stand for now, which is not kept."""
    if file is None or not file.template or entry.address != file.template:
        return entry
    return replace(entry, address=file.address, template=file.template)


class Changes:
    """The changes of one job, by kind and name. Used from any thread. Every change is on disk when its method returns.

    ``path`` None keeps them for this run only. Raises `OptionError` where the file is not one of these, `OutputError`
    where it cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._changes: dict[Kind, dict[str, _Change]] = {"streams": {}, "rules": {}, "limits": {}}
        if path is not None and path.exists():
            self._read(path)

    def streams(self, file: Iterable[StreamEntry]) -> list[StreamEntry]:
        """The file's streams as they were changed, then those that were added."""
        written = {entry.name: entry for entry in file}
        merged = [StreamEntry.from_mapping(value) for value in self._merged("streams", list(written.values()))]
        return [_with_secrets(entry, written.get(entry.name)) for entry in merged]

    def rules(self, file: Iterable[Rule]) -> list[Rule]:
        return [Rule.from_mapping(value) for value in self._merged("rules", list(file))]

    def keep(self, file: Keep) -> Keep:
        """The limits of the history."""
        [value] = self._merged("limits", [file])
        return Keep.from_mapping(value)

    def put(self, entry: Entry, file: Entry | None) -> None:
        """``entry`` was added or changed; ``file``: what the file says of it."""
        self._put(entry, entry.name, entry.to_mapping(), file)

    def remove(self, entry: StreamEntry | Rule, file: StreamEntry | Rule | None) -> None:
        self._put(entry, entry.name, None, file)

    def _put(self, like: Entry, name: str, value: dict[str, Any] | None, file: Entry | None) -> None:
        changes = self._changes[_kind_of(like)]
        with self._lock:
            before = changes.get(name)
            unchanged = value == file.to_mapping() if file is not None else value is None
            if unchanged:
                changes.pop(name, None)
            else:
                changes[name] = _Change(value, None if file is None else digest(file))
            try:
                self._write()
            except OutputError:
                if before is None:
                    changes.pop(name, None)
                else:
                    changes[name] = before
                raise

    def _merged(self, kind: Kind, file: Sequence[Entry]) -> list[dict[str, Any]]:
        merged = []
        with self._lock:
            changes = self._changes[kind]
            for entry in file:
                change = changes.get(entry.name)
                if change is not None and change.file != digest(entry):
                    change = None
                value = entry.to_mapping() if change is None else change.value
                if value is not None:
                    merged.append(value)
            names = {entry.name for entry in file}
            merged += [
                change.value
                for name, change in changes.items()
                if name not in names and change.value and change.file is None  # else the file has it no longer
            ]
        return merged

    def settle(self, streams: Iterable[StreamEntry], rules: Iterable[Rule], keep: Keep) -> None:
        """The file is in use: what was changed of something that it says otherwise now, or no longer, is forgotten."""
        written: dict[Kind, dict[str, str]] = {
            "streams": {entry.name: digest(entry) for entry in streams},
            "rules": {rule.name: digest(rule) for rule in rules},
            "limits": {keep.name: digest(keep)},
        }
        with self._lock:
            for kind, changes in self._changes.items():
                said = written[kind]
                for name in [name for name, change in changes.items() if change.file != said.get(name)]:
                    del changes[name]

    def _read(self, path: Path) -> None:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            if document["version"] != VERSION:
                raise OptionError("changes", str(path), f"version {VERSION}; move it away to begin without changes")
            for kind in self._changes:
                for name, change in (document.get(kind, {}) if kind == "limits" else document[kind]).items():
                    self._changes[kind][name] = _Change(change["value"], change["file"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, OptionError):
                raise
            reason = f"changes as streamer keeps them ({error}); move it away to begin without them"
            raise OptionError("changes", str(path), reason) from error

    def _write(self) -> None:
        """Addresses have passwords: nobody else may read them."""
        if self._path is None:
            return
        document: dict[str, Any] = {"version": VERSION}
        for kind, changes in self._changes.items():
            document[kind] = {name: {"value": one.value, "file": one.file} for name, one in changes.items()}
        with replacing(self._path) as temporary:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(document, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
