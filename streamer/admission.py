"""Which sources may be added while a job runs, by people who may change streams but not read this machine's files.

What is allowed stands in the configuration (``allow``): folders, whose files may be played; ``rtsp://`` and other
camera schemes, for any host but this machine and addresses that belong to no network (loopback, link-local); and
``scheme://host`` or ``scheme://host:port`` for exactly that server, whatever it is. HTTP always needs its host named,
because a web server can send FFmpeg on to any other address. An RTSP server can do so too, to other RTSP servers: where
that matters, name the hosts instead of allowing ``rtsp://``.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from streamer.errors import OptionError, SourceError
from streamer.sources.finding import is_address, local_path

CAMERA_SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "srt")
"""That may be allowed for any host."""

Resolve = Callable[[str], Sequence[str]]
"""The addresses of a host name, in figures; raises OSError."""


def resolve(host: str) -> list[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


def check_allowed(allow: Sequence[str]) -> None:
    """Raises `OptionError` for an entry that would allow more than it seems to."""
    for entry in allow:
        scheme, mark, rest = entry.partition("://")
        if mark and not rest.strip("/") and scheme.lower() not in CAMERA_SCHEMES:
            expected = f"{scheme}://HOST: only {', '.join(CAMERA_SCHEMES)} may be allowed for every host"
            raise OptionError("allow", entry, expected)
        if mark and "@" in rest:
            raise OptionError("allow", scheme + "://***", "a host without a user")


def admit(address: str, allow: Sequence[str], *, look_up: Resolve = resolve) -> None:
    """Returns where ``address`` may be opened. Raises `SourceError` that says what is allowed, and nothing else of this
    machine: whether a file exists is not told."""
    if any(letter < " " or letter == "\x7f" for letter in address):
        allowed = False
    elif is_address(address):
        allowed = _network_allowed(address, allow, look_up)
    else:
        allowed = _file_allowed(local_path(address), allow)
    if not allowed:
        kinds = ", ".join(allow) or "nothing"
        raise SourceError(address, "it may not be added here", f"allowed by the configuration: {kinds}")


def _file_allowed(path: Path, allow: Sequence[str]) -> bool:
    """Where it really lies, symbolic links followed."""
    try:
        real = path.resolve()
        folders = [Path(entry).resolve() for entry in allow if "://" not in entry]
    except (OSError, RuntimeError, ValueError):
        return False
    return any(real.is_relative_to(folder) for folder in folders) and real.is_file() and not _is_text(real)


def _is_text(path: Path) -> bool:
    """As playlists are, which name other files; no video or picture is."""
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return True
    return bool(head) and b"\0" not in head


def _network_allowed(address: str, allow: Sequence[str], look_up: Resolve) -> bool:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    scheme = parts.scheme.lower()
    if not host:
        return False
    for entry in allow:
        wanted = urlsplit(entry)
        if "://" not in entry or wanted.scheme.lower() != scheme:
            continue
        if wanted.hostname is None:
            if scheme in CAMERA_SCHEMES and _outside(host, look_up):
                return True
        elif wanted.hostname == host and (wanted.port is None or wanted.port == port):
            return True
    return False


def _outside(host: str, look_up: Resolve) -> bool:
    """Whether all its addresses are those of machines on a network, none this one."""
    try:
        found = [ipaddress.ip_address(address.split("%")[0]) for address in look_up(host)]
    except (OSError, ValueError, UnicodeError):
        return False
    own = _own_addresses()
    plain = [getattr(address, "ipv4_mapped", None) or address for address in found]
    return bool(plain) and not any(
        one.is_loopback or one.is_link_local or one.is_unspecified or one.is_multicast or one.is_reserved or one in own
        for one in plain
    )


def _own_addresses() -> frozenset[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """Of this machine's network interfaces."""
    found = set()
    for addresses in psutil.net_if_addrs().values():
        for one in addresses:
            with suppress(ValueError):
                found.add(ipaddress.ip_address(one.address.split("%")[0]))
    return frozenset(found)
