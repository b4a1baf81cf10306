"""Who may see and do what: roles, the streams that somebody may see, and the tokens that stand for them."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from streamer.errors import OptionError
from streamer.outputs.atomic import replacing
from streamer.patterns import matches
from streamer.server import guard

Role = Literal["viewer", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "admin")
MAX_TOKENS = 1000


@dataclass(frozen=True, slots=True)
class Access:
    """What somebody may do. A viewer sees, an admin changes too."""

    name: str
    """Whose token it is; stands beside what was acknowledged."""
    role: Role = "viewer"
    streams: tuple[str, ...] = ()
    """Names or patterns (``gate-*``) of the streams that may be seen; empty: all."""

    @property
    def admin(self) -> bool:
        return self.role == "admin"

    def sees(self, stream: str) -> bool:
        return not self.streams or matches(stream, self.streams)

    def seen(self, streams: Iterable[str]) -> tuple[str, ...] | None:
        """Those of ``streams`` that may be seen; None where all may be."""
        return None if not self.streams else tuple(stream for stream in streams if self.sees(stream))


EVERYTHING = Access("owner", "admin")
"""Of whoever sits at this machine, or has the token that the server was started with."""


@dataclass(frozen=True, slots=True)
class _Kept:
    access: Access
    digest: str
    created_at: float


class Tokens:
    """The tokens of one server: the one that it was started with, and those in ``tokens.json``.

    Only digests are kept: a token is shown once, when it is made. The file is read again when it changes, so that the
    command line can add and remove tokens while the server runs. Used from any thread.
    """

    def __init__(self, path: Path | None = None, *, owner: str | None = None) -> None:
        """``owner``: the token of the person who started the server. Raises `OptionError` for a file that is none."""
        self._path, self._owner = path, owner
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._kept: dict[str, _Kept] = {}
        self._refresh()

    def find(self, token: str) -> Access | None:
        """Whose token it is; None for nobody's."""
        if self._owner is not None and guard.same_token(token, self._owner):
            return EVERYTHING
        digest = _digest(token)
        with self._lock:
            self._refresh()
            return next((one.access for one in self._kept.values() if guard.same_token(one.digest, digest)), None)

    def list(self) -> tuple[tuple[Access, float], ...]:
        """With the Unix seconds at which they were made."""
        with self._lock:
            self._refresh()
            return tuple((one.access, one.created_at) for one in self._kept.values())

    def create(self, name: str, role: str, streams: Iterable[str] = ()) -> str:
        """A new token, told here and never again. Raises `OptionError`, also for a name that has one already, and
        `OutputError` where it cannot be kept."""
        patterns = tuple(streams)
        if not name.strip() or len(name) > 60 or not name.isprintable() or name == EVERYTHING.name:
            raise OptionError("token name", name, f"1 to 60 printable characters, not {EVERYTHING.name!r}")
        if role not in ROLES:
            raise OptionError("role", role, "one of " + ", ".join(ROLES))
        if role == "admin" and patterns:
            raise OptionError("streams", list(patterns), "none: an admin sees all streams")
        if len(patterns) > 100 or not all(0 < len(pattern) <= 100 for pattern in patterns):
            raise OptionError("streams", list(patterns), "at most 100 names or patterns of up to 100 characters")
        token = guard.new_token()
        with self._lock:
            self._refresh()
            if name in self._kept or len(self._kept) >= MAX_TOKENS:
                raise OptionError("token name", name, f"one that has no token yet, of at most {MAX_TOKENS}")
            access = Access(name, "admin" if role == "admin" else "viewer", patterns)
            self._write({**self._kept, name: _Kept(access, _digest(token), time.time())})
        return token

    def remove(self, name: str) -> None:
        """The token of that name is good for nothing from now on. Raises as `create`."""
        with self._lock:
            self._refresh()
            if name not in self._kept:
                raise OptionError("token name", name, "one of " + (", ".join(self._kept) or "none yet"))
            self._write({key: one for key, one in self._kept.items() if key != name})

    def _refresh(self) -> None:
        if self._path is None:
            return
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            self._stamp, self._kept = None, {}
            return
        except OSError as error:
            raise OptionError("tokens", str(self._path), f"a file that can be read ({error.strerror})") from error
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if stamp != self._stamp:
            self._kept, self._stamp = _read(self._path), stamp

    def _write(self, kept: Mapping[str, _Kept]) -> None:
        if self._path is None:
            raise OptionError("token", "kept", "a server with a data folder")
        document = [
            {
                "name": one.access.name,
                "role": one.access.role,
                "streams": list(one.access.streams),
                "digest": one.digest,
                "created_at": one.created_at,
            }
            for one in kept.values()
        ]
        with replacing(self._path) as temporary:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(document, file, indent=1)
                file.flush()
                os.fsync(file.fileno())
        self._kept = dict(kept)
        self._stamp = None


def _read(path: Path) -> dict[str, _Kept]:
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        kept = {}
        for one in document:
            role: Role = "admin" if one["role"] == "admin" else "viewer"
            access = Access(str(one["name"]), role, tuple(map(str, one["streams"])))
            kept[access.name] = _Kept(access, str(one["digest"]), float(one["created_at"]))
        return kept
    except (OSError, ValueError, KeyError, TypeError) as error:
        expected = f"tokens as streamer keeps them ({error}); move it away to begin with none"
        raise OptionError("tokens", str(path), expected) from error


def _digest(token: str) -> str:
    """Tokens are long and random, so that a plain digest cannot be guessed back."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
