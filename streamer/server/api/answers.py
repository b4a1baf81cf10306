"""What routes say of their answers in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from streamer.server.api.problems import MEDIA_TYPE

Responses = dict[int | str, dict[str, Any]]

_WORDS = {
    400: "The request cannot be read",
    401: "A token is needed, or it is good for nothing",
    403: "Not with this role, or not from a page of another origin",
    404: "Unknown, or not to be seen with this token",
    408: "The body did not come in time",
    409: "There is one of that name already, or no room for it",
    413: "The body is too large",
    415: "The body is declared as something else than it has to be",
    416: "The file has no such part",
    422: "A value cannot be used; `field` says which",
    429: "Too many requests; `Retry-After` says when to come again",
    500: "A fault of the server",
    503: "History or model cannot be used now",
    504: "The model did not answer in time",
    507: "What is to be kept cannot be written",
}
_ALWAYS = (401, 403, 429, 500, 503)
WITH_BODY = (400, 408, 413, 415, 422)


def problems(*statuses: int) -> Responses:
    """The errors that every route may answer with, and these."""
    return {
        status: {"description": _WORDS[status], "content": {MEDIA_TYPE: {"schema": PROBLEM}}}
        for status in sorted({*_ALWAYS, *statuses})
    }


PROBLEM = {"$ref": "#/components/schemas/Problem"}


def file(media_type: str, words: str) -> Responses:
    """An answer that is no JSON."""
    return {200: {"description": words, "content": {media_type: {}}}}
