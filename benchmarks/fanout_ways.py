"""The processes of ``fanout.py``: one that serves, by one way or the other, and one that is all the viewers.

    python fanout_ways.py streamer|bare FPS
    python fanout_ways.py view WAY URL READERS STUCK

The first prints its address, and at the end of its input when each picture was made; the second prints ``there`` when
all are connected, and at the end of its input what each reader received. Times are ``time.monotonic()``, which is one
clock for all processes of a machine.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import cv2
import numpy as np
from websockets.asyncio.client import connect
from websockets.asyncio.server import broadcast, serve
from websockets.exceptions import ConnectionClosed

from streamer.display import EncodedPicture
from streamer.models.scripted import ScriptedModel
from streamer.monitor import Event, Monitor
from streamer.server import Server
from streamer.server.picture import parse_picture, picture_message
from streamer.settings import StreamSettings
from streamer.sources.base import Counters, Picture, Size, Source, SourceInfo
from streamer.sources.synthetic import draw

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from numpy.typing import NDArray
    from websockets.asyncio.client import ClientConnection
    from websockets.asyncio.server import ServerConnection

    from streamer.frames import Frame

STREAM = "drawn"
SIZE = (640, 360)
GRAIN = 6.0
"""Standard deviation of the noise in grey levels: about 34 KB a picture, as a camera's are, and not 8."""
CONNECTING = 20
"""Handshakes at once."""


# -- the server's process


class Made:
    """When each picture was encoded, by its number."""

    def __init__(self) -> None:
        self.times: dict[int, float] = {}
        self.bytes = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, EncodedPicture):
            self.times[event.sequence] = time.monotonic()
            self.bytes += len(event.jpeg)


class Grainy(Picture):
    """A drawn picture with a camera's noise."""

    source_size = SIZE
    index, pts, time_base, decode_ms = None, None, None, 0.0

    def __init__(self, number: int, at: float, grain: NDArray[np.float32]) -> None:
        self.time_seconds, self.captured_at = at, time.monotonic()
        self._number, self._grain = number, grain

    def scaled(self, size: Size) -> NDArray[np.uint8]:
        moved = np.roll(self._grain, 7 * self._number, axis=(0, 1))
        image: NDArray[np.uint8] = np.clip(draw(self._number, SIZE) + moved, 0, 255).astype(np.uint8)
        return image if size == SIZE else np.asarray(cv2.resize(image, size), np.uint8)


class Drawn(Source):
    """`Grainy` pictures at a camera's pace."""

    live = True

    def __init__(self, fps: float) -> None:
        self._fps, self._closed, self._counters = fps, threading.Event(), Counters()

    @property
    def info(self) -> SourceInfo:
        return SourceInfo("drawn:", "live", SIZE, rate=self._fps, codec="drawn")

    @property
    def counters(self) -> Counters:
        return self._counters

    def pictures(self) -> Iterator[Picture]:
        grain = np.random.default_rng(1).normal(0, GRAIN, (SIZE[1], SIZE[0], 1)).astype(np.float32)
        begun, number = time.monotonic(), 0
        while not self._closed.wait(max(0.0, begun + number / self._fps - time.monotonic())):
            yield Grainy(number, number / self._fps, grain)
            number += 1

    def frames(self) -> Iterator[Frame]:
        raise NotImplementedError("the live job samples by itself")

    def close(self) -> None:
        self._closed.set()


@contextmanager
def drawing(fps: float) -> Iterator[tuple[Monitor, Made]]:
    """A job that draws and encodes the stream, the same for both ways."""
    with ScriptedModel() as model, Monitor(model) as monitor:
        made = Made()
        monitor.subscribe(made)
        settings = StreamSettings(tasks=(), display_fps=60, display_width=SIZE[0])
        monitor.add(STREAM, lambda: Drawn(fps), settings)
        yield monitor, made


def serve_streamer(fps: float) -> Made:
    """The page's server, as ``streamer watch`` runs it."""
    with drawing(fps) as (monitor, made), Server(monitor, port=0) as server:
        unlook = monitor.look(STREAM)  # encoded without viewers too, as the other way does
        say(f"ws://127.0.0.1:{server.port}/ws")
        sys.stdin.read()
        unlook()
    return made


def serve_bare(fps: float) -> Made:
    """`websockets.broadcast` of the same messages: no bounds, no choice of streams, nothing else."""
    with drawing(fps) as (monitor, made):
        asyncio.run(_broadcast(monitor))
    return made


async def _broadcast(monitor: Monitor) -> None:
    connections: set[ServerConnection] = set()
    loop = asyncio.get_running_loop()

    async def stay(connection: ServerConnection) -> None:
        connections.add(connection)
        try:
            await connection.wait_closed()
        finally:
            connections.discard(connection)

    def tell(event: Event) -> None:
        if isinstance(event, EncodedPicture):
            loop.call_soon_threadsafe(broadcast, connections, picture_message(1, event))

    async with serve(stay, "127.0.0.1", 0, compression=None) as server:
        ends = monitor.subscribe(tell), monitor.look(STREAM)
        say(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws")
        await asyncio.to_thread(sys.stdin.read)
        for end in ends:
            end()


# -- the viewers' process


async def view(way: str, url: str, readers: int, stuck: int) -> list[list[tuple[int, float]]]:
    """(number, moment) of each picture that each reader received, until the end of the input."""
    received: list[list[tuple[int, float]]] = [[] for _ in range(readers)]
    gate = asyncio.Semaphore(CONNECTING)
    async with asyncio.TaskGroup() as group:
        there = [asyncio.Event() for _ in range(readers + stuck)]
        jobs = [group.create_task(_read(way, url, gate, one, there[at])) for at, one in enumerate(received)]
        jobs += [group.create_task(_hold(way, url, gate, event)) for event in there[readers:]]
        for event in there:
            await event.wait()
        say("there")
        await asyncio.to_thread(sys.stdin.read)
        for job in jobs:
            job.cancel()
    return received


async def _read(
    way: str, url: str, gate: asyncio.Semaphore, received: list[tuple[int, float]], there: asyncio.Event
) -> None:
    async with _connected(way, url, gate) as connection:
        there.set()
        try:
            async for message in connection:
                now = time.monotonic()
                if isinstance(message, bytes):
                    received.append((parse_picture(message).sequence, now))
        except ConnectionClosed as error:
            print(f"a viewer was sent away: {error}", file=sys.stderr)


async def _hold(way: str, url: str, gate: asyncio.Semaphore, there: asyncio.Event) -> None:
    """A viewer that asks and then reads nothing, not even from its socket."""
    async with _connected(way, url, gate, buffer_bytes=4096) as connection:
        connection.transport.pause_reading()
        there.set()
        await asyncio.Event().wait()


@asynccontextmanager
async def _connected(
    way: str, url: str, gate: asyncio.Semaphore, buffer_bytes: int | None = None
) -> AsyncIterator[ClientConnection]:
    """``buffer_bytes``: what the system may hold for it."""
    async with gate:
        connection = await connect(
            url, sock=_socket(url, buffer_bytes), compression=None, max_size=2**24, ping_interval=None
        )
        if way == "streamer":
            await connection.send(json.dumps({"type": "auth", "token": ""}))
            await connection.send(json.dumps({"type": "pictures", "id": 1, "streams": [STREAM]}))
    try:
        yield connection
    finally:
        connection.transport.abort()


def _socket(url: str, buffer_bytes: int | None) -> socket.socket:
    made = socket.socket()
    if buffer_bytes is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    parts = urlsplit(url)
    made.connect((parts.hostname, parts.port))
    made.setblocking(False)
    return made


def say(line: str) -> None:
    print(line, flush=True)


def main() -> None:
    match sys.argv[1:]:
        case [("streamer" | "bare") as way, fps]:
            made = (serve_streamer if way == "streamer" else serve_bare)(float(fps))
            say(json.dumps({"times": made.times, "kib": made.bytes / 1024 / max(1, len(made.times))}))
        case ["view", way, url, readers, stuck]:
            say(json.dumps(asyncio.run(view(way, url, int(readers), int(stuck)))))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
