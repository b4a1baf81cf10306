"""The HTTP interface of a live job: ``/api/v1``, ``/readyz`` and ``/metrics``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import APIRouter

from streamer.server.api import (
    alerts,
    analyze,
    channels,
    comparisons,
    corrections,
    excerpts,
    health,
    history,
    jobs,
    media,
    openapi,
    probes,
    problems,
    retention,
    rules,
    server,
    streams,
    tasks,
)
from streamer.server.api.context import ROOT, Context
from streamer.server.api.gate import Gate
from streamer.server.api.limits import Limits
from streamer.server.metrics import Metrics

if TYPE_CHECKING:
    from fastapi import FastAPI

    from streamer.server.access import Tokens
    from streamer.station import Station

__all__ = ["ROOT", "Limits", "install"]


def install(
    app: FastAPI,
    station: Station,
    tokens: Tokens,
    *,
    open_locally: bool,
    viewers: Callable[[], int] | None = None,
    limits: Limits | None = None,
) -> None:
    """Adds the interface's routes, errors and middleware to ``app``, before it serves anything.

    ``open_locally``: who asks from this machine needs no token. ``viewers()``: how many are connected, for the metrics.
    Middleware that is added after this one, such as that of the safety headers, stands before it.
    """
    metrics = Metrics(station, viewers=viewers)
    context = Context(station, tokens, metrics, open_locally, limits or Limits())
    app.state.api = context
    app.router.redirect_slashes = False
    routes = APIRouter(prefix=ROOT, default_response_class=problems.Json)
    parts = (
        streams,
        comparisons,
        probes,
        tasks,
        rules,
        alerts,
        history,
        excerpts,
        retention,
        corrections,
        media,
        channels,
        analyze,
        jobs,
        server,
        openapi,
    )
    for part in parts:
        routes.include_router(part.router)
    app.include_router(routes)
    app.include_router(health.router)
    problems.install(app)
    app.add_middleware(Gate, context=context)
