"""What every request passes before a route sees it: token, Origin, rates, and the kind and size of its body."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from streamer.errors import OptionError
from streamer.server import guard
from streamer.server.access import EVERYTHING, Access
from streamer.server.api import problems
from streamer.server.api.context import ROOT, Context
from streamer.server.api.identity import SCOPE_KEY
from streamer.server.api.limits import network
from streamer.server.api.names import routed
from streamer.server.api.problems import Refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

READY, METRICS = "/readyz", "/metrics"
ANALYZE = f"{ROOT}/analyze"
JOBS = f"{ROOT}/jobs"
PICTURES = ("image/jpeg", "image/png", "image/webp")
BYTES = "application/octet-stream"
"""How files have to be declared whose kind is found out here."""
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_MAX_TOKEN = 200


@dataclass(frozen=True, slots=True)
class Body:
    """What the body of a request may be."""

    kinds: tuple[str, ...]
    most: int
    """Bytes."""
    seconds: float
    """In which it has to have come."""
    pause: bool = False
    """The seconds are those between two pieces of it, and there is no end to them together: it is large."""


class Gate:
    """Middleware before ``/api``, ``/metrics`` and ``/readyz``; everything else passes untouched."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app, self._context = app, context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _guarded(scope["path"]):
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        try:
            await self._pass(scope, receive, answer.send)
        except Refused as refusal:
            await answer.refuse(refusal, scope, receive)
        except Exception as error:  # noqa: BLE001 - whatever it was, nothing of it is told
            problems.note(error, scope["method"], scope["path"])
            await answer.refuse(Refused(500, problems.FAULT), scope, receive)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, host = Headers(scope=scope), (scope.get("client") or ("", 0))[0]
        client = f"address {network(host)}"
        if scope["path"] != READY:
            try:
                access, shown = await self._access(headers, host)
            except Refused:
                self._check_rate(client)
                raise
            client = f"token {access.name}" if shown else client
            scope[SCOPE_KEY] = access
        self._check_rate(client)
        _check_origin(scope["method"], headers)
        body = _check_body(scope, headers, self._context)
        scope["path"] = routed(scope.get("raw_path") or scope["path"].encode())
        with self._context.at_once.taken(client) as free:
            if not free:
                raise Refused(429, "too many requests at once", headers={"retry-after": "1"})
            await self._app(scope, _Bounded(receive, body), send)

    async def _access(self, headers: Headers, host: str) -> tuple[Access, bool]:
        """What the token is good for; whether there was one."""
        token = _bearer(headers)
        if token is None:
            if self._context.open_locally and guard.is_loopback(host):
                return EVERYTHING, False
            raise Refused(401, "this server needs a token", headers={"www-authenticate": 'Bearer realm="streamer"'})
        address, now = network(host), time.monotonic()
        try:
            access = await asyncio.to_thread(self._context.tokens.find, token) if len(token) <= _MAX_TOKEN else None
        except OptionError as error:
            log.warning("tokens cannot be read: %s", error)
            raise Refused(503, "the tokens cannot be read now; the server's log says why") from None
        if access is None:  # a right one passes always: many people may share an address
            if wait := self._context.attempts.wait(address, now):
                raise _later("too many wrong tokens from this address", wait)
            self._context.attempts.note(address, now)
            challenge = 'Bearer realm="streamer", error="invalid_token"'
            raise Refused(401, "this token is good for nothing here", headers={"www-authenticate": challenge})
        return access, True

    def _check_rate(self, client: str) -> None:
        if wait := self._context.buckets.take(client, time.monotonic()):
            raise _later("too many requests", wait)


class _Answer:
    """Sends what comes, but any error that is no problem document as one."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._started = self._replaced = False

    async def send(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            headers = Headers(raw=message["headers"])
            if message["status"] >= 400 and headers.get("content-type") != problems.MEDIA_TYPE:
                self._replaced = True
                answer = problems.problem(message["status"], headers=dict(headers))
                self._started = True
                await answer({"type": "http", "method": "GET"}, _nothing, self._send)
                return
        self._started = True
        await self._send(message)

    async def refuse(self, refusal: Refused, scope: Scope, receive: Receive) -> None:
        """Where nothing was sent yet; else the answer stays cut off, which the server sees to."""
        if self._started:
            return
        answer = problems.problem(refusal.status_code, refusal.detail, field=refusal.field, headers=refusal.headers)
        await answer(scope, receive, self._send)


class _Bounded:
    """A body of at most so many bytes, which has to come in time, however it comes."""

    def __init__(self, receive: Receive, body: Body) -> None:
        self._receive, self._body = receive, body
        self._until = time.monotonic() + body.seconds
        self._size, self._whole = 0, False

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()
        if self._body.pause:
            self._until = time.monotonic() + self._body.seconds
        try:
            async with asyncio.timeout(max(0.0, self._until - time.monotonic())):
                message = await self._receive()
        except TimeoutError:
            raise Refused(408, "the body did not come in time", headers={"connection": "close"}) from None
        self._size += len(message.get("body", b""))
        if self._size > self._body.most:
            raise _too_large(self._body.most)
        self._whole = not message.get("more_body", False)
        return message


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _guarded(path: str) -> bool:
    """Rather too many: routes take a path with a line end behind it for the same."""
    return path.startswith(("/api", READY, METRICS))


def _bearer(headers: Headers) -> str | None:
    """The token; None where there is none of that kind."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _check_origin(method: str, headers: Headers) -> None:
    """Pages from elsewhere could have a browser change something here."""
    if method in SAFE_METHODS:
        return
    if not guard.origin_allowed(headers.get("origin"), headers.get("host"), trusted=True):
        raise Refused(403, "only the server's own page and programs may change something")


def _body_of(path: str, context: Context) -> Body:
    limits = context.limits
    if path == JOBS:
        return Body((BYTES,), context.station.jobs.options.upload_bytes, limits.upload_pause_seconds, pause=True)
    if path == ANALYZE:
        return Body(PICTURES, limits.picture_bytes, limits.body_seconds)
    return Body(("application/json",), limits.json_bytes, limits.body_seconds)


def _check_body(scope: Scope, headers: Headers, context: Context) -> Body:
    """What the body may be, and by its head it is."""
    body = _body_of(scope["path"], context)
    length = headers.get("content-length")
    if length in (None, "0") and "transfer-encoding" not in headers:
        return body
    if headers.get("content-type", "").partition(";")[0].strip().lower() not in body.kinds:
        raise Refused(415, "the body has to be declared as " + " or ".join(body.kinds))
    if length is not None and length.isdecimal() and int(length) > body.most:
        raise _too_large(body.most)
    return body


def _too_large(most: int) -> Refused:
    return Refused(413, f"a body may have {most} bytes", headers={"connection": "close"})


def _later(detail: str, wait: float) -> Refused:
    return Refused(429, detail, headers={"retry-after": str(max(1, math.ceil(wait)))})
