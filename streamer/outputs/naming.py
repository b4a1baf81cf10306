"""What a job's files are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from streamer.addresses import redact
from streamer.sources.finding import is_address, is_pattern, local_path


def output_names(addresses: Sequence[str]) -> list[str]:
    """What the files about each source are called: its name without its ending, and no name twice.

    >>> output_names(["a/street.mp4", "b/street.mov", "b/street.mp4", "pictures/*.png"])
    ['street', 'street (2)', 'street (3)', 'pictures']
    """
    names: list[str] = []
    for address in addresses:
        wanted = _output_name(address)
        name, number = wanted, 2
        while name.casefold() in map(str.casefold, names):
            name, number = f"{wanted} ({number})", number + 1
        names.append(name)
    return names


def _output_name(address: str) -> str:
    if is_address(address):
        name = Path(redact(address).partition("?")[0]).stem
    else:
        path = local_path(address).resolve()
        path = path.parent if is_pattern(address) else path
        name = path.name if path.is_dir() or is_pattern(address) else path.stem
    return re.sub(r"[^\w .()+,@=-]+", "-", name).strip("- .") or "answers"
