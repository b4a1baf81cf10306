"""Names of streams as people write them for several: ``gate-*``."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns means the name: ``*`` stands for any letters, ``?`` for one, all else for itself.

    >>> matches("cam[1]", ["cam[1]"]), matches("cam1", ["cam[1]"])
    (True, False)
    """
    return any(fnmatchcase(name, pattern.replace("[", "[[]")) for pattern in patterns)
