"""Objects out of text that was meant to be JSON: cut off, quoted wrongly, with prose around. Never raises."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<punctuation>[\[\]{},:])
  | (?P<double>"(?:[^"\\]|\\.)*+")
  | (?P<single>'(?:[^'\\]|\\.|'(?!\s*[,:\]}])){0,1000}+')
  | (?P<number>[-+]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?)
  | (?P<odd_number>[-+]?(?:infinity|inf|nan)\b)
  | (?P<word>[^\W\d][\w-]*+)
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_OPENING = re.compile(r"[\[{]")
_DEEPEST = 32
"""Brackets within brackets; what nests deeper is no answer, and would only exhaust the stack of its readers."""
_CONSTANTS: dict[str, Any] = {"true": True, "false": False, "null": None, "none": None}


@dataclass(frozen=True, slots=True)
class LooseObject:
    """One complete ``{...}`` of the text."""

    start: int
    """Where its opening bracket stands in the text; an object inside another one starts later than it."""
    end: int
    """Behind its closing bracket."""
    pairs: tuple[tuple[str, Any], ...]
    """Keys and values as written, repeated keys included; NaN and infinities are floats."""


@dataclass(frozen=True, slots=True)
class LooseText:
    """What was found in a text."""

    objects: tuple[LooseObject, ...]
    """Every complete object, nested ones too, by where it starts."""
    lists: int
    """How many complete lists stood at the outermost level."""
    cut_off: bool
    """The text ended inside a list or an object."""


@dataclass(slots=True)
class _Open:
    """A bracket that is not closed yet."""

    bracket: str
    start: int
    items: list[Any] = field(default_factory=list)
    key: str | None = None
    has_colon: bool = False

    def add(self, value: Any) -> bool:
        """Takes the next value; False where it cannot stand here."""
        if self.bracket == "[":
            self.items.append(value)
        elif self.key is None and isinstance(value, str):
            self.key = value
        elif self.key is not None and self.has_colon:
            self.items.append((self.key, value))
            self.key, self.has_colon = None, False
        else:
            return False
        return True


class _Reader:
    """Goes through the text once. Where nothing fits any more it forgets the open brackets and goes on."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._open: list[_Open] = []
        self._objects: list[LooseObject] = []
        self._lists = 0

    def read(self) -> LooseText:
        position: int | None = 0
        while position is not None and position < len(self._text):
            position = self._step(position) if self._open else self._next_opening(position)
        objects = tuple(sorted(self._objects, key=lambda found: found.start))
        return LooseText(objects, self._lists, cut_off=bool(self._open))

    def _next_opening(self, position: int) -> int | None:
        match = _OPENING.search(self._text, position)
        if match is None:
            return None
        self._open.append(_Open(match.group(), match.start()))
        return match.end()

    def _step(self, position: int) -> int:
        match = _TOKEN.match(self._text, position)
        if match is None:
            if self._is_cut_off(position):
                return len(self._text)
            self._open.clear()
            return position + 1
        if match.lastgroup == "punctuation":
            self._punctuation(match.group(), match.start())
        elif match.lastgroup != "space" and not self._open[-1].add(_scalar(match)):
            self._open.clear()
        return match.end()

    def _is_cut_off(self, position: int) -> bool:
        """Whether a quote without a partner stands there, with nothing behind it that could be an object."""
        quote = self._text[position]
        return quote == '"' or (quote == "'" and _OPENING.search(self._text, position) is None)

    def _punctuation(self, mark: str, position: int) -> None:
        top = self._open[-1]
        if mark in "[{":
            if (top.bracket == "{" and not top.has_colon) or len(self._open) >= _DEEPEST:
                self._open.clear()
            self._open.append(_Open(mark, position))
        elif mark in "]}":
            self._close("[" if mark == "]" else "{", position + 1)
        elif mark == ":" and top.bracket == "{" and top.key is not None and not top.has_colon:
            top.has_colon = True
        elif mark == ":" or top.key is not None:
            self._open.clear()

    def _close(self, bracket: str, end: int) -> None:
        """Closes the innermost bracket; one forgotten closing bracket in between is put in."""
        if self._open[-1].bracket != bracket and len(self._open) > 1 and self._open[-2].bracket == bracket:
            self._finish(end)
        if self._open and self._open[-1].bracket == bracket:
            self._finish(end)
        else:
            self._open.clear()

    def _finish(self, end: int) -> None:
        done = self._open.pop()
        if done.key is not None:
            self._open.clear()
            return
        if done.bracket == "{":
            self._objects.append(LooseObject(done.start, end, tuple(done.items)))
        elif not self._open:
            self._lists += 1
        value = dict(done.items) if done.bracket == "{" else done.items
        if self._open and not self._open[-1].add(value):
            self._open.clear()


def read_loosely(text: str) -> LooseText:
    """All objects in ``text``.

    Understands JSON, and beside it: prose around, single quotes, bare words, trailing and doubled commas,
    Python's constants, NaN and infinities, one forgotten closing bracket, and an end at any place.
    """
    return _Reader(text).read()


def _scalar(match: re.Match[str]) -> Any:
    word = match.group()
    match match.lastgroup:
        case "double" | "single":
            return _string(word)
        case "odd_number":
            return float(word)
        case "number":
            return int(word) if len(word) < 16 and word.lstrip("+-").isdecimal() else float(word)
    return _CONSTANTS.get(word.lower(), word)


def _string(quoted: str) -> str:
    """The text between the quotes, escapes resolved where they are JSON's; always encodable as UTF-8."""
    inner = quoted[1:-1]
    try:
        decoded = json.loads(quoted, strict=False) if quoted[0] == '"' else re.sub(r"\\(.)", r"\1", inner, flags=re.S)
    except ValueError:
        decoded = inner
    return str(decoded).encode("utf-8", "replace").decode("utf-8")
