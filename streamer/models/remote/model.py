"""A model on servers elsewhere as a `VisionModel`."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, TypeVar

from streamer.errors import ModelError, ModelInterrupted, OptionError, StreamerError
from streamer.gemma.budget import check_budget
from streamer.models.base import Generation, Request
from streamer.models.local import TINY_CAVEAT
from streamer.models.remote.fleet import Fleet
from streamer.models.remote.options import RemoteOptions
from streamer.models.remote.pictures import Seen, SentPicture, SentPictures, sent_size

if TYPE_CHECKING:
    from collections.abc import Coroutine

    import numpy as np
    from numpy.typing import NDArray

CLOSE_SECONDS = 2.0
_GRACE_SECONDS = 5.0
"""Beyond the deadline, after which a call is given up though its loop says nothing."""
T = TypeVar("T")


class RemoteModel:
    """Asks OpenAI-compatible servers. Used from one thread at a time; a context manager.

    A thread of its own, ``remote``, runs the requests and looks after the servers. The requests of a batch are under
    way together, as many as the servers' places allow.
    """

    def __init__(self, options: RemoteOptions, *, progress: Callable[[str, float | None], None] | None = None) -> None:
        """Looks at the servers and asks them what they can: `findings`. Raises `ModelError` where none can be used or
        one does not have the model."""
        self.name: str = options.model
        self.revision: str | None = None
        self.quantize: str | None = None
        self._options = options
        self._sent = SentPictures(lossless=options.lossless)
        self._lock = threading.Lock()
        self._running: Future[Any] | None = None
        self._closed = False
        self._kept: dict[int, tuple[Request, Generation | StreamerError]] = {}
        """Of the last batch, where a part of it failed, by the request's ``id``."""
        self._loop = _Loop(options)
        if progress is not None:
            progress(f"asking {', '.join(options.urls)} what they can do", None)
        try:
            self.findings: tuple[str, ...] = tuple(self._loop.call(self._loop.fleet.start()).result())
        except BaseException:
            self.close()
            raise
        self.structured = self._loop.fleet.structured
        self.caveat: str | None = TINY_CAVEAT if self._loop.fleet.tiny else None

    @property
    def fault(self) -> str | None:
        return self._loop.fleet.fault

    def size_for(self, source_size: tuple[int, int], budget: int) -> tuple[int, int]:
        """``(width, height)`` at which a picture is sent. Raises `OptionError`."""
        return sent_size(source_size, budget)

    def prepare(self, image: NDArray[np.uint8], budget: int) -> None:
        """From any thread: encodes the picture, so that `generate` need not."""
        with suppress(OptionError):
            if not self._closed:
                self._sent.prepare(image, budget)

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Answers in the order of the requests, within `RemoteOptions.deadline_seconds` altogether.

        Where some fail, the first one's `ModelError` is raised when all are done; what became of the others is kept
        until the next call: whoever then asks the same requests one by one, as the analyzer does, has their answers
        without another word to a server. Raises `OptionError` for a bad request, `ModelInterrupted`, and `ModelError`
        after `close`.
        """
        if not requests:
            return []
        if self._closed:
            raise ModelError(self.name, "it is closed")
        outcomes = self._again(requests)
        if outcomes is None:
            outcomes = self._asked(requests)
            failed = any(isinstance(outcome, StreamerError) for outcome in outcomes)
            if failed and len(requests) > 1:
                self._kept = {id(one): (one, outcome) for one, outcome in zip(requests, outcomes, strict=True)}
        for outcome in outcomes:
            if isinstance(outcome, StreamerError):
                raise outcome
        return [outcome for outcome in outcomes if isinstance(outcome, Generation)]

    def _again(self, requests: Sequence[Request]) -> list[Generation | StreamerError] | None:
        """What is kept of the same requests; None, and nothing kept any more, where others are asked."""
        if any(id(request) not in self._kept for request in requests):
            self._kept = {}
            return None
        return [self._kept.pop(id(request))[1] for request in requests]

    def _asked(self, requests: Sequence[Request]) -> list[Generation | StreamerError]:
        deadline = time.monotonic() + self._options.deadline_seconds
        shown: list[tuple[SentPicture, ...]] = []
        preparing: list[float] = []
        seen: Seen = {}
        for request in requests:
            started = time.monotonic()
            _check(request)
            shown.append(tuple(self._sent.get(image, request.budget, seen) for image in request.images))
            preparing.append((time.monotonic() - started) * 1000)
        answers = self._run(self._loop.fleet.answer_all(requests, shown, deadline), deadline)
        return [
            replace(answer, preprocess_ms=ms, agreement=request.agreement) if isinstance(answer, Generation) else answer
            for request, answer, ms in zip(requests, answers, preparing, strict=True)
        ]

    def _run(self, work: Coroutine[Any, Any, T], deadline: float) -> T:
        with self._lock:
            self._running = future = self._loop.call(work)
        try:
            return future.result(deadline - time.monotonic() + _GRACE_SECONDS)
        except CancelledError:
            raise ModelInterrupted(self.name) from None
        except TimeoutError:
            raise ModelError(self.name, "its requests did not end in time") from None
        finally:
            with self._lock:
                self._running = None
            future.cancel()

    def interrupt(self) -> None:
        """From any thread: a running `generate` gives up at once, with `ModelInterrupted`; its connections close, which
        ends the work at servers that notice."""
        with self._lock:
            if self._running is not None:
                self._running.cancel()

    def close(self) -> None:
        """Ends requests, connections and the thread; calling it again does nothing."""
        self._closed = True
        self.interrupt()
        self._kept = {}
        self._sent.forget()
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class _Loop:
    """The thread ``remote`` with an event loop, and the fleet on it."""

    def __init__(self, options: RemoteOptions) -> None:
        self._begun: Future[Fleet] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live(options)), name="remote", daemon=True)
        self._thread.start()
        self.fleet = self._begun.result()

    async def _live(self, options: RemoteOptions) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        try:
            fleet = Fleet(options)
        except BaseException as error:  # noqa: BLE001 - raised again where the fleet is waited for
            self._begun.set_exception(error)
            return
        self._begun.set_result(fleet)
        try:
            await self._over.wait()
        finally:
            await fleet.close()

    def call(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Runs ``work`` on the loop; cancelling the future cancels it there."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        if self._thread.is_alive():
            with suppress(RuntimeError):  # the loop ended in between
                self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(CLOSE_SECONDS)


def _check(request: Request) -> None:
    """Raises `OptionError` for what no server can be asked."""
    check_budget(request.budget)
    if request.start:
        raise OptionError("start", request.start, "nothing: a server begins its answers itself")
    if request.max_tokens < 1:
        raise OptionError("max_tokens", request.max_tokens, "a whole number above 0")
    if not 0 <= request.temperature < float("inf"):
        raise OptionError("temperature", request.temperature, "0 (greedy) or a number above")
