"""Kept pictures and clips. Their names tell the stream, so that only those who may see it get them."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from streamer.history.pictures import stream_key
from streamer.server.access import Access
from streamer.server.api.answers import file, problems
from streamer.server.api.context import Context
from streamer.server.api.identity import Api, Viewer, running
from streamer.server.api.names import Name
from streamer.server.api.problems import unknown

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
def get_clip(api: Api, access: Viewer, name: Name) -> FileResponse:
    """The video of an alert, whole or by ranges. ``X-Started-At`` has the Unix seconds of its first picture."""
    _check(api, access, name)
    path = api.station.history.clip_path(name)
    try:
        stat = path.stat()
    except OSError:
        raise unknown() from None
    headers = {"x-started-at": f"{stat.st_mtime:.3f}"}
    return FileResponse(path, media_type="video/mp4", stat_result=stat, headers=headers)


def _check(api: Context, access: Access, name: str) -> None:
    """Of a stream that was removed only those know who may see all."""
    if not access.streams:
        return
    parts = name.split("_")
    keys = {stream_key(stream) for stream in running(api) if access.sees(stream)}
    if len(parts) != 4 or parts[1] not in keys:
        raise unknown()
