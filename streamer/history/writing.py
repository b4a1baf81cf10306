"""Results on their way to the database: a bounded queue, and the thread that writes them in batches."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streamer.errors import HistoryError, StreamerError
from streamer.results import FrameResult

log = logging.getLogger(__name__)

PAUSE_SECONDS = 0.25
"""How long the first result of a batch waits for others."""
TEND_SECONDS = 60.0
RETRY_SECONDS = (0.25, 5.0)
"""Until the first attempt after a failed one, and at most."""
CLOSE_SECONDS = 15.0


@dataclass(slots=True)
class Waiting:
    """A result that is not written yet."""

    number: int
    """Rises by one with each."""
    at: float
    """Unix seconds of capture."""
    result: FrameResult
    jpeg: bytes | None
    picture: str | None = None
    """What its picture is called, once that is on the disk."""

    @property
    def bytes(self) -> int:
        return len(self.jpeg or b"")


class Writer:
    """Writes what it is given on a thread of its own, and tends to the store once a minute.

    `put` never waits: when ``most`` results or ``most_bytes`` of their pictures wait, the oldest is dropped and
    counted. ``write`` takes a batch in one transaction, all or nothing; while it raises `HistoryError` the batch in
    hand is tried again, ever more slowly, and the queue goes on dropping its oldest.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Waiting]], None],
        tend: Callable[[], None],
        *,
        most: int,
        most_bytes: int,
        batch: int,
    ) -> None:
        self._write, self._tend = write, tend
        self._most, self._most_bytes, self._batch = most, most_bytes, batch
        self._changed = threading.Condition()
        self._queue: deque[Waiting] = deque()
        self._hand: Sequence[Waiting] = ()
        self._bytes = 0
        self._number = 0
        self._hurry = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._tend_at = 0.0
        self.dropped = 0
        """Results that were not written, for want of room or because the database refused them."""
        self.faults: dict[str, str] = {}
        """What cannot be done at the moment (``results``, ``pictures``, ``retention``) -> why."""

    @property
    def waiting(self) -> int:
        return len(self._queue) + len(self._hand)

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def start(self) -> None:
        """Calling it again does nothing."""
        with self._changed:
            if self._thread is None and not self.stopping:
                self._thread = threading.Thread(target=self._run, name="history", daemon=True)
                self._thread.start()

    def put(self, result: FrameResult, at: float, jpeg: bytes | None) -> None:
        """After `close` it is dropped."""
        with self._changed:
            self._number += 1
            entry = Waiting(self._number, at, result, jpeg)
            self._queue.append(entry)
            self.start()  # behind it: the first tending has something to look at
            self._bytes += entry.bytes
            while self._queue and (self.stopping or len(self._queue) > self._most or self._bytes > self._most_bytes):
                self._bytes -= self._queue.popleft().bytes
                self.dropped += 1
            if len(self._queue) == 1 or len(self._queue) >= self._batch:
                self._changed.notify_all()

    def flush(self, timeout_seconds: float) -> bool:
        """Waits until everything before is written or dropped; False where that took too long."""
        with self._changed:
            target = self._hurry = self._number
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._first() > target, timeout_seconds)

    def close(self) -> None:
        """Writes what waits, in one attempt, and ends the thread; calling it again does nothing."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)
            if self._thread.is_alive():
                log.warning("the history's thread is still busy; %d results are lost", self.waiting)

    def _first(self) -> int:
        """The lowest number that waits."""
        for entries in (self._hand, self._queue):
            if entries:
                return entries[0].number
        return self._number + 1

    # -- the thread

    def _run(self) -> None:
        try:
            while batch := self._next():
                self._write_lasting(batch)
                with self._changed:
                    self._hand = ()
                    self._changed.notify_all()
        except BaseException as error:
            self.faults["results"] = f"the thread that writes has ended: {error!r}"
            raise

    def _next(self) -> Sequence[Waiting]:
        """The next batch; empty at the end."""
        while True:
            with self._changed:
                if not self._queue:
                    self._changed.wait_for(lambda: self._queue or self.stopping, self._until_tending())
                if self._queue:
                    return self._take()
                if self.stopping:
                    return ()
            self._tend_if_due()

    def _take(self) -> Sequence[Waiting]:
        """Called with the lock; lets others in while it waits for more."""
        self._changed.wait_for(self._enough, PAUSE_SECONDS)
        self._hand = [self._queue.popleft() for _ in range(min(len(self._queue), self._batch))]
        self._bytes -= sum(entry.bytes for entry in self._hand)
        return self._hand

    def _enough(self) -> bool:
        return self.stopping or len(self._queue) >= self._batch or self._first() <= self._hurry

    def _write_lasting(self, batch: Sequence[Waiting]) -> None:
        pause, longest = RETRY_SECONDS
        while not self._attempt(batch):
            if self._stopping.wait(pause):
                if not self._attempt(batch):
                    self._lose(len(batch))
                break
            pause = min(2 * pause, longest)
            self._tend_if_due()  # which may make room
        self._tend_if_due()

    def _attempt(self, batch: Sequence[Waiting]) -> bool:
        try:
            self._write(batch)
        except HistoryError as error:
            if "results" not in self.faults:
                log.warning("results wait to be written: %s", error)
            self.faults["results"] = str(error)
            return False
        self.faults.pop("results", None)
        return True

    def _lose(self, count: int) -> None:
        """The batch in hand, and at the end all that wait: the database does not take them."""
        with self._changed:
            count += len(self._queue)
            self._queue.clear()
            self.dropped += count
        log.warning("%d results could not be written before the end", count)

    def _until_tending(self) -> float:
        return max(0.0, self._tend_at - time.monotonic())

    def _tend_if_due(self) -> None:
        if self._until_tending() > 0 or self.stopping:
            return
        self._tend_at = time.monotonic() + TEND_SECONDS
        try:
            self._tend()
        except StreamerError as error:
            if "retention" not in self.faults:
                log.warning("old results stay for now: %s", error)
            self.faults["retention"] = str(error)
        else:
            self.faults.pop("retention", None)
