"""Lists of names in a text file or from another program."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from streamer.errors import SourceError


def listed_names(path: Path) -> list[str]:
    """The lines of a list file, ``-`` for standard input; empty ones and those that begin with # say nothing.

    Names need not be UTF-8. Raises `SourceError` for a list that cannot be read, has no name or is no text.
    """
    what = "standard input" if str(path) == "-" else str(path)
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        raise SourceError(what, f"it cannot be read: {error.strerror or error}", "check the name") from error
    names = list(_names(what, data.removeprefix(b"\xef\xbb\xbf").decode(errors="surrogateescape")))
    if not names:
        raise SourceError(what, "there is no name in this list", "write the names of files into it, one a line")
    return names


def _names(what: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        name = line.strip()
        if any(unicodedata.category(letter) == "Cc" and letter != "\t" for letter in name):
            reason = f"line {number} of this list is no name: it has control characters"
            raise SourceError(what, reason, "is it a text file in UTF-8?")
        if name and not name.startswith("#"):
            yield name
