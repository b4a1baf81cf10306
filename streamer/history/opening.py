"""A history's shelf by its address: folders the plain way, anything else by fsspec."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from streamer.history.pictures import FolderShelf
from streamer.history.shelf import Shelf

WAITING = "waiting"
"""Folder of what is still to be sent, in the data folder."""


def open_shelf(folder: Path, address: str | None) -> Shelf:
    """``address``: a folder, ``file://…`` or what fsspec knows; None for the history's own ``folder``.

    Raises `HistoryError` for a folder that cannot be written, `OptionError` for what is no address, and
    `MissingExtraError`.
    """
    local = folder if address is None else local_folder(address)
    if local is not None:
        return FolderShelf(local)
    from streamer.history.filesystem import FileSystem
    from streamer.history.remote import RemoteShelf

    return RemoteShelf(FileSystem(address or ""), folder / WAITING)


def local_folder(address: str) -> Path | None:
    """The folder that ``address`` names; None where it names none of this machine's."""
    if "://" not in address:
        return Path(address)
    parts = urlsplit(address)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    return Path(unquote(parts.path))
