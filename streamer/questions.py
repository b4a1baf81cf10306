"""Questions to a live job's model beside those of its streams: a bounded queue, and whose turn it is."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamer.analyzer import Job
    from streamer.results import FrameResult

MAX_QUESTIONS = 16
"""That may wait for the model."""
QUESTIONS_A_BATCH = 2
"""So many of them go into a batch with the streams' frames, so that neither holds up the other."""


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """A job, and who waits for its answer."""

    job: Job
    future: Future[FrameResult]
    alone: bool
    """Nothing else is in its batch, so that its time and passes are its own."""


class Questions:
    """First come, first served. Not locked: whoever uses it from several threads does that."""

    def __init__(self) -> None:
        self._waiting: deque[Question] = deque()
        self._alone_last = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, question: Question) -> bool:
        """False where too many wait; it is not taken then."""
        if len(self._waiting) >= MAX_QUESTIONS:
            return False
        self._waiting.append(question)
        return True

    def take(self, *, frames_wait: bool) -> list[Question]:
        """Those for the next batch, or a single one that wants to be alone. ``frames_wait``: then that one has to wait
        where the batch before was one like it, so that streams have every other batch at least."""
        taken: list[Question] = []
        while self._waiting and len(taken) < QUESTIONS_A_BATCH:
            first = self._waiting[0]
            if first.alone and (taken or (frames_wait and self._alone_last)):
                break
            self._waiting.popleft()
            if not first.future.set_running_or_notify_cancel():
                continue
            taken.append(first)
            if first.alone:
                break
        self._alone_last = bool(taken and taken[0].alone)
        return taken

    def cancel(self) -> None:
        """Nobody will be answered any more."""
        while self._waiting:
            self._waiting.popleft().future.cancel()
