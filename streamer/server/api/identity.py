"""Who asks, what he may do, and which streams he may know of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, cast

from fastapi import Depends, Request

from streamer.errors import OptionError
from streamer.server.access import Access
from streamer.server.api.context import Context
from streamer.server.api.names import Name
from streamer.server.api.problems import Refused, unknown

SCOPE_KEY = "streamer.access"
"""Where the gate puts it."""


async def _context(request: Request) -> Context:
    return cast("Context", request.app.state.api)


async def _viewer(request: Request) -> Access:
    return cast("Access", request.scope[SCOPE_KEY])


Api = Annotated[Context, Depends(_context)]
Viewer = Annotated[Access, Depends(_viewer)]
"""Whoever is let in at all."""


async def _admin(access: Viewer) -> Access:
    if not access.admin:
        raise Refused(403, "this needs a token of an admin")
    return access


Admin = Annotated[Access, Depends(_admin)]


async def _stream(stream: Name, access: Viewer, api: Api) -> str:
    return _known(stream, access, api)


async def _managed_stream(access: Admin, stream: Name, api: Api) -> str:
    return _known(stream, access, api)


SeenStream = Annotated[str, Depends(_stream)]
"""A stream that runs and may be seen; any other is answered with 404."""
ManagedStream = Annotated[str, Depends(_managed_stream)]
"""The same for an admin; others are refused before the name is looked at."""


def _known(stream: str, access: Access, api: Context) -> str:
    if not access.sees(stream):
        raise unknown()
    try:
        api.station.monitor.status(stream)
    except OptionError:
        raise unknown() from None
    return stream


def running(api: Context) -> list[str]:
    """Names of all streams."""
    return [status.name for status in api.station.monitor.statuses()]


def visible(api: Context, access: Access, wanted: Sequence[str] = ()) -> list[str] | None:
    """The streams to look for, of those ``wanted`` or of all; None for all without exception."""
    if wanted:
        return [stream for stream in wanted if access.sees(stream)]
    if not access.streams:
        return None
    seen = access.seen(sorted({*running(api), *api.station.history.streams()}))
    return None if seen is None else list(seen)
