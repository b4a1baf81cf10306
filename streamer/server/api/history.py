"""The history: found again by words, and given out whole."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.types import Receive, Scope, Send

from streamer.errors import HistoryError
from streamer.history import Filters, Found
from streamer.outputs.jsonl import result_to_json
from streamer.results import FrameResult
from streamer.server.api.alerts import Cursor
from streamer.server.api.answers import file, problems
from streamer.server.api.cursors import cursor_of, result_cursor
from streamer.server.api.identity import Admin, Api, Viewer, visible
from streamer.server.api.limits import Slots
from streamer.server.api.models import (
    CorrectionPart,
    HistoryCounts,
    HistorySpread,
    KeptResult,
    Pattern,
    ResultPage,
    StreamSpread,
)
from streamer.server.api.problems import HISTORY, Refused, encoded
from streamer.server.api.rule_models import Moment
from streamer.server.parts import Strict

router = APIRouter(prefix="/history", tags=["history"])

NDJSON = "application/x-ndjson"
_AT_ONCE = 200
"""Rows that are read and sent together."""


class Wanted(Strict):
    """Which results; all of it holds."""

    text: str = Field(
        default="", max_length=500, description='Words that must all be there; "quoted words" stand together'
    )
    stream: list[Pattern] = Field(default_factory=list, max_length=64, description="Names, not patterns")
    label: list[Pattern] = Field(default_factory=list, max_length=100, description="One of them was seen")
    rule: Pattern | None = Field(default=None, description="An alert of that rule went on then")
    since: Moment | None = None
    until: Moment | None = None
    has_alert: bool | None = None
    corrected: bool | None = Field(default=None, description="Whether a person's answer counts in place of the model's")


class SpreadFilters(Wanted):
    bins: int = Field(default=48, ge=1, le=200, description="Stretches of time")


class ResultFilters(Wanted):
    limit: int = Field(default=50, ge=1, le=200)
    cursor: Cursor | None = None


class ExportFilters(Strict):
    stream: Pattern
    since: Moment | None = None
    until: Moment | None = None
    limit: int = Field(default=10_000, ge=1, le=1_000_000)
    ends: bool = Field(
        default=False, description="An answer that stood longer comes once more where it was last seen to stand"
    )
    corrected: bool = Field(default=False, description="What people corrected in place of the model's answers")
    only_corrected: bool = Field(default=False, description="Only what people corrected, as corrected")


@router.get("", responses=problems(422))
def search_history(api: Api, access: Viewer, filters: Annotated[ResultFilters, Query()]) -> ResultPage:
    """Results, newest first; all filters hold, and count before the limit does."""
    found = api.station.history.search(
        filters.text,
        streams=visible(api, access, filters.stream),
        labels=filters.label,
        rule=filters.rule,
        since=filters.since,
        until=filters.until,
        has_alert=filters.has_alert,
        corrected=filters.corrected,
        limit=filters.limit + 1,
        before=result_cursor(filters.cursor),
    )
    page = found[: filters.limit]
    return ResultPage(
        results=tuple(map(part_of, page)), next=cursor_of(*page[-1].cursor) if len(found) > len(page) else None
    )


@router.get(
    "/results",
    response_class=StreamingResponse,
    responses={**problems(422), **file(NDJSON, "A row a result, and last a row of type end")},
)
async def export_results(api: Api, access: Viewer, filters: Annotated[ExportFilters, Query()]) -> StreamingResponse:
    """The results of one stream in order of time, a JSON object a line: as the rows of a journal, with ``at``.

    Last comes ``{"type": "end", "rows": …, "fault": null}``; an answer without it was cut off. At most four at once.
    """
    if not api.exports.take():
        raise Refused(429, "enough exports are running", headers={"retry-after": "5"})
    kept: Iterator[tuple[float, FrameResult]] = iter(())
    if access.sees(filters.stream):
        kept = api.station.history.results(
            filters.stream,
            filters.since,
            filters.until,
            filters.limit,
            ends=filters.ends,
            corrected="only" if filters.only_corrected else "yes" if filters.corrected else "no",
        )
    return _Export(_lines(kept), api.exports, api.limits.export_seconds)


@router.get("/timeline", responses=problems(422))
def spread_history(api: Api, access: Viewer, filters: Annotated[SpreadFilters, Query()]) -> HistorySpread:
    """How many results there are by stream and time; all filters hold."""
    found = api.station.history.spread(
        Filters(
            filters.text,
            visible(api, access, filters.stream),
            filters.label,
            filters.rule,
            filters.since,
            filters.until,
            filters.has_alert,
            filters.corrected,
        ),
        filters.bins,
    )
    if found is None:
        return HistorySpread(since=None, until=None, streams=())
    streams = tuple(
        StreamSpread(stream=name, seen=tuple(seen), found=tuple(boxes)) for name, (seen, boxes) in found.streams.items()
    )
    return HistorySpread(since=found.since, until=found.until, streams=streams)


@router.get("/counts", responses=problems())
def count_history(api: Api, access: Admin) -> HistoryCounts:
    """How much is kept."""
    counts = api.station.history.counts()
    return HistoryCounts.model_validate({name: getattr(counts, name) for name in HistoryCounts.model_fields})


class _Export(StreamingResponse):
    """Gives its place back whatever becomes of it, and in time."""

    def __init__(self, lines: Iterator[bytes], slots: Slots, seconds: float) -> None:
        super().__init__(lines, media_type=NDJSON)
        self._slots, self._seconds = slots, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await super().__call__(scope, receive, send)
        finally:
            self._slots.release()


def _lines(kept: Iterator[tuple[float, FrameResult]]) -> Iterator[bytes]:
    rows, fault = 0, None
    try:
        while some := list(islice(kept, _AT_ONCE)):
            rows += len(some)
            yield b"".join(_line({"type": "frame", "at": at, **result_to_json(result)}) for at, result in some)
    except HistoryError:
        fault = HISTORY
    yield _line({"type": "end", "rows": rows, "fault": fault})


def _line(row: dict[str, Any]) -> bytes:
    return encoded(row) + b"\n"


def part_of(found: Found) -> KeptResult:
    """As it is given out."""
    result = found.result
    return KeptResult.of(
        result,
        id=found.id,
        stream=found.stream,
        at=found.at,
        until=found.until,
        sequence=result.sequence,
        media_seconds=result.time_seconds,
        reused=result.reused,
        snippet=found.snippet,
        picture=found.picture,
        correction=None if found.correction is None else CorrectionPart.of(found.correction),
    )
