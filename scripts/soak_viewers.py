"""The viewers of ``soak.py``: they come, look and go, vanish, read nothing, send rubbish, or have no business here."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from streamer.server.session import TOKEN_NEEDED, TRY_LATER

AT_ONCE = 8
LONGEST_SECONDS = 90.0
TURNED_AWAY = (TOKEN_NEEDED, TRY_LATER)
PATHS = ("/", "/healthz", "/readyz", "/metrics", "/api/v1/streams", "/api/v1/alerts", "/nowhere", "/static/%2e%2e/x")
RUBBISH: tuple[str | bytes, ...] = (
    "",
    "{",
    "[]",
    "null",
    b"\x00\xff\x01",
    '{"type": "set", "id": 1, "stream": "nobody", "fps": 1}',
    '{"type": "set", "id": -1, "stream": 5, "fps": "fast"}',
    '{"type": "pictures", "id": 3, "streams": ["\\u0000"]}',
    '{"type": "acknowledge", "id": 4, "alert": "0"}',
    "\ud7ff" * 100,
    "[" * 20_000,
    "x" * 70_000,  # more than may be sent: the server closes
)


class Viewers:
    """On a thread with an event loop of its own, `AT_ONCE` at a time while `busy` is set."""

    def __init__(self, address: str, token: str, streams: Callable[[], list[str]], seed: int) -> None:
        self._address, self._token, self._streams = address, token, streams
        self._random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        """Visits by kind, ``pictures`` and ``messages`` that came."""
        self.troubles: list[str] = []
        """What should not have happened to anybody."""
        self.busy = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()), name="viewers", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.busy.clear()
        self._stopping.set()
        self._thread.join(20)

    def __enter__(self) -> Viewers:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def _work(self) -> None:
        await asyncio.gather(*(self._come_and_go() for _ in range(AT_ONCE)))

    async def _come_and_go(self) -> None:
        kinds = (self._look, self._look, self._vanish, self._hold, self._babble, self._intrude, self._browse)
        while not self._stopping.is_set():
            if not self.busy.is_set():
                await asyncio.sleep(0.1)
                continue
            kind = self._random.choice(kinds)
            name = kind.__name__.strip("_")
            self.counts[name] += 1
            try:
                async with asyncio.timeout(LONGEST_SECONDS):
                    await kind()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is told at the end
                self.troubles.append(f"{name}: {type(error).__name__}: {error}")
            await self._stay(0.1, 2)

    async def _look(self) -> None:
        async with self._connected() as connection:
            await self._read(connection, self._random.uniform(1, 15))

    async def _vanish(self) -> None:
        """Without a word in the middle of it."""
        async with self._connected() as connection:
            await self._read(connection, self._random.uniform(0.5, 5))
            connection.transport.abort()

    async def _hold(self) -> None:
        """Reads nothing any more and stays."""
        async with self._connected() as connection:
            connection.transport.pause_reading()
            await self._stay(5, 40)
            connection.transport.abort()

    async def _babble(self) -> None:
        async with self._connected() as connection:
            try:
                for _ in range(self._random.randint(1, 10)):
                    await connection.send(self._random.choice(RUBBISH))
                    await self._read(connection, 0.2)
            except ConnectionClosed:
                self.counts["sent away"] += 1

    async def _intrude(self) -> None:
        """Without a token that is good for something. From another address of this machine, where it has several: that
        of the others must not be shut out for it."""
        here = f"127.0.0.{self._random.randint(2, 250)}" if sys.platform == "linux" else "127.0.0.1"
        async with connect(self._url, compression=None, max_size=2**24, local_addr=(here, 0)) as connection:
            await connection.send(self._random.choice(['{"type": "auth", "token": "wrong"}', "open", "{}"]))
            try:
                await connection.recv()
            except ConnectionClosed as closed:
                if closed.rcvd is None or closed.rcvd.code not in TURNED_AWAY:
                    raise
                return
            raise PermissionError("somebody without a token was let in")

    async def _browse(self) -> None:
        for path in self._random.sample(PATHS, 3):
            status = await asyncio.to_thread(self._get, path)
            self.counts[f"HTTP {status}"] += 1
            if status >= 500 and path != "/readyz":
                self.troubles.append(f"GET {path}: {status}")

    def _get(self, path: str) -> int:
        headers = {"Authorization": f"Bearer {self._token}"}
        request = urllib.request.Request(self._address.rstrip("/") + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                answer.read()
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    @property
    def _url(self) -> str:
        return self._address.replace("http", "ws", 1) + "ws"

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[ClientConnection]:
        """Let in, and asking for the pictures of some streams."""
        async with connect(self._url, compression=None, max_size=2**24, close_timeout=2) as connection:
            await connection.send(json.dumps({"type": "auth", "token": self._token}))
            names = self._streams()
            some = self._random.sample(names, min(len(names), self._random.randint(1, 4)))
            await connection.send(json.dumps({"type": "pictures", "id": 1, "streams": some}))
            yield connection

    async def _read(self, connection: ClientConnection, seconds: float) -> None:
        end = asyncio.get_running_loop().time() + seconds
        while (left := end - asyncio.get_running_loop().time()) > 0 and self.busy.is_set():
            try:
                async with asyncio.timeout(min(0.5, left)):
                    message = await connection.recv()
            except TimeoutError:
                continue
            self.counts["messages" if isinstance(message, str) else "pictures"] += 1

    async def _stay(self, least: float, most: float) -> None:
        end = asyncio.get_running_loop().time() + self._random.uniform(least, most)
        while asyncio.get_running_loop().time() < end and self.busy.is_set():
            await asyncio.sleep(0.1)
