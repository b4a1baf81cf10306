"""Short names for the content of files: the same content has the same one, wherever it lies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from streamer.errors import SourceError

WHOLE_BYTES = 256 * 2**20
"""Files up to this size are read whole, of larger ones `BLOCKS` blocks."""
BLOCKS = 256
_BLOCK_BYTES = 2**20


def fingerprint(paths: Iterable[Path]) -> str:
    """``blake2b:…`` of the files' contents and sizes, in their order; their names do not count.

    Of a file above `WHOLE_BYTES`, `BLOCKS` blocks of a MiB are read, spread evenly from its beginning to its end.
    Raises `SourceError` where one cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        try:
            _add(digest, path)
        except OSError as error:
            raise SourceError(str(path), f"it cannot be read: {error.strerror or error}", "is it there?") from error
    return f"blake2b:{digest.hexdigest()}"


def _add(digest: hashlib.blake2b, path: Path) -> None:
    size = path.stat().st_size
    digest.update(f"{size};".encode())
    with path.open("rb") as file:
        if size <= WHOLE_BYTES:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
            return
        for number in range(BLOCKS):
            file.seek((size - _BLOCK_BYTES) * number // (BLOCKS - 1))
            digest.update(file.read(_BLOCK_BYTES))
