"""Errors as answers: RFC 9457 documents, the same for our own refusals and for those of the framework.

What a person sent is never quoted, since it may be a secret, and of an unknown exception nothing is told at all.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from streamer.errors import HistoryError, ModelError, OptionError, OutputError, SourceError, StreamerError
from streamer.server.faults import words_for

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
UNKNOWN = "there is no such thing here, or it is not for you to see"
FAULT = "a fault of the server; its log says more"
HISTORY = "the history cannot be read or written now; the server's log says why"
_NAMED = ("stream", "rule", "alert", "picture", "clip", "channel", "result", "job")
"""Options whose value names something; their errors' own words may name others."""


class Refused(HTTPException):
    """The request is answered with ``status`` and the reason ``detail``; ``field``: what of it was wrong."""

    def __init__(
        self, status: int, detail: str, *, field: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, detail, headers)
        self.field = field


def unknown() -> Refused:
    """The same for what is not there and for what may not be seen."""
    return Refused(404, UNKNOWN)


def problem(
    status: int, detail: str | None = None, *, field: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """The document, with ``headers`` beside its own. ``detail`` None: what the status means in general."""
    phrase, description = _meaning(status)
    values: dict[str, Any] = {"type": "about:blank", "title": phrase, "status": status, "detail": detail or description}
    if field:
        values["field"] = field
    own = {name: value for name, value in (headers or {}).items() if name.lower() not in _OF_BODY}
    return Json(values, status_code=status, headers=own, media_type=MEDIA_TYPE)


def refused(error: StreamerError) -> Refused:
    """The answer to an error of ours, without values, paths and addresses."""
    match error:
        case OptionError(option=option) if option in _NAMED:
            return unknown()
        case OptionError(option=option, expected=expected):
            return Refused(422, f"expected {expected}", field=option)
        case SourceError(reason=reason, remedy=remedy):
            return Refused(422, f"{reason} ({remedy})" if remedy else reason, field="address")
        case HistoryError():
            return Refused(503, HISTORY, headers={"retry-after": "5"})
        case ModelError(reason=reason, remedy=remedy):
            return Refused(503, f"{reason} ({remedy})" if remedy else reason, headers={"retry-after": "5"})
        case OutputError(reason=reason):
            return Refused(507, reason)
    return Refused(500, FAULT)


def note(error: BaseException, method: str, path: str) -> None:
    """Logs an error that nobody expected by its kind and its place: its own words may hold secrets."""
    place = "".join(traceback.format_tb(error.__traceback__)[-4:])
    log.error("%s %r: %s\n%s", method, path, type(error).__name__, place.rstrip())


def install(app: FastAPI) -> None:
    """From now on all errors of ``app`` are such documents."""
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(StreamerError, _on_streamer)
    app.add_exception_handler(Exception, _on_any)


class Json(JSONResponse):
    """JSON whatever is in it: a lone surrogate stays escaped, a number that JSON cannot say is null."""

    def render(self, content: Any) -> bytes:
        return encoded(content)


def encoded(content: Any) -> bytes:
    """The value as JSON in UTF-8, all of it: see `Json`."""
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(content), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


_OF_BODY = ("content-length", "content-type", "transfer-encoding", "content-encoding")


def _meaning(status: int) -> tuple[str, str]:
    try:
        found = HTTPStatus(status)
    except ValueError:
        return "Error", ""
    return found.phrase, found.description or found.phrase


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    own = isinstance(error, Refused)
    detail = error.detail if own else UNKNOWN if error.status_code == 404 else None
    field = error.field if isinstance(error, Refused) else None
    return problem(error.status_code, detail, field=field, headers=error.headers)


async def _on_validation(request: Request, error: Exception) -> Response:
    """Says what is wrong with the first field that is, without its value."""
    assert isinstance(error, RequestValidationError)
    fault = error.errors()[0]
    if fault["type"] == "json_invalid":
        return problem(400, "the body is not JSON")
    place = ".".join(str(part) for part in fault["loc"] if part not in ("body", "query", "path"))
    return problem(422, words_for(fault), field=place or "body")


async def _on_streamer(request: Request, error: Exception) -> Response:
    assert isinstance(error, StreamerError)
    answer = refused(error)
    if answer.status_code >= 500:
        log.warning("%s %r: %s", request.method, request.url.path, error)
    return problem(answer.status_code, answer.detail, field=answer.field, headers=answer.headers)


async def _on_any(request: Request, error: Exception) -> Response:
    return problem(500, FAULT)
