"""Whether it works, and in numbers how well."""

from __future__ import annotations

from fastapi import APIRouter, Response

from streamer.server.api.answers import file, problems
from streamer.server.api.identity import Api, Viewer
from streamer.server.api.models import Ready
from streamer.server.api.problems import Refused
from streamer.server.metrics import CONTENT_TYPE

router = APIRouter(tags=["server"])


@router.get("/readyz", responses=problems(503), openapi_extra={"security": []})
def get_readiness(api: Api) -> Ready:
    """Whether the model answers and the history takes what it is given. Needs no token, and tells no more."""
    faults = []
    if not api.station.monitor.busy:
        faults.append("the model thread has ended")
    elif (fault := api.station.monitor.model.fault) is not None:
        faults.append(f"the model cannot answer: {fault}")
    if api.station.history.fault is not None:
        faults.append("the history does not take all that it is given")
    if faults:
        raise Refused(503, " and ".join(faults), headers={"retry-after": "5"})
    return Ready()


@router.get(
    "/metrics",
    response_class=Response,
    responses={**problems(), **file("text/plain", "The text format of Prometheus")},
)
def get_metrics(api: Api, access: Viewer) -> Response:
    """For Prometheus. A token of some streams gets the numbers of these alone."""
    return Response(api.metrics.render(access), headers={"content-type": CONTENT_TYPE})
