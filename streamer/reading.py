"""Settings read strictly out of TOML or JSON values: what is wrong is said with its place, its value and what can be.

A reader takes a value and its place (``rules[2].confirm``) and gives the value in our words or raises `OptionError`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from streamer.errors import OptionError

_LARGEST = 10**300

Reader = Callable[[object, str], Any]


def read(mapping: object, where: str, readers: Mapping[str, Reader], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """The values of ``mapping`` by key. A value of null counts as left out; an unknown key is refused, so that a
    misspelt one is not silently without effect."""
    if not isinstance(mapping, Mapping):
        raise OptionError(where, mapping, "a table with some of " + ", ".join(readers))
    for key, value in mapping.items():
        if key not in readers:
            raise OptionError(f"{where}.{key}", value, "no such setting here; there are " + ", ".join(readers))
    for key in required:
        if mapping.get(key) is None:
            raise OptionError(f"{where}.{key}", None, "a value, which is missing")
    return {key: readers[key](value, f"{where}.{key}") for key, value in mapping.items() if value is not None}


@contextmanager
def placed(where: str) -> Iterator[None]:
    """Puts the place in front of the option of an `OptionError` that is raised inside."""
    try:
        yield
    except OptionError as error:
        raise OptionError(f"{where}.{error.option}", error.value, error.expected) from None


def text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise OptionError(where, value, "a text")
    return value


def flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise OptionError(where, value, "true or false")
    return value


def whole(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise OptionError(where, value, "a whole number")
    return value


def number(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < math.inf:
        raise OptionError(where, value, "a number")
    return float(min(max(value, -_LARGEST), _LARGEST))  # JSON has whole numbers that no float can hold


def texts(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise OptionError(where, value, "a list of texts")
    return tuple(text(item, f"{where}[{place}]") for place, item in enumerate(value))


def points(value: object, where: str) -> tuple[tuple[float, float], ...]:
    if not isinstance(value, list | tuple):
        raise OptionError(where, value, "a list of points [x, y]")
    return tuple(_point(item, f"{where}[{place}]") for place, item in enumerate(value))


def _point(value: object, where: str) -> tuple[float, float]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise OptionError(where, value, "a point [x, y]")
    return number(value[0], where), number(value[1], where)
