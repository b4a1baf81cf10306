"""An iteration on a thread of its own, a bounded number of values ahead of whoever takes them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Generic, Self, TypeVar

from streamer.buffers import BoundedQueue, Closed

T = TypeVar("T")


class Ahead(Generic[T]):
    """Iterates over ``values()`` on a thread called ``name``, at most ``size`` values ahead; it waits when full.

    A context manager that starts the thread and joins it. At the end of the block ``stop()`` is called until the thread
    has ended, so that it does not wait for something that nobody needs any more. An exception of the iteration is
    raised where the values are taken, behind those before it.
    """

    def __init__(
        self, name: str, values: Callable[[], Generator[T]], size: int, *, stop: Callable[[], None] = lambda: None
    ) -> None:
        self._values, self._stop = values, stop
        self._queue: BoundedQueue[T] = BoundedQueue(size)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        try:
            with closing(self._values()) as values:
                for value in values:
                    self._queue.put(value)
        except Closed:
            return
        except BaseException as error:  # noqa: BLE001 - raised again where the values are taken
            self._queue.finish(error)
        else:
            self._queue.finish()

    def __iter__(self) -> Iterator[T]:
        return iter(self._queue)

    def close(self) -> None:
        """No more values are wanted, also from another thread; the end of the block does the rest."""
        self._queue.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
        while self._thread.is_alive():
            self._stop()
            self._thread.join(0.05)
