"""A part of the history taken away as a dataset: one ZIP file, made when it is asked for and kept nowhere."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING, Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.types import Receive, Scope, Send

from streamer.errors import MissingExtraError, OptionError, SourceError
from streamer.history.excerpt import excerpt_formats
from streamer.packing import Packed, Wanted, pack_excerpt
from streamer.server.api.answers import file, problems
from streamer.server.api.context import Context
from streamer.server.api.identity import Api, Viewer, running
from streamer.server.api.limits import Slots
from streamer.server.api.models import Pattern
from streamer.server.api.problems import Refused, unknown
from streamer.server.api.rule_models import Moment
from streamer.server.parts import Strict
from streamer.sharing import CalledOff

if TYPE_CHECKING:
    from streamer.history.search import Corrected

router = APIRouter(prefix="/history", tags=["history"])

ZIP = "application/zip"
_BLOCK_BYTES = 2**20
"""Read and sent at once: each is a step aside from the event loop."""


class ExcerptWishes(Strict):
    """Which part of one stream's history, and as what."""

    stream: Pattern
    since: Moment | None = None
    until: Moment | None = None
    formats: str = Field(
        default="jsonl",
        max_length=200,
        description="As streamer excerpt takes them, with commas between; the journal (jsonl) is always there",
        examples=["coco,yolo"],
    )
    corrected: bool = Field(default=False, description="What people corrected in place of the model's answers")
    only_corrected: bool = Field(default=False, description="Only what people corrected, as corrected")

    def wanted(self, most: int) -> Wanted:
        """Raises `OptionError`."""
        corrected: Corrected = "only" if self.only_corrected else "yes" if self.corrected else "no"
        return Wanted(self.stream, self.since, self.until, excerpt_formats(self.formats), corrected, most)


@router.get(
    "/excerpt",
    response_class=StreamingResponse,
    responses={**problems(404, 422, 507), **file(ZIP, "The dataset: pictures, the journal, and the formats")},
)
async def make_excerpt(
    api: Api, access: Viewer, request: Request, wishes: Annotated[ExcerptWishes, Query()]
) -> StreamingResponse:
    """What `streamer excerpt` writes, as one ZIP file: kept pictures of one stream with their answers.

    At most 5000 results, and two excerpts at the same time. `X-Pictures` says how many there are, `X-Left-Out` how many
    results have no picture or no answer. Nobody has to wait for the end: who goes away calls it off.
    """
    wanted = wishes.wanted(api.limits.excerpt_results)
    if not api.excerpts.take():
        raise Refused(429, "enough excerpts are being made", headers={"retry-after": "10"})
    try:
        if not access.sees(wanted.stream):
            raise unknown()
        packed = await _awaited(request, lambda step: _pack(api, wanted, step))
    except BaseException:
        api.excerpts.release()
        raise
    return _Download(packed, api.excerpts, api.limits.export_seconds)


def _pack(api: Context, wanted: Wanted, step: Callable[[], None]) -> Packed:
    model = api.station.monitor.model
    caveats = {model.name: model.caveat} if model.caveat else {}
    try:
        return pack_excerpt(api.station.history, wanted, api.scratch, caveats=caveats, step=step)
    except MissingExtraError as error:
        raise Refused(
            422, f"{error.feature} cannot be written by this server ({error.remedy})", field="formats"
        ) from None
    except SourceError:
        raise Refused(503, "a picture that is kept of that time cannot be read") from None
    except OptionError as error:
        if error.option == "stream" and _known(api, wanted.stream):
            raise Refused(422, f"expected {error.expected}", field="stream") from None
        raise


def _known(api: Context, stream: str) -> bool:
    """Whether it runs, or something of it is kept."""
    return stream in running(api) or bool(api.station.history.search(streams=(stream,), limit=1))


async def _awaited(request: Request, make: Callable[[Callable[[], None]], Packed]) -> Packed:
    """What ``make(step)`` gives, which runs beside the event loop; called off where nobody waits for it any more.

    It has ended when this does, whatever ends it.
    """
    off = threading.Event()

    def step() -> None:
        if off.is_set():
            raise CalledOff

    making = asyncio.ensure_future(asyncio.to_thread(make, step))
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait((making, gone), return_when=asyncio.FIRST_COMPLETED)
    finally:
        off.set()
        gone.cancel()
        await asyncio.wait((making,))
    try:
        return making.result()
    except CalledOff:
        await gone  # which raises what was wrong with the body, where there was one
        raise Refused(400, "nobody waits for it any more") from None


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


class _Download(StreamingResponse):
    """Closes its file and gives its place back whatever becomes of it, and in time."""

    def __init__(self, packed: Packed, slots: Slots, seconds: float) -> None:
        headers = {
            "content-disposition": _named(packed.stem),
            "content-length": str(packed.bytes),
            "x-pictures": str(packed.rows),
            "x-left-out": str(packed.left_out),
        }
        super().__init__(_blocks(packed.file), headers=headers, media_type=ZIP)
        self._file, self._slots, self._seconds = packed.file, slots, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await super().__call__(scope, receive, send)
        finally:
            self._file.close()
            self._slots.release()


def _named(stem: str) -> str:
    """The name twice: as programs take it that know ASCII alone, and as it is."""
    plain = stem if stem.isascii() else "excerpt"
    return f"attachment; filename=\"{plain}.zip\"; filename*=utf-8''{quote(stem)}.zip"


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    while block := file.read(_BLOCK_BYTES):
        yield block
