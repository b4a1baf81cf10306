"""The web application: the page, its files, and the WebSocket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import FastAPI, WebSocket
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers, MutableHeaders
from starlette.websockets import WebSocketClose

from streamer.server import api, guard, session

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from streamer.server.access import Tokens
    from streamer.server.hub import Hub
    from streamer.station import Station

STATIC = Path(__file__).parent / "static"


def create_app(
    hub: Hub,
    *,
    tokens: Tokens,
    open_locally: bool,
    host_names: frozenset[str] = frozenset(),
    station: Station | None = None,
    viewers: Callable[[], int] = lambda: 0,
) -> FastAPI:
    """The application on an open hub. ``tokens``: one of which must be shown unless ``open_locally``; ``host_names``:
    names (lower case) besides ``localhost`` and addresses in figures under which the server may be asked; ``station``:
    what the HTTP interface is about, without which there is none; ``viewers()``: how many are connected."""
    app = FastAPI(title="streamer", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/")
    async def page() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    @app.get("/healthz")
    async def health() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    @app.websocket("/ws")
    async def viewer(socket: WebSocket) -> None:
        attempts = None if station is None else app.state.api.attempts
        await session.serve(socket, hub, tokens=tokens, open_locally=open_locally, attempts=attempts)

    if station is not None:
        api.install(app, station, tokens, open_locally=open_locally, viewers=viewers)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(Doorkeeper, host_names=host_names)
    return app


class Doorkeeper:
    """Turns away requests for other host names, and puts the safety headers on every answer."""

    def __init__(self, app: ASGIApp, host_names: frozenset[str]) -> None:
        self._app, self._host_names = app, host_names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if guard.host_allowed(Headers(scope=scope).get("host"), self._host_names):
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "http":
            refusal = PlainTextResponse("This server does not answer to that host name.\n", status_code=421)
            await refusal(scope, receive, _with_headers(send))
        else:
            await WebSocketClose()(scope, receive, send)


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in guard.HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers
