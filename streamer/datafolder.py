"""The folder of a live job, which is one program's at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamer.errors import OptionError, OutputError
from streamer.outputs.jsonl import locked


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """The folder, which others may not look into, is this program's as long as the block lasts. Raises `OptionError`
    where another one has it, and `OutputError` where it cannot be used."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (folder / "lock").open("a+")
    except OSError as error:
        raise OutputError(folder, error.strerror or str(error), "choose a data folder that is yours") from error
    with file:
        if not locked(file):
            file.seek(0)
            expected = f"one that no other job uses: process {file.read().strip() or 'unknown'} does"
            raise OptionError("data", str(folder), expected)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
