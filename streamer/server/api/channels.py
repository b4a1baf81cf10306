"""Channels: how they do, and what did not get through."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from streamer.notify.base import Notice
from streamer.server.api.answers import WITH_BODY, problems
from streamer.server.api.context import Context
from streamer.server.api.identity import Admin, Api
from streamer.server.api.models import AlertPart, ChannelList, ChannelPart, DeadNotice, DeadNotices, Replay, Replayed
from streamer.server.api.names import Name
from streamer.server.api.problems import unknown
from streamer.server.parts import Strict

router = APIRouter(prefix="/channels", tags=["channels"])

MAX_NOTICES = 1000


class DeadFilters(Strict):
    limit: int = Field(default=100, ge=1, le=MAX_NOTICES)


@router.get("", responses=problems())
def list_channels(api: Api, access: Admin) -> ChannelList:
    """All channels of the configuration."""
    return ChannelList(channels=tuple(map(ChannelPart.model_validate, api.station.delivery.status())))


@router.get("/{channel}/dead", responses=problems(404, 422))
def list_dead_notices(api: Api, access: Admin, channel: Name, filters: Annotated[DeadFilters, Query()]) -> DeadNotices:
    """Notices that are not tried any more, newest first."""
    _check(api, channel)
    dead = api.station.history.dead_notices(channel, filters.limit)
    return DeadNotices(notices=tuple(map(_part, dead)))


@router.post("/{channel}/replay", responses=problems(404, *WITH_BODY))
def replay_notices(api: Api, access: Admin, channel: Name, replay: Replay) -> Replayed:
    """Tries dead notices again."""
    _check(api, channel)
    dead = [notice.id for notice in api.station.history.dead_notices(channel, MAX_NOTICES)]
    wanted = dead if replay.ids is None else sorted(set(dead).intersection(replay.ids))
    return Replayed(replayed=api.station.delivery.replay(wanted))


def _check(api: Context, channel: str) -> None:
    if channel not in api.station.delivery.channels:
        raise unknown()


def _part(notice: Notice) -> DeadNotice:
    return DeadNotice(
        id=notice.id,
        alert=notice.alert,
        revision=notice.revision,
        attempts=notice.attempts,
        error=notice.error,
        document=AlertPart.model_validate(notice.document),
    )
