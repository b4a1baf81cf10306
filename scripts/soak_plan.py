"""What the job of ``soak.py`` is to do: its ``streams.toml``, written anew whenever something of it changes."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

QUIET = "synthetic:?live=1&size=320x180&fps=10"
SETTINGS: dict[str, Any] = {"fps": 2.0, "budget": 70, "display_width": 320, "tasks": ["caption", "detect: person, car"]}
RULES: dict[str, dict[str, Any]] = {
    "someone": {"question": "Is someone there?", "confirm": 2, "release": 2, "cooldown_seconds": 10},
    "cars": {"when": {"labels": ["car"], "at_least": 1}, "streams": ["*rtsp*", "mjpeg"], "channels": ["hook"]},
    "comes": {"when": {"labels": ["person"], "event": "appears"}, "streams": ["played", "hls"], "describe": False},
}


class Plan:
    """Streams, rules and channels as they stand; changed by `edit` alone once it is written, from any thread."""

    def __init__(self, path: Path, *, keep_gib: float) -> None:
        self.path, self.keep_gib = path, keep_gib
        self.data = path.parent / "data"
        self.streams: dict[str, dict[str, Any]] = {}
        self.rules = {name: dict(rule) for name, rule in RULES.items()}
        self.channels: dict[str, dict[str, Any]] = {}
        self.allow: list[str] = []
        self._lock = threading.Lock()
        self._calms = 0

    def add(self, name: str, address: str, **more: Any) -> None:
        self.streams[name] = {"address": address, **SETTINGS, **more}

    def calm(self) -> None:
        """Every stream as it was meant: what viewers changed is undone, as the file says something new of each."""

        def undo() -> None:
            self._calms += 1
            for stream in self.streams.values():
                stream["group"] = f"calm {self._calms}"
            self.rules = {name: dict(rule) for name, rule in RULES.items()}

        self.edit(undo)

    def edit(self, change: Callable[[], object]) -> None:
        """Changes something and writes the file."""
        with self._lock:
            change()
            self._put(_document(self, self.streams))

    def write(self, *, without: str | None = None) -> None:
        """``without``: a stream that is left out this time."""
        with self._lock:
            streams = {name: table for name, table in self.streams.items() if name != without}
            self._put(_document(self, streams))

    def spoil(self) -> None:
        """The file is none any more until it is written again."""
        with self._lock:
            self._put("[[streams]\nname = ")

    def _put(self, text: str) -> None:
        part = self.path.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        os.replace(part, self.path)


def _document(plan: Plan, streams: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [f'data = "{plan.data.name}"', f"keep_gib = {plan.keep_gib}", f"allow = {toml(plan.allow)}"]
    lines += ["clip_before_seconds = 2", "clip_after_seconds = 2", 'base_url = "http://127.0.0.1:8000"']
    for kind, tables in (("streams", streams), ("rules", plan.rules)):
        for name, table in tables.items():
            lines += ["", f"[[{kind}]]", f"name = {toml(name)}", *_pairs(table)]
    for name, table in plan.channels.items():
        lines += ["", f"[channels.{name}]", *_pairs(table)]
    return "\n".join([*lines, ""])


def _pairs(table: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {toml(value)}" for key, value in table.items()]


def toml(value: object) -> str:
    """A value as TOML has it; texts of JSON are texts of TOML."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return json.dumps(value)
