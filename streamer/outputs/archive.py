"""Files and folders as one ZIP file."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

_PICTURES = (".jpg", ".png")
"""Packed as they are: they do not get smaller."""


def write_archive(
    target: Path | IO[bytes], root: Path, paths: Iterable[Path], packed: Callable[[], None] = lambda: None
) -> None:
    """What lies at ``paths`` with all below it, called as from ``root``; hidden files are left out.

    ``packed`` is called after each file, and may raise to call it off. Raises `OSError`.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for path in paths:
            for one in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if one.is_file() and not one.name.startswith("."):
                    stored = zipfile.ZIP_STORED if one.suffix.lower() in _PICTURES else zipfile.ZIP_DEFLATED
                    file.write(one, one.relative_to(root), stored)
                    packed()
