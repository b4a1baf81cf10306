"""One WebSocket from its handshake to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from streamer.errors import OptionError, StreamerError
from streamer.server import guard, protocol
from streamer.server.access import EVERYTHING, Tokens

if TYPE_CHECKING:
    from streamer.server.api.limits import Attempts
    from streamer.server.hub import Hub, Viewer
    from streamer.server.outbox import Outbox

log = logging.getLogger(__name__)

AUTH_SECONDS = 5.0
CLOSE_SECONDS = 1.0
TOKEN_SECONDS = 1.0
"""How often a viewer's token is looked at again: it may have been removed."""
TOKEN_NEEDED, TOO_SLOW = 4401, 4408
TRY_LATER = 1013


async def serve(
    socket: WebSocket, hub: Hub, *, tokens: Tokens, open_locally: bool, attempts: Attempts | None = None
) -> None:
    """Follows one viewer until it leaves, is too slow, or the server ends. ``open_locally``: no token is needed.
    ``attempts``: wrong tokens by address, beyond which an address has to wait."""
    if not _welcome(socket, open_locally=open_locally):
        await socket.close()
        return
    await socket.accept()
    address = socket.client.host if socket.client else ""
    token = "" if open_locally else await _shown(socket)
    try:
        access = EVERYTHING if open_locally else await asyncio.to_thread(tokens.find, token) if token else None
    except StreamerError:  # they are kept in a file, which may be damaged
        await _close(socket, TRY_LATER, "tokens cannot be read at the moment")
        return
    if access is None:
        await _send_away(socket, token, attempts, address)
        return
    try:
        viewer = hub.enter(access, token_needed=not open_locally)
    except OptionError as error:
        await _close(socket, TRY_LATER, str(error))
        return
    try:
        await _converse(socket, hub, viewer, None if open_locally else lambda: tokens.find(token) == access)
    finally:
        hub.leave(viewer)


def _welcome(socket: WebSocket, *, open_locally: bool) -> bool:
    near = socket.client is not None and guard.is_loopback(socket.client.host)
    origin, host = socket.headers.get("origin"), socket.headers.get("host")
    return guard.origin_allowed(origin, host, trusted=near or not open_locally)


async def _send_away(socket: WebSocket, token: str, attempts: Attempts | None, address: str) -> None:
    """A token that is wrong counts; a right one passes however many wrong ones came from its address."""
    now = time.monotonic()
    if token and attempts is not None:
        if attempts.wait(address, now):
            await _close(socket, TRY_LATER, "too many wrong tokens: try again in a minute")
            return
        attempts.note(address, now)
    await _close(socket, TOKEN_NEEDED, "this server needs its token")


async def _shown(socket: WebSocket) -> str:
    """The token in the first message, which has to come within five seconds; empty where none comes."""
    try:
        first = protocol.parse_asked(await asyncio.wait_for(_receive(socket), AUTH_SECONDS))
    except (TimeoutError, ValidationError, WebSocketDisconnect):
        return ""
    return first.token if isinstance(first, protocol.Auth) else ""


async def _converse(socket: WebSocket, hub: Hub, viewer: Viewer, still: Callable[[], bool] | None) -> None:
    """Reads and sends side by side until one of them ends; a viewer that does not read cannot hold up its own end.
    ``still()``: whether its token is good for the same as before; None where there is none."""
    expired = asyncio.Event()
    jobs = [
        asyncio.create_task(_read(socket, hub, viewer)),
        asyncio.create_task(_send(socket, viewer.outbox)),
        asyncio.create_task(viewer.outbox.overflowed.wait()),
        *([] if still is None else [asyncio.create_task(_watch_token(still, expired))]),
    ]
    try:
        await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for job in jobs:
            job.cancel()
        ends = await asyncio.gather(*jobs, return_exceptions=True)
    if viewer.outbox.overflowed.is_set():
        await _close(socket, TOO_SLOW, "too slow: connect again for a snapshot")
    if expired.is_set():
        await _close(socket, TOKEN_NEEDED, "this token is good for nothing any more")
    for end in ends:
        if isinstance(end, Exception) and not isinstance(end, WebSocketDisconnect):
            raise end


async def _watch_token(still: Callable[[], bool], expired: asyncio.Event) -> None:
    good = True
    while good:
        with contextlib.suppress(StreamerError):  # it cannot be told at the moment: nothing has changed so far
            good = await asyncio.to_thread(still)
        await asyncio.sleep(TOKEN_SECONDS if good else 0)
    expired.set()


async def _read(socket: WebSocket, hub: Hub, viewer: Viewer) -> None:
    while True:
        await hub.handle(viewer, await _receive(socket))


async def _receive(socket: WebSocket) -> str | bytes:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text: str | bytes | None = message.get("text")
    return message["bytes"] if text is None else text


async def _send(socket: WebSocket, outbox: Outbox) -> None:
    while True:
        await outbox.wait()
        while (message := outbox.take()) is not None:
            try:
                await (socket.send_text(message) if isinstance(message, str) else socket.send_bytes(message))
            except RuntimeError as error:  # uvicorn has closed it meanwhile, for a message that was too large
                raise WebSocketDisconnect(1006) from error


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    """Closes, but does not wait long for a viewer that does not read."""
    with contextlib.suppress(TimeoutError, RuntimeError, WebSocketDisconnect):
        await asyncio.wait_for(socket.close(code, reason[:120]), CLOSE_SECONDS)
