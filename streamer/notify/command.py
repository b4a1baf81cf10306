"""Alerts handed to a program: the message (`streamer.notify.message`) as JSON on its standard input.

The program is started from a list of words, without a shell, and what a model said is in none of them: only in the
JSON. It also finds ``STREAMER_CHANNEL``, ``STREAMER_ALERT_ID``, ``STREAMER_ALERT_TYPE``, ``STREAMER_REVISION``,
``STREAMER_STREAM``, ``STREAMER_RULE`` and ``STREAMER_SEVERITY`` in its environment. Exit code 0 is delivered, any other
is tried again. What it prints is dropped, but for the end of its error output where it fails.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import IO, Self

from streamer.errors import NotifyError, OptionError
from streamer.notify.base import Notice
from streamer.notify.message import message, message_bytes

GRACE_SECONDS = 0.3
"""Between asking the program and its children to end, and ending them."""
MAX_ERROR_BYTES = 2000
"""How much of the error output is kept, from its end."""
_LOOK_SECONDS = 0.05
"""How soon an end of the program is seen whose children go on holding its error output."""


@dataclass(frozen=True, slots=True)
class CommandOptions:
    """Which program, and how long it may take."""

    argv: tuple[str, ...]
    """The program and its arguments, as they are; no shell reads them."""
    timeout_seconds: float = 30.0
    """After which the program is ended with everything that it started."""
    base_url: str | None = None
    """Where the page is reached, for the addresses of snapshots and clips."""

    def __post_init__(self) -> None:
        if not self.argv or not self.argv[0] or any("\0" in word for word in self.argv):
            raise OptionError("argv", list(self.argv), "a program and its arguments, such as ['/usr/bin/mail-alert']")
        if not 0 < self.timeout_seconds <= 3600:
            raise OptionError("timeout_seconds", self.timeout_seconds, "a number above 0, at most 3600")


class Command:
    """A channel that runs a program for each notice."""

    def __init__(self, name: str, options: CommandOptions) -> None:
        self.name = name
        self._options = options
        self._closed = threading.Event()

    def send(self, notice: Notice) -> None:
        if self._closed.is_set():
            raise NotifyError(self.name, "it is closed")
        with tempfile.TemporaryFile() as document:  # a file, not a pipe: a program that reads nothing blocks nobody
            document.write(message_bytes(message(notice, self._options.base_url)) + b"\n")
            document.seek(0)
            self._run(document, _environment(self.name, notice))

    def close(self) -> None:
        """A running program is ended within a second."""
        self._closed.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _run(self, document: IO[bytes], environment: dict[str, str]) -> None:
        program = self._options.argv[0]
        try:
            process = subprocess.Popen(
                self._options.argv,
                stdin=document,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise NotifyError(self.name, f"{program} cannot be started: {error.strerror or error}") from error
        assert process.stderr is not None
        with process.stderr:
            said, ended = self._until_end(process, process.stderr)
        if not ended:
            late = f"took over {self._options.timeout_seconds:g} s and was ended with what it started"
            raise NotifyError(self.name, f"{program} {'was called off' if self._closed.is_set() else late}{said}")
        if process.returncode != 0:
            raise NotifyError(self.name, f"{program} {_ending(process.returncode)}{said}")

    def _until_end(self, process: subprocess.Popen[bytes], errors: IO[bytes]) -> tuple[str, bool]:
        """The end of what it said, as words for an error, and whether it ended by itself and in time."""
        deadline = time.monotonic() + self._options.timeout_seconds
        tail = b""
        with selectors.DefaultSelector() as selector:
            selector.register(errors, selectors.EVENT_READ)
            while time.monotonic() < deadline and not self._closed.is_set():
                if selector.select(_LOOK_SECONDS):
                    piece = os.read(errors.fileno(), 65536)
                    tail = (tail + piece)[-MAX_ERROR_BYTES:]
                    if piece:
                        continue
                    selector.unregister(errors)
                if process.poll() is not None:
                    return _as_words(tail), True
        _end_group(process)
        return _as_words(tail), False


def _environment(channel: str, notice: Notice) -> dict[str, str]:
    document = notice.document
    words = {
        "STREAMER_CHANNEL": channel,
        "STREAMER_ALERT_ID": notice.alert,
        "STREAMER_ALERT_TYPE": document.get("type"),
        "STREAMER_REVISION": notice.revision,
        "STREAMER_STREAM": document.get("stream"),
        "STREAMER_RULE": document.get("rule"),
        "STREAMER_SEVERITY": document.get("severity"),
    }
    given = {key: str(value or "").replace("\0", "") for key, value in words.items()}
    return {**os.environ, **{key: value.encode(errors="replace").decode() for key, value in given.items()}}


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """The program is not waited for before the last signal, so that its number is still that of its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)
        time.sleep(GRACE_SECONDS)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _ending(code: int) -> str:
    return f"ended with exit code {code}" if code > 0 else f"was ended by signal {-code}"


def _as_words(tail: bytes) -> str:
    text = " ".join(tail.decode(errors="replace").split())
    shown = "".join(letter for letter in text if letter.isprintable())
    return f": {shown}" if shown else ""
