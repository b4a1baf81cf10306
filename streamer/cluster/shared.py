"""One loaded model for all streams of a node: the process that has it, and the model as a stream sees it."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from streamer.allocator import give_back, keep_what_is_loaded
from streamer.cluster.connecting import imported
from streamer.cluster.gathering import Gatherer
from streamer.errors import ModelError, ModelInterrupted, StreamerError
from streamer.gemma.budget import size_for

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from streamer.models.base import Generation, Request, VisionModel

ANSWER_SECONDS = 120.0
"""After which a question is given up though its analyzer lives."""
_SIZE_SECONDS = 3.0
_POLL_SECONDS = 0.2
"""How often a question that waits looks whether it was called off."""
_NOWHERE = "no node of the cluster runs it at the moment"


@dataclass(frozen=True, slots=True)
class Facts:
    """What `VisionModel` says of a model, for those who ask it from elsewhere."""

    name: str
    revision: str | None = None
    quantize: str | None = None
    caveat: str | None = None
    structured: bool = True

    @classmethod
    def of(cls, model: VisionModel) -> Facts:
        return cls(model.name, model.revision, model.quantize, model.caveat, model.structured)


class AnalyzerActor:
    """The process with the model, an actor of Ray. Faults are given back, not raised: Ray would write them into its
    logs. Its own loop answers while the model is busy."""

    def __init__(self, make: Callable[[], VisionModel], folder: str) -> None:
        """``folder``: of the program that asks, from where names of files are meant."""
        with suppress(OSError):
            os.chdir(folder)
        self._make = make
        self._model: VisionModel | None = None
        self._gatherer: Gatherer | None = None

    async def load(self) -> Facts | StreamerError:
        """To be called first; takes as long as the model does."""
        return await asyncio.to_thread(self._load)

    def _load(self) -> Facts | StreamerError:
        try:
            self._model = self._make()
        except StreamerError as error:
            return error
        except Exception as error:  # noqa: BLE001 - whatever it is, the one who started the job is told
            return ModelError("of the job", f"it cannot be loaded: {type(error).__name__}: {error}")
        self._gatherer = Gatherer(self._model)
        keep_what_is_loaded()
        return Facts.of(self._model)

    async def answer(self, requests: Sequence[Request]) -> list[Generation] | StreamerError:
        """As `VisionModel.generate`; waits for its turn."""
        if self._gatherer is None:
            return ModelError("of the job", "it is not loaded yet")
        return await asyncio.wrap_future(self._gatherer.ask(requests))

    async def size_for(self, source_size: tuple[int, int], budget: int) -> tuple[int, int] | None:
        """As `VisionModel.size_for`; None where there is no such size."""
        with suppress(StreamerError):
            return None if self._model is None else self._model.size_for(source_size, budget)
        return None

    async def busy_seconds(self) -> float:
        """As `Gatherer.busy_seconds`; whoever gets an answer knows that the process is well."""
        if (gatherer := self._gatherer) is None:
            return 0.0
        if gatherer.busy_seconds == 0:
            give_back()
        return gatherer.busy_seconds

    async def pid(self) -> int:
        return os.getpid()


class ClusterModel:
    """A `VisionModel` that an analyzer of the cluster runs; another one may be given at any time, and is asked again
    what the one before has not answered."""

    def __init__(self, facts: Facts, analyzer: Any | None = None) -> None:
        """``analyzer``: handle of an `AnalyzerActor`; None while there is none."""
        self.name, self.revision, self.quantize = facts.name, facts.revision, facts.quantize
        self.caveat, self.structured = facts.caveat, facts.structured
        self._analyzer = analyzer
        self._interrupted = threading.Event()
        self._sizes: dict[tuple[tuple[int, int], int], tuple[int, int]] = {}

    @property
    def fault(self) -> str | None:
        return _NOWHERE if self._analyzer is None else None

    def use(self, analyzer: Any | None) -> None:
        """Asks that one from now on; from any thread."""
        self._analyzer = analyzer

    def size_for(self, source_size: tuple[int, int], budget: int) -> tuple[int, int]:
        """Asks once for each size; while nobody answers that of Gemma 4's own checkpoints, which any model takes with
        another resize. Raises `OptionError`."""
        key = (source_size, budget)
        if key not in self._sizes:
            found = self._asked_size(source_size, budget)
            if found is None:
                return size_for(source_size, budget)
            self._sizes[key] = found
        return self._sizes[key]

    def _asked_size(self, source_size: tuple[int, int], budget: int) -> tuple[int, int] | None:
        ray, analyzer = imported(), self._analyzer
        if analyzer is None:
            return None
        try:
            found: tuple[int, int] | None = ray.get(
                analyzer.size_for.remote(source_size, budget), timeout=_SIZE_SECONDS
            )
        except ray.exceptions.RayError:
            return None
        return found

    def prepare(self, image: NDArray[np.uint8], budget: int) -> None:
        """Nothing: pictures are sent with their questions."""

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Answers in the order of the requests. Raises the model's own errors, `ModelInterrupted`, and `ModelError`
        where no analyzer answers."""
        ray = imported()
        self._interrupted.clear()
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            analyzer = self._analyzer
            if analyzer is None:
                raise ModelError(self.name, _NOWHERE, "it is started again")
            asked = analyzer.answer.remote(list(requests))
            if not self._waited(asked, analyzer, deadline):
                continue
            try:
                answers: list[Generation] | StreamerError = ray.get(asked)
            except ray.exceptions.RayError:
                if self._replaced(analyzer):
                    continue
                raise ModelError(self.name, "its process on the cluster ended", "it is started again") from None
            if isinstance(answers, StreamerError):
                raise answers
            return answers
        raise ModelError(self.name, f"it did not answer within {ANSWER_SECONDS:g} s", "see the nodes of the cluster")

    def _waited(self, asked: Any, analyzer: Any, deadline: float) -> bool:
        """Whether there is an answer; False where another analyzer is to be asked, and at the deadline."""
        while not imported().wait([asked], timeout=_POLL_SECONDS)[0]:
            if self._interrupted.is_set():
                raise ModelInterrupted(self.name)
            if self._analyzer is not analyzer or time.monotonic() > deadline:
                return False
        return True

    def _replaced(self, analyzer: Any) -> bool:
        """Whether another analyzer takes over within a moment."""
        return self._interrupted.wait(_POLL_SECONDS) or self._analyzer is not analyzer

    def interrupt(self) -> None:
        """From any thread: a running `generate` soon gives up with `ModelInterrupted`."""
        self._interrupted.set()

    def close(self) -> None:
        """Nothing: the analyzer is others' too."""
        self.interrupt()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
