"""What tells that a file was changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Stamp:
    """Of a file, to see that it was changed."""

    modified: int
    """Nanoseconds, as the file system says."""
    size: int
    """Bytes."""

    @classmethod
    def of(cls, path: Path | None) -> Self | None:
        """None where there is no such file."""
        try:
            stat = None if path is None else path.stat()
        except OSError:
            return None
        return None if stat is None else cls(stat.st_mtime_ns, stat.st_size)
