"""Who may talk to the server: names it answers to, pages it trusts, the token. Values in, values out.

A page from elsewhere could open a WebSocket to this machine, and a hostile name could be made to resolve to it; the
checks of Origin and Host stop both. The token is for servers that others can reach.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from streamer.errors import OptionError

CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: Mapping[str, str] = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-cache",
}

SHORTEST_TOKEN = 16
_HOST_NAME = re.compile(r"[A-Za-z0-9_.:\-\[\]]{1,253}")


def check_access(host: str, host_names: Sequence[str], token: str | None) -> bool:
    """Whether only programs of this machine can ask the server. Raises `OptionError` for names that are none, and for a
    token that is too short where others can."""
    for name in host_names:
        if not _HOST_NAME.fullmatch(name):
            raise OptionError("host name", name, "a name as in an address, without http:// and port")
    near = is_loopback(host) and all(map(is_loopback, host_names))
    if token is not None and len(token) < SHORTEST_TOKEN and not near:
        raise OptionError("token", "***", f"at least {SHORTEST_TOKEN} letters where others can reach the server")
    return near


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach that address (``localhost`` counts)."""
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def host_allowed(header: str | None, names: frozenset[str]) -> bool:
    """Whether a Host header names this server: an address in figures, ``localhost``, or one of ``names``.

    A page that rebinds its own name to this machine's address sends that name, which is none of these.
    """
    host = _host(f"http://{header}") if header and "@" not in header else None
    return host is not None and (host == "localhost" or host in names or _address(host) is not None)


def origin_allowed(origin: str | None, host_header: str | None, *, trusted: bool) -> bool:
    """Whether a WebSocket may be opened by that Origin: the page's own host and port. Programs send no Origin; they
    are let in where ``trusted`` (they run on this machine, or will have to show the token)."""
    if origin is None:
        return trusted
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    default = {"http": 80, "https": 443}.get(parts.scheme)
    if default is None or parts.hostname is None or host_header is None:
        return False
    own = _host_and_port(f"{parts.scheme}://{host_header}", default)
    return own == (parts.hostname.lower(), port or default)


def new_token() -> str:
    return secrets.token_urlsafe(24)


def same_token(given: str, wanted: str) -> bool:
    """Compares in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode("utf-8", "surrogatepass"))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _host(url: str) -> str | None:
    pair = _host_and_port(url, 0)
    return pair[0] if pair else None


def _host_and_port(url: str, default: int) -> tuple[str, int] | None:
    try:
        parts = urlsplit(url)
        return (parts.hostname.lower(), parts.port or default) if parts.hostname else None
    except ValueError:
        return None
