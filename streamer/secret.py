"""Words that must not be seen: read from the environment or a file, never shown."""

from __future__ import annotations

import os
from pathlib import Path

from streamer.errors import OptionError


class Secret:
    """A secret text. Whatever prints it prints stars; only `reveal` gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"


def read_secret(option: str, env: str | None, file: str | None) -> Secret | None:
    """From the environment variable ``env``, or from ``file`` without its last line break; None if neither is named.

    Raises `OptionError` for ``<option>_env`` or ``<option>_file`` where both are given or nothing is there.
    """
    if env is not None and file is not None:
        raise OptionError(f"{option}_file", file, f"only one of {option}_env and {option}_file")
    if env is not None:
        return _checked(f"{option}_env", env, os.environ.get(env), "the name of a set environment variable")
    if file is not None:
        return _checked(f"{option}_file", file, _text_of(f"{option}_file", file), "a file with one line in it")
    return None


def _text_of(option: str, file: str) -> str:
    try:
        return Path(file).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:  # a UnicodeDecodeError's own words would show what is in the file
        said = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise OptionError(option, file, f"a file that can be read ({said})") from None


def _checked(option: str, given: str, text: str | None, expected: str) -> Secret:
    if not text or "\n" in text or "\0" in text:
        raise OptionError(option, given, expected)
    return Secret(text)
