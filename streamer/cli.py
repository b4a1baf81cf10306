"""The console script: how the commands of `streamer.commands` begin and end."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import threading
from contextlib import suppress

from streamer.allocator import use_few_arenas
from streamer.errors import OptionError, StreamerError


def main() -> None:
    """The console script. Exit codes: 0 all well, 1 something failed, 2 unusable words, 130 ended by Ctrl-C."""
    signal.signal(signal.SIGTERM, _interrupt)
    use_few_arenas()  # first of all: arenas that are there already stay in use
    try:
        _say_odd_names()
        from streamer.commands.application import app  # not above: Ctrl-C may come while this is imported, too

        app(prog_name="streamer")
    except StreamerError as error:
        from streamer import terminal

        terminal.failure("error", error)
        code = 2 if isinstance(error, OptionError) else 1
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        _forget_output()
        code = 1
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        from streamer import terminal

        _forget_output()
        terminal.failure("error", error)
        code = 1
    except KeyboardInterrupt:
        code = 130
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    _leave(code)


def _leave(code: int) -> None:
    if code == 130 or any(thread.name == "model" for thread in threading.enumerate()):
        # A thread that is still inside torch when the interpreter goes would abort the process, and after a Ctrl-C
        # that came within an `exec` (dataclasses and torch use it) Python ends by the signal instead of the code.
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _forget_output() -> None:
    """What could not be written must not be tried again at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _say_odd_names() -> None:
    """Names that are no UTF-8, and letters that a terminal does not know, are written as escapes, also in JSON."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
