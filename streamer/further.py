"""Models beside a live job's own, which only comparisons ask: the same picture shown to several models."""

from __future__ import annotations

import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Self

from streamer.analyzer import Analyzer, Job, failed
from streamer.errors import ModelError, OptionError, StreamerError
from streamer.results import FrameResult
from streamer.sharing import CalledOff

if TYPE_CHECKING:
    from streamer.models.base import VisionModel
    from streamer.sharing import SharedModel

log = logging.getLogger(__name__)

AGAIN_SECONDS = 30.0
"""After which servers that could not be used are tried again, where somebody asks them."""
MAX_WAITING = 8
"""Questions to one model."""
CLOSE_SECONDS = 2.5
"""How long `FurtherModels.close` waits for its threads, all together."""


class FurtherModel:
    """One of them. Used from one thread at a time, but for what is only read; owns what it has loaded."""

    def __init__(self, name: str, load: Callable[[], VisionModel], *, beside: bool = False) -> None:
        """``name``: for people; ``load()`` raises a `StreamerError` where there is no such model. ``beside``: it runs
        on the machine of the job's own, so they take turns. It is loaded once then, or not at all: another try would
        come while streams are watched, and hold them up."""
        self.name, self.beside = name, beside
        self._load = load
        self.model: VisionModel | None = None
        """None before it is loaded, and where it cannot be."""
        self._analyzer: Analyzer | None = None
        self._fault: StreamerError | None = None
        self._failed_at = 0.0
        self._closed = False

    def open(self) -> VisionModel:
        """Loads it unless it is. Raises what ``load`` does, also where it did so lately."""
        if self.model is not None:
            return self.model
        if self._closed:
            raise ModelError(self.name, "it is closed")
        if self._fault is not None and (self.beside or time.monotonic() - self._failed_at < AGAIN_SECONDS):
            raise self._fault.with_traceback(None)  # or it would grow with every question
        try:
            with _threads_as_before(self.beside):
                loaded = self._load()
        except StreamerError as error:
            self._fault, self._failed_at = error, time.monotonic()
            raise
        self._fault = None
        if self._closed:  # meanwhile
            loaded.close()
            raise ModelError(self.name, "it is closed")
        self.model = loaded
        return loaded

    def analyze(self, job: Job) -> FrameResult:
        """Its answer. Raises as `open`."""
        if self._analyzer is None:
            self._analyzer = Analyzer(self.open())
        with _threads_as_before(self.beside):
            return self._analyzer.analyze([job])[0]

    def interrupt(self) -> None:
        """From any thread: what it does ends soon."""
        if (model := self.model) is not None:
            model.interrupt()

    def close(self) -> None:
        """Frees its memory; calling it again does nothing."""
        self._closed = True
        model, self.model, self._analyzer = self.model, None, None
        if model is not None:
            model.close()


class FurtherModels:
    """Asks each of them one question after the other, on a thread each. A context manager; closes the models.

    One that runs beside the job's own takes its turns as a file job does (`streamer.sharing`): neither slows the other
    while it answers, and the streams have four times as long before the next question. Everything here may be called
    from any thread.
    """

    def __init__(self, models: Sequence[FurtherModel], shared: SharedModel) -> None:
        """``shared``: the job's own. Names that are taken get a number behind them."""
        self._own, self._shared, self._guest = shared.model, shared, shared.guest()
        self._asked: dict[str, _Asked] = {}
        for model in models:
            name = _free(model.name, (self._own.name, *self._asked))
            turn = (lambda: shared.turn(self._guest, guest=True)) if model.beside else nullcontext
            self._asked[name] = _Asked(name, model, turn)

    @property
    def names(self) -> tuple[str, ...]:
        """That a comparison may ask for; the job's own model is the first."""
        return (self._own.name, *self._asked)

    def model(self, name: str) -> VisionModel | None:
        """As far as it is loaded. Raises `OptionError` for an unknown name."""
        return self._own if name == self._own.name else self._find(name).further.model

    def submit(self, name: str, job: Job) -> Future[FrameResult]:
        """Asks one that is not the job's own: the result has an ``error`` where it cannot be loaded or does not answer.
        Raises `OptionError` for an unknown name, and `ModelError` where too many questions wait."""
        return self._find(name).submit(job)

    def give_up(self, name: str, future: Future[FrameResult]) -> None:
        """Nobody waits for that answer of `submit` any more; it is interrupted where it is being made."""
        self._find(name).give_up(future)

    def close(self) -> None:
        """Ends all within 3 s; calling it again does nothing."""
        self._guest.stop()
        deadline = time.monotonic() + CLOSE_SECONDS
        for asked in self._asked.values():
            asked.stop()
        for asked in self._asked.values():
            asked.close(deadline)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _find(self, name: str) -> _Asked:
        if name not in self._asked:
            raise OptionError("model", name, "one of " + ", ".join(self.names))
        return self._asked[name]


class _Asked:
    """A model with its thread and the questions that wait for it."""

    def __init__(self, name: str, further: FurtherModel, turn: Callable[[], AbstractContextManager[None]]) -> None:
        self.further = further
        self._name, self._turn = name, turn
        self._questions: queue.Queue[tuple[Job, Future[FrameResult]] | None] = queue.Queue(MAX_WAITING)
        self._lock = threading.Lock()
        self._current: Future[FrameResult] | None = None
        self._stopped = False
        # By this name the program knows at its end that torch may still be at work.
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> Future[FrameResult]:
        future: Future[FrameResult] = Future()
        try:
            with self._lock:
                if self._stopped:
                    raise ModelError(self._name, "it is closed")
                self._questions.put_nowait((job, future))
        except queue.Full:
            raise ModelError(self._name, "too many questions wait for it", "ask again in a while") from None
        return future

    def give_up(self, future: Future[FrameResult]) -> None:
        with self._lock:
            if not future.cancel() and self._current is future:
                self.further.interrupt()

    def stop(self) -> None:
        """Whoever waits is told; the thread ends soon."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            while not self._questions.empty():
                if (waiting := self._questions.get_nowait()) is not None:
                    waiting[1].cancel()
            self._questions.put_nowait(None)

    def close(self, deadline: float) -> None:
        while self._thread.is_alive() and time.monotonic() < deadline:
            self.further.interrupt()  # again and again: one may come just before a call begins
            self._thread.join(0.05)
        if self._thread.is_alive():
            log.warning("model %s: still busy with its last question", self._name)
        self.further.close()

    def _work(self) -> None:
        while (question := self._questions.get()) is not None:
            job, future = question
            with self._lock:
                if not future.set_running_or_notify_cancel():
                    continue
                self._current = future
            try:
                result = self._answer(job)
            finally:
                with self._lock:
                    self._current = None
            future.set_result(result)

    def _answer(self, job: Job) -> FrameResult:
        try:
            self.further.open()
            with self._turn():
                return self.further.analyze(job)
        except CalledOff:
            return failed(job, self._name, "the job ends")
        except ModelError as error:
            return failed(job, self._name, f"{error.reason} ({error.remedy})" if error.remedy else error.reason)
        except StreamerError as error:
            return failed(job, self._name, str(error))
        except Exception as error:  # whatever a model does, the job goes on and says so
            log.exception("model %s: a comparison's question failed", self._name)
            return failed(job, self._name, f"the model failed: {type(error).__name__}: {error}")


@contextmanager
def _threads_as_before(beside: bool) -> Iterator[None]:
    """How many threads torch has is the whole process's matter: what this model takes is given back to the job's."""
    torch = sys.modules.get("torch") if beside else None
    if torch is None:
        yield
        return
    from streamer.gemma.devices import usable_cpus

    before = torch.get_num_threads()
    torch.set_num_threads(usable_cpus())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _free(wanted: str, taken: Sequence[str]) -> str:
    name, number = wanted, 2
    while name in taken:
        name, number = f"{wanted} ({number})", number + 1
    return name
