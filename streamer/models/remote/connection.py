"""HTTP to one server: a pool of connections, whole-request timeouts, and what went wrong in words without secrets."""

from __future__ import annotations

import asyncio
import functools
import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from streamer.models.remote.options import KEY_ENV
from streamer.models.remote.retrying import retry_after_seconds
from streamer.secret import Secret

MAX_BODY_BYTES = 4 * 1024 * 1024
"""Of an answer; the longest that `Request` allows is a hundredth of it."""
CONNECT_SECONDS = 5.0
_SHOWN = 300
"""Characters of a server's own words in an error."""
_PICTURE = re.compile(r"data:[\w/+.-]*;base64,[A-Za-z0-9+/=]*|[A-Za-z0-9+/=]{80,}")
_BUSY = frozenset({408, 425, 429, 503})
_MODEL_ENDED = frozenset({404, 410})


class Fault(Exception):
    """A request that failed at one server."""

    def __init__(
        self,
        reason: str,
        *,
        remedy: str = "",
        retry: bool = True,
        sick: bool = True,
        ended: bool = False,
        after_seconds: float | None = None,
    ) -> None:
        """``retry``: another attempt may help. ``sick``: it speaks against the server. ``ended``: the server did
        nothing, and can do nothing now. ``after_seconds``: when it wants to be asked again."""
        super().__init__(reason)
        self.reason, self.remedy, self.after_seconds = reason, remedy, after_seconds
        self.retry, self.sick, self.ended = retry, sick, ended


@dataclass(frozen=True, slots=True)
class Listed:
    """A model that a server names."""

    owner: str = ""
    """``owned_by``: tells servers apart (``vllm``, ``llamacpp``, ``sglang``, ``library`` of Ollama)."""
    root: str = ""
    """What it was loaded from, where the server says so."""


class Connection:
    """Asks one server. Used on one event loop."""

    def __init__(self, url: str, key: Secret | None, at_once: int) -> None:
        """``url``: the base, such as ``http://gpu:8000/v1``; ``at_once`` requests and two for health."""
        self.url = url
        self._key = key
        headers = {} if key is None else {"Authorization": f"Bearer {key.reveal()}"}
        limits = httpx.Limits(max_connections=at_once + 2, max_keepalive_connections=at_once + 2)
        self._client = httpx.AsyncClient(
            headers=headers,
            limits=limits,
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            verify=_tls(),
        )

    async def models(self, timeout_seconds: float) -> dict[str, Listed]:
        """The models it has, by their names. Raises `Fault`."""
        document = await self._ask("GET", "/models", None, timeout_seconds)
        try:
            return {
                str(one["id"]): Listed(str(one.get("owned_by") or ""), str(one.get("root") or ""))
                for one in document["data"]
            }
        except (KeyError, TypeError, AttributeError):
            raise Fault("its list of models is none", remedy="is the address right? it ends in /v1") from None

    async def complete(self, body: Mapping[str, Any], timeout_seconds: float) -> dict[str, Any]:
        """The answer to a chat completion, as the server wrote it. Raises `Fault`."""
        return await self._ask("POST", "/chat/completions", body, timeout_seconds)

    async def close(self) -> None:
        await self._client.aclose()

    async def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None, timeout_seconds: float
    ) -> dict[str, Any]:
        try:
            async with asyncio.timeout(timeout_seconds):
                status, headers, data = await self._exchange(method, path, body)
        except TimeoutError:
            raise Fault(f"no answer within {timeout_seconds:.3g} s") from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Fault(f"it cannot be reached ({_kind(error)})", remedy="does it run?", ended=True) from None
        except httpx.HTTPError as error:
            raise Fault(f"the connection broke ({_kind(error)})") from None
        if status != httpx.codes.OK:
            raise self._refusal(status, headers, data)
        return _document(data)

    async def _exchange(
        self, method: str, path: str, body: Mapping[str, Any] | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        content = None if body is None else json.dumps(body).encode("ascii")  # a lone surrogate stays an escape
        headers = {"Content-Type": "application/json"}
        async with self._client.stream(method, self.url + path, content=content, headers=headers) as response:
            data = b""
            async for chunk in response.aiter_bytes():
                data += chunk
                if len(data) > MAX_BODY_BYTES:
                    raise Fault("its answer has no end")
            return response.status_code, response.headers, data

    def _refusal(self, status: int, headers: Mapping[str, str], data: bytes) -> Fault:
        said = self._said(data)
        reason = f"it answers {status}" + (f": {said}" if said else "")
        if status in (401, 403):
            return Fault(reason, remedy=f"set {KEY_ENV} to a key that it takes", retry=False, sick=False)
        if status in _MODEL_ENDED:
            return Fault(reason, remedy="does it still have the model?", ended=True)
        if status in _BUSY:
            after = retry_after_seconds(headers.get("Retry-After"))
            starting = status == httpx.codes.SERVICE_UNAVAILABLE and after is None  # llama.cpp while it loads a model
            return Fault(reason, sick=starting, after_seconds=after)
        if status >= 500:
            return Fault(reason)
        if status < 400:
            return Fault(reason, remedy="is the address right? it ends in /v1", retry=False)
        return Fault(reason, retry=False, sick=False)

    def _said(self, data: bytes) -> str:
        """The server's own words, without the key and without pictures that it may repeat."""
        text = data[:65_536].decode("utf-8", "replace")
        try:
            document = json.loads(text)
            found = document.get("error", document) if isinstance(document, dict) else document
            if isinstance(found, dict):
                found = found.get("message") or found.get("detail") or ""
            text = found if isinstance(found, str) else json.dumps(found)
        except ValueError:
            text = "" if "<html" in text.lower() else text
        if self._key is not None:
            text = text.replace(self._key.reveal(), "***")
        return " ".join(_PICTURE.sub("[data]", text).split())[:_SHOWN]


@functools.cache
def _tls() -> ssl.SSLContext:
    """One for all servers: reading the certificates takes longer than asking."""
    return httpx.create_ssl_context()


def _document(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise Fault("its answer is no JSON") from None
    if not isinstance(document, dict):
        raise Fault("its answer is no JSON object")
    return document


def _kind(error: httpx.HTTPError) -> str:
    """What the network said; httpx's own words name addresses at most."""
    return str(error) or type(error).__name__
