"""One model asked by many: what waits from all of them goes into one batch, longest waiting first."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from streamer.errors import ModelError, ModelInterrupted, StreamerError

if TYPE_CHECKING:
    from streamer.models.base import Generation, Request, VisionModel

log = logging.getLogger(__name__)

MAX_REQUESTS = 32
"""In a batch, unless one asker alone has more."""
MAX_ASKERS = 512
"""That may wait; further ones are refused."""
STALE_SECONDS = 10.0
"""After which a frame that waits is not worth an answer any more."""
CLOSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Asker:
    """Requests that belong together, as those of one frame."""

    requests: Sequence[Request]
    since: float
    """``time.monotonic()`` when they came."""
    future: Future[list[Generation] | StreamerError] = field(default_factory=Future)

    def tell(self, answers: list[Generation] | StreamerError) -> None:
        if self.future.set_running_or_notify_cancel():
            self.future.set_result(answers)


def next_batch(waiting: Sequence[Asker], most: int = MAX_REQUESTS) -> int:
    """How many of the ``waiting``, the first ones, go into the next batch: at least one where there is any."""
    total = 0
    for count, asker in enumerate(waiting):
        total += len(asker.requests)
        if count and total > most:
            return count
    return len(waiting)


class Gatherer:
    """Owns a thread that asks the model; does not own the model. `ask` may be called from any thread."""

    def __init__(self, model: VisionModel, *, most: int = MAX_REQUESTS, stale_seconds: float = STALE_SECONDS) -> None:
        self._model, self._most, self._stale_seconds = model, most, stale_seconds
        self._changed = threading.Condition()
        self._waiting: deque[Asker] = deque()
        self._closing = False
        self._began_at: float | None = None
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    @property
    def busy_seconds(self) -> float:
        """For which the model has been at its batch; 0 while it has none."""
        began = self._began_at
        return 0.0 if began is None else time.monotonic() - began

    def ask(self, requests: Sequence[Request]) -> Future[list[Generation] | StreamerError]:
        """The answers in the order of the requests, or why there are none."""
        asker = Asker(requests, time.monotonic())
        with self._changed:
            if self._closing or len(self._waiting) >= MAX_ASKERS:
                asker.tell(ModelError(self._model.name, "too many frames wait for it", "add a node"))
            else:
                self._waiting.append(asker)
                self._changed.notify()
        return asker.future

    def close(self) -> None:
        """Calls off what runs and what waits; calling it again does nothing."""
        with self._changed:
            self._closing = True
            left, self._waiting = tuple(self._waiting), deque()
            self._changed.notify()
        for asker in left:
            asker.tell(ModelInterrupted(self._model.name))
        self._model.interrupt()
        self._thread.join(CLOSE_SECONDS)

    def _work(self) -> None:
        while batch := self._next():
            self._began_at = time.monotonic()
            for asker, answers in zip(batch, self._answers(batch), strict=True):
                asker.tell(answers)
            self._began_at = None

    def _next(self) -> list[Asker]:
        """Waits until there is a batch; empty at the end."""
        with self._changed:
            while not self._closing:
                self._refuse_stale(time.monotonic())
                count = next_batch(tuple(islice(self._waiting, self._most)), self._most)
                if count:
                    return [self._waiting.popleft() for _ in range(count)]
                self._changed.wait()
        return []

    def _refuse_stale(self, now: float) -> None:
        while self._waiting and now - self._waiting[0].since > self._stale_seconds:
            reason = f"the frame waited for more than {self._stale_seconds:g} s"
            self._waiting.popleft().tell(ModelError(self._model.name, reason, "fewer frames a second"))

    def _answers(self, batch: Sequence[Asker]) -> list[list[Generation] | StreamerError]:
        """All at once; where that fails one asker after the other, so that a fault costs only its own answers."""
        requests = [request for asker in batch for request in asker.requests]
        try:
            found = iter(self._model.generate(requests))
            return [list(islice(found, len(asker.requests))) for asker in batch]
        except StreamerError as error:
            fault: StreamerError = error
        except Exception as error:  # whatever a model does, the next batch is answered
            log.exception("model %s: the batch failed", self._model.name)
            fault = ModelError(self._model.name, f"the model failed: {type(error).__name__}: {error}")
        if len(batch) == 1 or isinstance(fault, ModelInterrupted):
            return [fault] * len(batch)
        return [answers for asker in batch for answers in self._answers([asker])]
