"""A source is looked at before it is added."""

from __future__ import annotations

import base64
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from streamer.admission import admit
from streamer.server.api.answers import WITH_BODY, problems
from streamer.server.api.identity import Admin, Api
from streamer.server.api.models import Flag
from streamer.server.api.problems import Refused
from streamer.server.parts import Part, Strict

router = APIRouter(prefix="/probes", tags=["streams"])


class Probe(Strict):
    """A source to look at."""

    address: Annotated[str, Field(min_length=1, max_length=2000, repr=False)]
    udp: Flag = Field(default=False, description="RTSP over UDP instead of TCP")


class ProbePart(Part):
    """What it is, and its first picture."""

    width: int = Field(description="Of the upright source picture")
    height: int
    codec: str
    fps: float | None = Field(description="Pictures a second as the source says; null where it says nothing sensible")
    picture: str = Field(description="A JPEG in base64, at most 640 pixels wide", json_schema_extra={"format": "byte"})


@router.post("", responses=problems(*WITH_BODY))
def probe_source(api: Api, access: Admin, probe: Probe) -> ProbePart:
    """Opens a source as adding it would, waits some seconds for its first picture and closes it again.

    Only what may be added may be looked at. Where there is no picture, the problem says why. At most two at once.
    """
    admit(probe.address, api.station.configuration.allow)
    look = api.probes.look(probe.address, udp=probe.udp)
    if look is None:
        raise Refused(429, "enough sources are being looked at", headers={"retry-after": "5"})
    width, height = look.info.size
    return ProbePart(
        width=width,
        height=height,
        codec=look.info.codec,
        fps=None if look.info.rate is None else round(look.info.rate, 3),
        picture=base64.b64encode(look.jpeg).decode("ascii"),
    )
