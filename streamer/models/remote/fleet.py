"""Several servers asked as one: each request at the freest, failed ones again elsewhere, sick servers left out.

All of it runs on one event loop; `RemoteModel` owns that loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace

from streamer.errors import ModelError, StreamerError
from streamer.models.base import Generation, Request
from streamer.models.remote.capabilities import Capabilities
from streamer.models.remote.connection import Connection, Fault, Listed
from streamer.models.remote.messages import chat_body, read_answer
from streamer.models.remote.options import RemoteOptions
from streamer.models.remote.pictures import SentPicture
from streamer.models.remote.pool import Pool
from streamer.models.remote.probing import examine
from streamer.models.remote.retrying import RetryBudget, backoff_seconds

log = logging.getLogger(__name__)

HEALTH_SECONDS = 5.0
"""For the list of models, which is what says that a server is well."""
LOOK_SECONDS = 15.0
"""Between two looks at a server that answers."""
_TINY = "tiny"


class Fleet:
    """The servers of one model. Used on one event loop."""

    def __init__(self, options: RemoteOptions) -> None:
        self._options = options
        self._servers = [Connection(url, options.key, options.at_once) for url in options.urls]
        self._able: list[Capabilities | None] = [None] * len(self._servers)
        self._troubles: dict[int, str] = {}
        """Why a server is left out, by its number."""
        self._pool = Pool(len(self._servers), options.at_once)
        self._retries = RetryBudget()
        self._changed = asyncio.Event()
        """Set and replaced when a place may have become free."""
        self._sick = [asyncio.Event() for _ in self._servers]
        self._watchers: list[asyncio.Task[None]] = []
        self.structured = False
        self.tiny = False
        """The embedded checkpoint is served, under whatever name."""

    async def start(self) -> list[str]:
        """Looks at all servers and asks them what they can; sentences about that. Raises `ModelError` where none can be
        used, or one does not have the model."""
        found = await asyncio.gather(*map(self._begin, range(len(self._servers))), return_exceptions=True)
        for number, fault in enumerate(found):
            if isinstance(fault, Fault):
                self._troubles[number] = fault.reason
                self._pool.failed(number, at_once=True)
                self._sick[number].set()
            elif isinstance(fault, BaseException):
                raise fault
        if all(able is None for able in self._able):
            remedies = [fault.remedy for fault in found if isinstance(fault, Fault) and fault.remedy]
            raise ModelError(self._options.model, self._all_troubles("no server can be used"), next(iter(remedies), ""))
        self.structured = not self.tiny and all(able.schema for able in self._able if able is not None)
        self._watchers = [asyncio.create_task(self._watch(number)) for number in range(len(self._servers))]
        return self._findings()

    @property
    def fault(self) -> str | None:
        """Where every server is left out; from any thread."""
        ejected = all(self._pool.is_ejected(number) for number in range(len(self._servers)))
        return "none of its servers answers" if ejected else None

    async def _begin(self, number: int) -> None:
        listed = await self._servers[number].models(HEALTH_SECONDS)
        mine = self._listed(number, listed)
        self._able[number] = await examine(self._servers[number], self._options.model, mine.owner)

    def _listed(self, number: int, listed: dict[str, Listed]) -> Listed:
        """The model among those of a server. Raises `ModelError` where it is not."""
        if (mine := listed.get(self._options.model)) is None:
            names = ", ".join(sorted(listed)[:20]) or "none"
            url = self._servers[number].url
            raise ModelError(self._options.model, f"{url} does not have it; it has: {names}", "use --model with one")
        self.tiny |= any(name.rstrip("/").rpartition("/")[2] == _TINY for name in (self._options.model, mine.root))
        return mine

    def _findings(self) -> list[str]:
        """What the servers can do; servers that are alike share their sentences."""
        alike: dict[tuple[str, ...], list[str]] = {}
        for server, able in zip(self._servers, self._able, strict=True):
            if able is not None:
                alike.setdefault((able.kind, *able.lines()), []).append(server.url)
        found = [
            f"{', '.join(urls)}{f' ({kind})' if kind else ''} {line}"
            for (kind, *lines), urls in alike.items()
            for line in lines
        ]
        return found + [
            f"{self._servers[number].url} is left out until it answers: {trouble}"
            for number, trouble in sorted(self._troubles.items())
        ]

    # -- answers

    async def answer_all(
        self, requests: Sequence[Request], pictures: Sequence[tuple[SentPicture, ...]], deadline: float
    ) -> list[Generation | StreamerError]:
        """The answers in the order of the requests, or why there are none; ``deadline`` by the loop's clock."""
        asked = [
            asyncio.create_task(self._answer(request, shown, deadline))
            for request, shown in zip(requests, pictures, strict=True)
        ]
        try:
            answers = await asyncio.gather(*asked, return_exceptions=True)
        finally:
            for task in asked:
                task.cancel()
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, StreamerError):
                raise answer
        return [answer for answer in answers if isinstance(answer, Generation | StreamerError)]

    async def _answer(self, request: Request, pictures: tuple[SentPicture, ...], deadline: float) -> Generation:
        self._retries.earn()
        failed: set[int] = set()
        attempt = 0
        while True:
            number = await self._place(deadline, failed)
            attempt += 1
            try:
                return await self._attempt(number, request, pictures, deadline)
            except Fault as fault:
                self._judge(number, fault)
                wait = self._wait_seconds(number, fault, attempt, deadline)
                if wait is None:
                    raise self._given_up(number, fault, attempt) from None
            finally:
                self._pool.release(number)
                self._tell()
            failed.add(number)
            await asyncio.sleep(wait)

    async def _place(self, deadline: float, failed: Collection[int]) -> int:
        """A server with a free place, once there is one. Raises `ModelError` at the deadline."""
        loop = asyncio.get_running_loop()
        while (number := self._pool.take(loop.time(), failed)) is None:
            changed = self._changed
            opens_at = self._pool.opens_at(loop.time())
            with suppress(TimeoutError):
                async with asyncio.timeout_at(deadline if opens_at is None else min(deadline, opens_at)):
                    await changed.wait()
            if loop.time() >= deadline:
                reason = self._all_troubles("no server was free in time")
                raise ModelError(self._options.model, reason, "the next frames try again")
        return number

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _attempt(
        self, number: int, request: Request, pictures: tuple[SentPicture, ...], deadline: float
    ) -> Generation:
        able = self._able[number] or Capabilities()
        if len(pictures) > 1 and not able.several:
            raise Fault("it takes one picture a request", sick=False, retry=len(self._servers) > 1)
        body = chat_body(request, pictures, self._options.model, able, structured=self.structured)
        seconds = min(self._options.attempt_seconds, deadline - asyncio.get_running_loop().time())
        started = time.monotonic()
        document = await self._servers[number].complete(body, max(0.001, seconds))
        try:
            answer = read_answer(document, request, pictures, able)
        except ValueError as error:
            raise Fault(str(error)) from None
        self._pool.succeeded(number)
        return replace(answer, model_ms=(time.monotonic() - started) * 1000)

    def _judge(self, number: int, fault: Fault) -> None:
        if fault.after_seconds is not None:
            self._pool.pause(number, asyncio.get_running_loop().time() + min(fault.after_seconds, 3600.0))
        if fault.sick and self._pool.failed(number, at_once=fault.ended):
            self._leave_out(number, fault)

    def _leave_out(self, number: int, fault: Fault) -> None:
        self._troubles[number] = fault.reason
        self._sick[number].set()
        log.warning("model %s: %s is left out: %s", self._options.model, self._servers[number].url, fault.reason)

    def _wait_seconds(self, number: int, fault: Fault, attempt: int, deadline: float) -> float | None:
        """Before the next attempt; None where there is none. A request that never began goes elsewhere at once."""
        now = asyncio.get_running_loop().time()
        if not fault.retry or attempt >= self._options.attempts:
            return None
        if fault.ended and self._pool.another(number, now):
            return 0.0
        alone = not self._pool.another(number, now)
        wait = backoff_seconds(attempt, random.random())
        if alone and fault.after_seconds is not None:
            wait = max(wait, fault.after_seconds)
        return wait if now + wait < deadline and self._retries.spend() else None

    def _given_up(self, number: int, fault: Fault, attempts: int) -> ModelError:
        tried = f" (attempt {attempts})" if attempts > 1 else ""
        return ModelError(self._options.model, f"{self._servers[number].url}: {fault.reason}{tried}", fault.remedy)

    def _all_troubles(self, what: str) -> str:
        said = [f"{self._servers[number].url}: {trouble}" for number, trouble in sorted(self._troubles.items())]
        return ": ".join([what, *filter(None, ["; ".join(said)])])

    # -- health

    async def _watch(self, number: int) -> None:
        """Looks at one server until the end: now and then while it answers, soon where it is left out."""
        while True:
            if self._pool.is_ejected(number):
                await asyncio.sleep(self._pool.wait_seconds(number))
            else:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._sick[number].wait(), LOOK_SECONDS)
                if self._pool.is_ejected(number):
                    continue
            self._sick[number].clear()
            try:
                await self._look(number)
            except Fault as fault:
                self._troubles[number] = fault.reason
                if self._pool.failed(number, at_once=fault.ended):
                    self._leave_out(number, fault)
                    self._sick[number].clear()

    async def _look(self, number: int) -> None:
        listed = await self._servers[number].models(HEALTH_SECONDS)
        try:
            mine = self._listed(number, listed)
        except ModelError as error:
            raise Fault(error.reason, ended=True) from None
        if not self._pool.is_ejected(number):
            return
        if self._able[number] is None:
            self._able[number] = await examine(self._servers[number], self._options.model, mine.owner)
        self._troubles.pop(number, None)
        self._pool.restore(number)
        self._tell()
        log.warning("model %s: %s is back", self._options.model, self._servers[number].url)

    async def close(self) -> None:
        for task in self._watchers:
            task.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        await asyncio.gather(*(server.close() for server in self._servers), return_exceptions=True)
