"""What the real command line takes, by its own help: for tests of files that name commands."""

from __future__ import annotations

import re
from functools import cache

from typer.testing import CliRunner

from streamer.commands.application import app


@cache
def help_of(*command: str) -> str:
    """Raises `AssertionError` where there is no such command."""
    done = CliRunner(env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"}).invoke(app, [*command, "--help"])
    assert done.exit_code == 0, (command, done.output)
    return done.output


def options_of(*command: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", help_of(*command)))


def subcommands_of(*command: str) -> set[str]:
    listed = help_of(*command).partition(" Commands ")[2]
    return set(re.findall(r"^│ ([a-z]+) ", listed, re.MULTILINE))
