"""Kept pictures and clips. Their names tell the stream, so that only those who may see it get them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Header
from fastapi.responses import FileResponse, Response, StreamingResponse

from streamer.history.names import stream_key
from streamer.history.shelf import KeptClip
from streamer.server.access import Access
from streamer.server.api.answers import file, problems
from streamer.server.api.context import Context
from streamer.server.api.identity import Api, Viewer, running
from streamer.server.api.names import Name
from streamer.server.api.problems import Refused, unknown

PART_BYTES = 1 << 20
"""Of a clip that is fetched from a store, at a time."""
_RANGE = re.compile(r"\s*bytes\s*=\s*(?P<first>[0-9]{0,18})\s*-\s*(?P<last>[0-9]{0,18})\s*(,|$)", re.IGNORECASE)

Wanted = Annotated[str | None, Header(alias="range", include_in_schema=False)]

router = APIRouter(tags=["history"])


@router.get(
    "/snapshots/{name}",
    response_class=Response,
    responses={**problems(404), **file("image/jpeg", "The picture")},
)
def get_snapshot(api: Api, access: Viewer, name: Name) -> Response:
    """A picture of a result or an alert."""
    _check(api, access, name)
    return Response(api.station.history.picture(name), media_type="image/jpeg")


@router.get(
    "/clips/{name}",
    response_class=FileResponse,
    responses={
        **problems(400, 404, 416),
        **file("video/mp4", "The whole video"),
        206: {"description": "A part of it, as asked for by Range", "content": {"video/mp4": {}}},
    },
)
def get_clip(api: Api, access: Viewer, name: Name, wanted: Wanted = None) -> Response:
    """The video of an alert, whole or by ranges. ``X-Started-At`` has the Unix seconds of its first picture."""
    _check(api, access, name)
    clip = api.station.history.clip(name)
    headers = {"x-started-at": f"{clip.started_at:.3f}"}
    if clip.path is None:
        return _fetched(clip, wanted, headers)
    try:
        stat = clip.path.stat()
    except OSError:
        raise unknown() from None
    return FileResponse(clip.path, media_type="video/mp4", stat_result=stat, headers=headers)


def _fetched(clip: KeptClip, wanted: str | None, headers: dict[str, str]) -> Response:
    """Of a store elsewhere, a part at a time; the first one is there before the answer begins."""
    start, stop = span_of(wanted, clip.size)
    first = clip.read(start, min(stop, start + PART_BYTES))
    headers |= {"accept-ranges": "bytes", "content-length": str(stop - start)}
    if wanted is not None:
        headers["content-range"] = f"bytes {start}-{stop - 1}/{clip.size}"

    def parts() -> Iterator[bytes]:
        yield first
        for place in range(start + PART_BYTES, stop, PART_BYTES):
            yield clip.read(place, min(stop, place + PART_BYTES))

    return StreamingResponse(parts(), 200 if wanted is None else 206, headers, "video/mp4")


def span_of(wanted: str | None, size: int) -> tuple[int, int]:
    """[start, stop) of the header Range, of which only the first range counts; all of it without one. Raises
    `Refused`."""
    if wanted is None:
        return 0, size
    found = _RANGE.match(wanted)
    first, last = (found["first"], found["last"]) if found else ("", "")
    if not first and not last:
        raise Refused(400, "the header Range cannot be read")
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if start >= size:
        raise Refused(416, "the file has no such part", headers={"content-range": f"bytes */{size}"})
    if stop <= start:
        raise Refused(400, "the header Range cannot be read")
    return start, stop


def _check(api: Context, access: Access, name: str) -> None:
    """Of a stream that was removed only those know who may see all."""
    if not access.streams:
        return
    parts = name.split("_")
    keys = {stream_key(stream) for stream in running(api) if access.sees(stream)}
    if len(parts) != 4 or parts[1] not in keys:
        raise unknown()
