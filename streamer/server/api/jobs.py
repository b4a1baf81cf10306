"""Files that people hand in: annotated by the live job's own model, looked through, taken away."""

from __future__ import annotations

import asyncio
from typing import IO, Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from streamer.errors import OutputError, SourceError
from streamer.jobfolder import Order
from streamer.jobs import Jobs, JobStatus, Upload
from streamer.outputs.formats import FORMATS
from streamer.server.api.answers import WITH_BODY, file, problems
from streamer.server.api.context import ROOT
from streamer.server.api.gate import BYTES
from streamer.server.api.identity import Admin, Api
from streamer.server.api.job_models import JobList, JobPart, JobResult, JobResults, JobWishes
from streamer.server.api.names import Name
from streamer.server.api.problems import Refused, unknown
from streamer.server.parts import Strict

router = APIRouter(prefix="/jobs", tags=["jobs"])

_BODY = {
    "requestBody": {"required": True, "content": {BYTES: {"schema": {"type": "string", "format": "binary"}}}},
}
_BLOCK_BYTES = 2**20
"""Written at once: each is a step aside from the event loop."""
_LATEST_SECONDS = 1e7


class RowFilters(Strict):
    limit: int = Field(default=100, ge=1, le=500)
    cursor: Annotated[str, Field(pattern=r"^[0-9]{1,15}$")] | None = Field(
        default=None, description="The next of the page before"
    )


class Shown(Strict):
    at: float = Field(default=0.0, ge=0, le=_LATEST_SECONDS, allow_inf_nan=False, description="Seconds of media time")
    width: int = Field(default=960, ge=64, le=3840, description="Pixels, at most")


@router.get("", responses=problems())
def list_jobs(api: Api, access: Admin) -> JobList:
    """All files with what became of them."""
    jobs = api.station.jobs
    return JobList(
        jobs=tuple(map(JobPart.of, jobs.statuses())), upload_bytes=jobs.options.upload_bytes, formats=tuple(FORMATS)
    )


@router.post("", status_code=201, responses=problems(409, 507, *WITH_BODY), openapi_extra=_BODY)
async def add_job(
    api: Api, access: Admin, request: Request, response: Response, wishes: Annotated[JobWishes, Query()]
) -> JobPart:
    """Takes a picture or video, the body, to be annotated when its turn comes; what it is is found out by its content.

    Its length has to be told. At most two files are taken at the same time.
    """
    order = wishes.order(access.name)
    size = _length(request)
    with api.uploads.taken() as free:
        if not free:
            raise Refused(429, "enough files are being handed in", headers={"retry-after": "5"})
        status = await _received(api.station.jobs, order, request, size)
    response.headers["location"] = f"{ROOT}/jobs/{status.record.id}"
    return JobPart.of(status)


@router.get("/{job}", responses=problems(404))
def get_job(api: Api, access: Admin, job: Name) -> JobPart:
    """One of them as it stands."""
    return JobPart.of(api.station.jobs.status(job))


@router.delete("/{job}", status_code=204, responses=problems(404))
def remove_job(api: Api, access: Admin, job: Name) -> None:
    """Stops it where it runs, and removes the file with all that was made of it."""
    api.station.jobs.remove(job)


@router.get("/{job}/results", responses=problems(404, 422, 507))
def list_job_results(api: Api, access: Admin, job: Name, filters: Annotated[RowFilters, Query()]) -> JobResults:
    """The answers so far, in order of time."""
    found, end, more = api.station.jobs.results(job, int(filters.cursor or 0), filters.limit)
    return JobResults(results=tuple(map(JobResult.of_row, found)), next=str(end), more=more)


@router.get(
    "/{job}/picture.jpg",
    response_class=Response,
    responses={**problems(404, 422), **file("image/jpeg", "The picture")},
)
def get_job_picture(api: Api, access: Admin, job: Name, shown: Annotated[Shown, Query()]) -> Response:
    """The picture of the file that is shown at a time. At most four at the same time."""
    with api.pictures.taken() as free:
        if not free:
            raise Refused(429, "enough pictures are being decoded", headers={"retry-after": "1"})
        try:
            jpeg = api.station.jobs.picture(job, shown.at, shown.width)
        except SourceError:
            raise Refused(404, "there is no such picture") from None
    return Response(jpeg, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})


@router.get(
    "/{job}/files/{name}",
    response_class=FileResponse,
    responses={
        **problems(400, 404, 416),
        **file(BYTES, "The whole file"),
        206: {"description": "A part of it, as asked for by Range", "content": {BYTES: {}}},
    },
)
def get_job_file(api: Api, access: Admin, job: Name, name: Name) -> FileResponse:
    """A file that was made, to be kept, whole or by ranges."""
    path = api.station.jobs.made_path(job, name)
    try:
        stat = path.stat()
    except OSError:
        raise unknown() from None
    return FileResponse(path, media_type=BYTES, filename=path.name, stat_result=stat)


def _length(request: Request) -> int:
    told = request.headers.get("content-length", "")
    if not told.isdecimal():
        raise Refused(400, "the length of the file has to be told as Content-Length")
    if not int(told):
        raise Refused(422, "it is empty", field="file")
    return int(told)


async def _received(jobs: Jobs, order: Order, request: Request, size: int) -> JobStatus:
    try:
        upload = await run_in_threadpool(jobs.receive, size)
    except OutputError as error:
        raise Refused(507, f"{error.reason} ({error.remedy})") from None
    try:
        await _written(upload, request)
    except BaseException:  # a client that goes away is a cancellation
        await asyncio.shield(run_in_threadpool(jobs.drop, upload))
        raise
    try:
        return await asyncio.shield(run_in_threadpool(jobs.add, upload, order))
    except SourceError as error:
        raise Refused(422, f"{error.reason} ({error.remedy})" if error.remedy else error.reason, field="file") from None


async def _written(upload: Upload, request: Request) -> None:
    """Never more than a block of it is in memory. Raises what ends it before."""
    try:
        with upload.path.open("wb") as out:
            await _copied(out, request)
    except ClientDisconnect:
        raise Refused(400, "the file did not come whole") from None
    except OSError as error:
        raise OutputError("files", error.strerror or "it cannot be written", "is there room on the disk?") from error


async def _copied(out: IO[bytes], request: Request) -> None:
    block = bytearray()
    async for piece in request.stream():
        block += piece
        if len(block) >= _BLOCK_BYTES:
            await run_in_threadpool(out.write, bytes(block))
            block.clear()
    await run_in_threadpool(out.write, bytes(block))
