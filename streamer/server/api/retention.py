"""How long the past is kept, and what it takes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from streamer.errors import HistoryError
from streamer.server.api.answers import WITH_BODY, problems
from streamer.server.api.context import Context
from streamer.server.api.identity import Admin, Api
from streamer.server.api.models import Number
from streamer.server.parts import Part, Strict

router = APIRouter(prefix="/retention", tags=["history"])

Days = Annotated[Number, Field(ge=0, le=1e5)]
Gib = Annotated[Number, Field(ge=0.001, le=1e6)]


class RetentionPart(Part):
    keep_days: float = Field(description="Of results and their pictures")
    keep_gib: float = Field(description="Of pictures, clips and database together")
    keep_alert_days: float = Field(description="Of alerts with snapshot and clip")
    changed: bool = Field(description="Whether that is other than the configuration says")
    lasting: bool = Field(description="False where history and changes are kept for this run only")
    used_bytes: int = Field(description="Of pictures, clips and database together")
    free_bytes: int = Field(description="On the disk of pictures and clips")
    oldest: float | None = Field(description="Unix seconds of capture of the oldest result")


class RetentionChange(Strict):
    """Limits to change; those that are left out, or null, stay as they are."""

    keep_days: Days | None = None
    keep_gib: Gib | None = None
    keep_alert_days: Days | None = None


@router.get("", responses=problems())
def get_retention(api: Api, access: Admin) -> RetentionPart:
    """The limits, and how much there is."""
    return _part(api)


@router.patch("", responses=problems(507, *WITH_BODY))
def change_retention(api: Api, access: Admin, change: RetentionChange) -> RetentionPart:
    """Changes the limits that are given, and keeps that. What is beyond them goes within a minute or so, for good."""
    api.station.set_keep(replace(api.station.keep, **change.model_dump(exclude_none=True)))
    return _part(api)


def _part(api: Context) -> RetentionPart:
    station, keep = api.station, api.station.keep
    counts = station.history.counts()
    try:
        free = shutil.disk_usage(station.history.folder).free
    except OSError as error:
        raise HistoryError(station.history.folder, error.strerror or str(error), "is its disk there?") from error
    return RetentionPart(
        keep_days=keep.keep_days,
        keep_gib=keep.keep_gib,
        keep_alert_days=keep.keep_alert_days,
        changed=keep != station.configuration.keep,
        lasting=station.configuration.data is not None,
        used_bytes=counts.picture_bytes + counts.clip_bytes + counts.database_bytes,
        free_bytes=free,
        oldest=counts.oldest,
    )
