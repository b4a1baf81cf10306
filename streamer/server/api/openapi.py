"""The OpenAPI document, made of the routes themselves."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi

from streamer.server.api.answers import problems
from streamer.server.api.context import ROOT, version
from streamer.server.api.gate import METRICS, READY
from streamer.server.api.identity import Api, Viewer
from streamer.server.api.models import Problem
from streamer.server.api.problems import Json

router = APIRouter(tags=["server"])

_WORDS = """What the live job of streamer does over HTTP.

Every error is a document of `application/problem+json`. A server that others can reach wants a token of role `viewer`
or `admin` as `Authorization: Bearer`; with a token of some streams, all others do not exist. Names in addresses are
percent-encoded, a slash in them as `%2F`. Times are Unix seconds."""


@router.get("/openapi.json", responses=problems(), response_class=Json)
def get_document(api: Api, access: Viewer, request: Request) -> dict[str, Any]:
    """This document."""
    if api.document is None:  # making it takes a while
        api.document = document_of(request.app)
    return api.document


def document_of(app: FastAPI) -> dict[str, Any]:
    """Of the interface alone: what else the application serves is for the page."""
    document = get_openapi(title="streamer", version=version(), description=_WORDS, routes=app.routes)
    ours = (ROOT, READY, METRICS)
    document["paths"] = {path: item for path, item in document["paths"].items() if path.startswith(ours)}
    for item in document["paths"].values():
        for operation in item.values():
            if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                del operation["responses"]["422"]  # FastAPI's own guess: any text is a name
    components = document["components"]
    for name in ("HTTPValidationError", "ValidationError"):  # ours are problems
        components["schemas"].pop(name, None)
    components["schemas"]["Problem"] = Problem.model_json_schema()
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}, {}]
    return document
