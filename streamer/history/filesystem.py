"""One place in a store that fsspec reaches: every call within a bound of time, every fault in words without secrets."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from streamer.addresses import redact
from streamer.errors import HistoryError, MissingExtraError, OptionError

CALL_SECONDS = 20.0
"""For one picture, one part of a clip or one listing."""
SEND_SECONDS = 60.0
"""For one batch of files."""
_EXPECTED = "a folder, or an address such as s3://BUCKET/FOLDER"
_S3 = ("s3", "s3a")
_S3_DEFAULTS: Mapping[str, Any] = {
    "config_kwargs": {
        "connect_timeout": 3,
        "read_timeout": 15,
        "max_pool_connections": 32,
        "retries": {"max_attempts": 1},
    }
}
"""What the environment (``FSSPEC_S3``) may say otherwise. We try again ourselves."""
_SECRETS = re.compile(r"secret|token|password|passwd|credential|(^|_)key$", re.IGNORECASE)
_DENIED = "are its keys right (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for S3), and may they read, write, delete?"
_NOWHERE = "does the bucket or folder exist?"
_AWAY = "is the store running and reachable, and are its address and keys in the environment?"


class FileSystem:
    """The files under ``address``; keys are paths below it, with ``/``. Used from any thread."""

    def __init__(self, address: str) -> None:
        """Raises `OptionError` for what is no address, and `MissingExtraError`."""
        self.address = redact(address).rstrip("/")
        """Fit for people."""
        self._fs, self._root = _opened(address)
        self._loop = self._fs.loop if getattr(self._fs, "async_impl", False) else None

    def check(self) -> None:
        """Writes a small file, reads and removes it. Raises `HistoryError`."""
        key, data = f".streamer-{secrets.token_hex(8)}", b"streamer"
        if error := self.send({key: data})[key]:
            raise self.refused("cannot be written", error)
        if self._found(key) != data:
            raise HistoryError(self.address, "it does not give back what was written", _DENIED)
        self.remove([key])
        if self._found(key) is not None:
            raise HistoryError(self.address, "it does not remove what it is told to", _DENIED)

    def send(self, files: Mapping[str, bytes | Path]) -> dict[str, Exception | None]:
        """Writes all of them, at once where the store can; why not, for each."""
        if self._loop is None:
            return {key: _outcome(lambda: self._send(key, data)) for key, data in files.items()}  # noqa: B023
        found = _outcome(lambda: self._wait(self._send_all, files, timeout=SEND_SECONDS))
        return found if isinstance(found, dict) else dict.fromkeys(files, found)

    def read(self, key: str, start: int | None = None, stop: int | None = None) -> bytes:
        """The bytes in [start, stop). Raises `FileNotFoundError` and `HistoryError`."""
        try:
            return bytes(self._call("cat_file", self._path(key), start=start, end=stop))
        except FileNotFoundError:
            raise
        except Exception as error:  # each store's library has a tree of its own
            raise self.refused("cannot be read", error) from error

    def remove(self, keys: Sequence[str]) -> None:
        """Those that are not there are passed over. Raises `HistoryError`."""
        try:
            try:
                self._call("rm", [self._path(key) for key in keys])
            except FileNotFoundError:
                for key in keys:
                    self._remove_one(key)
        except Exception as error:  # each store's library has a tree of its own
            raise self.refused("takes no order to remove", error) from error

    def has(self, key: str) -> bool:
        """Raises `HistoryError`."""
        try:
            self._call("info", self._path(key))
        except FileNotFoundError:
            return False
        except Exception as error:  # each store's library has a tree of its own
            raise self.refused("cannot be read", error) from error
        return True

    def names(self, folder: str) -> set[str]:
        """What is right below that folder; nothing where there is none. Raises `HistoryError`."""
        try:
            found = self._call("ls", self._path(folder), detail=False)
        except FileNotFoundError:
            return set()
        except Exception as error:  # each store's library has a tree of its own
            raise self.refused("cannot be listed", error) from error
        return {str(path).rstrip("/").rpartition("/")[2] for path in found}

    def where(self, key: str) -> str:
        """For people."""
        return f"{self.address}/{key}"

    def refused(self, what: str, error: Exception) -> HistoryError:
        """The error in our words."""
        reason = f"it {what}: {_said(error)}"
        if isinstance(error, PermissionError):
            return HistoryError(self.address, reason, _DENIED)
        return HistoryError(self.address, reason, _NOWHERE if isinstance(error, FileNotFoundError) else _AWAY)

    def _found(self, key: str) -> bytes | None:
        try:
            return self.read(key)
        except FileNotFoundError:
            return None

    # -- the calls

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}"

    def _call(self, name: str, *args: Any, **options: Any) -> Any:
        if self._loop is None:
            return getattr(self._fs, name)(*args, **options)
        return self._wait(getattr(self._fs, f"_{name}"), *args, timeout=CALL_SECONDS, **options)

    def _wait(self, work: Callable[..., Any], *args: Any, timeout: float, **options: Any) -> Any:
        from fsspec.asyn import sync

        return sync(self._loop, work, *args, timeout=timeout, **options)

    def _send(self, key: str, data: bytes | Path) -> None:
        if isinstance(data, Path):
            self._fs.put_file(str(data), self._path(key))
        else:
            self._fs.pipe_file(self._path(key), data)

    async def _send_all(self, files: Mapping[str, bytes | Path]) -> dict[str, Exception | None]:
        work = [
            self._fs._put_file(str(data), self._path(key))
            if isinstance(data, Path)
            else self._fs._pipe_file(self._path(key), data)
            for key, data in files.items()
        ]
        done = await asyncio.gather(*work, return_exceptions=True)
        return {key: one if isinstance(one, Exception) else None for key, one in zip(files, done, strict=True)}

    def _remove_one(self, key: str) -> None:
        try:
            self._call("rm_file", self._path(key))
        except FileNotFoundError:
            return


def _opened(address: str) -> tuple[Any, str]:
    protocol = urlsplit(address).scheme
    extra = f"keeping pictures at {protocol}://"
    for package in ("fsspec", "s3fs") if protocol in _S3 else ("fsspec",):
        if find_spec(package) is None:
            raise MissingExtraError(extra, package, "store")
    if protocol == "file":  # of another machine
        raise OptionError("pictures", redact(address), _EXPECTED)
    if _has_password(address):
        raise OptionError("pictures", redact(address), "an address alone; keys belong into the environment")
    import fsspec

    try:
        fsspec.get_filesystem_class(protocol)
    except ValueError:
        raise OptionError("pictures", redact(address), _EXPECTED) from None
    except ImportError as error:
        raise OptionError("pictures", redact(address), f"{_EXPECTED} ({error})") from error
    try:
        fs, root = fsspec.core.url_to_fs(
            address, skip_instance_cache=True, use_listings_cache=False, **_defaults(protocol)
        )
    except Exception as error:  # each store's library has a tree of its own
        raise OptionError("pictures", redact(address), f"{_EXPECTED} ({_said(error)})") from error
    if not str(root).strip("/"):
        raise OptionError("pictures", redact(address), _EXPECTED)
    if hasattr(fs, "retries"):
        fs.retries = 2
    return fs, str(root).rstrip("/")


def _defaults(protocol: str) -> dict[str, Any]:
    from fsspec.config import conf

    if protocol in _S3:
        return {name: value for name, value in _S3_DEFAULTS.items() if name not in conf.get("s3", {})}
    return {"auto_mkdir": True} if protocol in ("local", "sftp", "smb") else {}


def _has_password(address: str) -> bool:
    parts = urlsplit(address)
    return ":" in parts.netloc.rpartition("@")[0] or redact(f"?{parts.query}") != f"?{parts.query}"


def _outcome(work: Callable[[], Any]) -> Any:
    """What it gives, or the exception."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - told where the files are waited for
        return error


def _said(error: Exception) -> str:
    """Its words without what the environment holds of secrets."""
    text = redact(" ".join(str(error).split()))[:300] or type(error).__name__
    for name, value in os.environ.items():
        if len(value) > 5 and _SECRETS.search(name):
            text = text.replace(value, "***")
    return text
