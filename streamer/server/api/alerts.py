"""Alerts: what happened, and who took note of it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from streamer.alerts import Alert
from streamer.server.access import Access
from streamer.server.api.answers import problems
from streamer.server.api.context import Context
from streamer.server.api.cursors import alert_cursor, cursor_of
from streamer.server.api.identity import Api, Viewer, visible
from streamer.server.api.models import AlertLife, AlertPage, AlertPart, Pattern
from streamer.server.api.names import Name
from streamer.server.api.problems import unknown
from streamer.server.api.rule_models import Moment
from streamer.server.parts import Strict

router = APIRouter(prefix="/alerts", tags=["alerts"])

Cursor = Annotated[str, Field(max_length=400, description="The next of the page before")]


class AlertFilters(Strict):
    stream: list[Pattern] = Field(default_factory=list, max_length=64, description="Names, not patterns")
    rule: Pattern | None = None
    since: Moment | None = None
    until: Moment | None = None
    open: bool = Field(default=False, description="Only those that go on")
    unacknowledged: bool = False
    limit: int = Field(default=100, ge=1, le=500)
    cursor: Cursor | None = None


@router.get("", responses=problems(422))
def list_alerts(api: Api, access: Viewer, filters: Annotated[AlertFilters, Query()]) -> AlertPage:
    """Newest first, those that went on at some time in between."""
    found = api.station.history.alerts(
        rule=filters.rule,
        since=filters.since,
        until=filters.until,
        open_only=filters.open,
        unacknowledged=filters.unacknowledged,
        limit=filters.limit + 1,
        before=alert_cursor(filters.cursor),
        streams=visible(api, access, filters.stream),
    )
    page = found[: filters.limit]
    more = len(found) > len(page)
    return AlertPage(
        alerts=tuple(map(AlertPart.of, page)), next=cursor_of(page[-1].started_at, page[-1].id) if more else None
    )


@router.get("/{alert}", responses=problems(404))
def get_alert(api: Api, access: Viewer, alert: Name) -> AlertLife:
    """One alert with everything that was told of it."""
    found = _find(api, access, alert)
    life = api.station.history.alert_revisions(alert)
    return AlertLife(alert=AlertPart.of(found), life=tuple(map(AlertPart.of, life)))


@router.post("/{alert}/acknowledge", responses=problems(404))
def acknowledge_alert(api: Api, access: Viewer, alert: Name) -> AlertPart:
    """Somebody took note of it: whoever may see its stream, under the name of his token. The first one counts."""
    _find(api, access, alert)
    return AlertPart.of(api.station.alerting.book.acknowledge(alert, access.name))


def _find(api: Context, access: Access, id: str) -> Alert:
    alert = api.station.history.alert(id)
    if not access.sees(alert.stream):
        raise unknown()
    return alert
