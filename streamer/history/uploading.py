"""Files on their way to a store: a bounded queue, and the thread that sends them and tries again."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

log = logging.getLogger(__name__)

AT_ONCE = 16
"""Files a batch."""
FILES_AT_ONCE = 4
"""Of them, of those that lie on the disk."""
RETRY_SECONDS = (0.5, 30.0)
"""Until the first attempt after a failed one, and at most."""
DRAIN_SECONDS = 5.0
"""For what waits at the end."""
CLOSE_SECONDS = 30.0
HOLD_SECONDS = 90.0
"""At most, until a batch that is under way has come to its end."""
MAX_LOST = 100_000
MAX_SENT = 1000

Data = bytes | Path


class Uploads:
    """Sends what it is given on the thread ``pictures``.

    Pictures come from memory: when ``most`` or ``most_bytes`` of them wait, the oldest is dropped, counted and named by
    `take_lost`. Files on the disk wait until they are sent, however often it is tried, and are then removed here.
    """

    def __init__(
        self, send: Callable[[Mapping[str, Data]], Mapping[str, str | None]], *, most: int, most_bytes: int
    ) -> None:
        """``send``: writes files by their names; why not, for each."""
        self._send, self._most, self._most_bytes = send, most, most_bytes
        self._changed = threading.Condition()
        self._pictures: dict[str, bytes] = {}
        self._files: dict[str, Path] = {}
        self._sizes: dict[str, int] = {}
        """Of files that wait or were sent lately."""
        self._flying: frozenset[str] = frozenset()
        self._held: set[str] = set()
        """They are being removed elsewhere."""
        self._lost: deque[str] = deque(maxlen=MAX_LOST)
        self._bytes = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.dropped = 0
        self.fault: str | None = None

    @property
    def waiting(self) -> int:
        return len(self._pictures) + len(self._files)

    @property
    def file_bytes(self) -> int:
        """Of the files on the disk that wait."""
        with self._changed:
            return sum(self._sizes.get(name, 0) for name in self._files)

    def start(self) -> bool:
        """Whether it did not run before."""
        with self._changed:
            if self._thread is not None or self._stopping.is_set():
                return False
            self._thread = threading.Thread(target=self._run, name="pictures", daemon=True)
            self._thread.start()
            return True

    def put(self, name: str, data: bytes) -> None:
        """Never waits. After `close` the picture is lost."""
        with self._changed:
            self._pictures[name] = data
            self._bytes += len(data)
            for oldest in list(self._pictures):
                fits = len(self._pictures) <= self._most and self._bytes <= self._most_bytes
                if fits and not self._stopping.is_set():
                    break
                if oldest not in self._flying:
                    self._lose(oldest)
            self._changed.notify_all()

    def put_file(self, name: str, path: Path, size: int) -> None:
        with self._changed:
            self._files[name] = path
            self._sizes[name] = size
            self._changed.notify_all()

    def picture(self, name: str) -> bytes | None:
        """One that waits in memory."""
        return self._pictures.get(name)

    def file(self, name: str) -> Path | None:
        """One that waits on the disk."""
        return self._files.get(name)

    def has(self, name: str) -> bool:
        """Whether it waits."""
        with self._changed:
            return name in self._pictures or name in self._files

    def size(self, name: str) -> int | None:
        """Bytes of a file that waits or was sent lately."""
        return self._sizes.get(name)

    @contextmanager
    def removing(self, names: Collection[str]) -> Iterator[None]:
        """In the block they are not under way, and where it ends well they need not be sent any more."""
        with self._changed:
            self._held |= set(names)
            self._changed.wait_for(lambda: self._flying.isdisjoint(names), HOLD_SECONDS)
        try:
            yield
            with self._changed:
                for name in names:
                    self._sent(name)
        finally:
            with self._changed:
                self._held -= set(names)
                self._changed.notify_all()

    def take_lost(self) -> list[str]:
        with self._changed:
            lost = list(self._lost)
            self._lost.clear()
        return lost

    def close(self) -> None:
        """Sends what waits as long as that goes well, for 5 s; then pictures in memory are lost, and files wait for the
        next start."""
        with self._changed:
            self._stopping.set()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)
            if self._thread.is_alive():
                log.warning("the thread that sends pictures is still busy")
        with self._changed:
            count = len(self._pictures)
            for name in list(self._pictures):
                self._lose(name)
        if count:
            log.warning("%d pictures could not be sent before the end: %s", count, self.fault)

    def _lose(self, name: str) -> None:
        self._bytes -= len(self._pictures.pop(name))
        self._lost.append(name)
        self.dropped += 1

    # -- the thread

    def _run(self) -> None:
        pause, longest = RETRY_SECONDS
        deadline = float("inf")
        while batch := self._next():
            well = self._attempt(batch)
            if self._stopping.is_set():
                deadline = min(deadline, time.monotonic() + DRAIN_SECONDS)
                if not well or time.monotonic() > deadline:
                    return
            elif well:
                pause = RETRY_SECONDS[0]
            else:
                self._stopping.wait(pause)
                pause = min(2 * pause, longest)

    def _next(self) -> dict[str, Data]:
        """What is sent next, files first; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready() or self._stopping.is_set())
            batch = self._ready()
            self._flying = frozenset(batch)
            return batch

    def _ready(self) -> dict[str, Data]:
        files = ((name, path) for name, path in self._files.items() if name not in self._held)
        batch: dict[str, Data] = dict(islice(files, FILES_AT_ONCE))
        pictures = ((name, data) for name, data in self._pictures.items() if name not in self._held)
        return batch | dict(islice(pictures, AT_ONCE - len(batch)))

    def _attempt(self, batch: Mapping[str, Data]) -> bool:
        try:
            failed = {name: why for name, why in self._send(batch).items() if why is not None}
        except Exception as error:  # whatever a store does, the next batch is tried
            log.exception("pictures could not be sent")
            failed = dict.fromkeys(batch, type(error).__name__)
        with self._changed:
            self._flying = frozenset()
            for name in batch:
                if name not in failed:
                    self._sent(name)
                elif len(failed) < len(batch):  # it is the file's own fault, not the store's
                    self._move_back(name)
            if failed and self.fault is None:
                log.warning("pictures wait: %s", next(iter(failed.values())))
            self.fault = next(iter(failed.values()), None)
            self._changed.notify_all()
        return not failed

    def _sent(self, name: str) -> None:
        self._bytes -= len(self._pictures.pop(name, b""))
        if path := self._files.pop(name, None):
            path.unlink(missing_ok=True)
            while len(self._sizes) > MAX_SENT + len(self._files):
                self._sizes.pop(next(iter(self._sizes)))

    def _move_back(self, name: str) -> None:
        """So that it is in nobody's way."""
        if name in self._pictures:
            self._pictures[name] = self._pictures.pop(name)
        elif name in self._files:
            self._files[name] = self._files.pop(name)
