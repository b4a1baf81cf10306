"""Names in paths: a stream may be called ``a/b``, which stands there as ``a%2Fb``.

Servers decode a path before it is cut at its slashes, and what was one name is two then. So those two signs stay
encoded until a route has its names.
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import Path
from pydantic import BeforeValidator

_KEPT = re.compile(rb"%(2f|25)", re.IGNORECASE)


def routed(raw_path: bytes) -> str:
    """The path as routes take it: all is decoded but ``%2F`` and ``%25``.

    >>> routed(b"/streams/a%2Fb%20c")
    '/streams/a%2Fb c'
    """
    return unquote(_KEPT.sub(lambda found: b"%25" + found[1].upper(), raw_path).decode("latin-1"))


def name_of(part: str) -> str:
    """The name that a part of such a path is.

    >>> name_of("a%2Fb c")
    'a/b c'
    """
    return part.replace("%2F", "/").replace("%25", "%")


def quoted(name: str) -> str:
    """The name as it stands in an address."""
    return quote(name, safe="")


Name = Annotated[str, BeforeValidator(name_of), Path(description="Percent-encoded, a slash in it as %2F")]
