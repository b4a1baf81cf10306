"""One model, two users: the live streams come first, a file job gets what they leave, and never nothing.

A model is used from one thread at a time. The live side takes it for a batch, the file job for a piece of one: the
questions about as few pictures as are answered in half a second. So a camera's frame waits for half a second at most,
and where the streams would take the model all the time, every piece is followed by four times its length for them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from streamer.errors import ModelInterrupted
from streamer.models.base import Generation, Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from streamer.models.base import VisionModel

PART = 0.2
"""Of the model's time that a file job has where the streams want all of it."""
PAUSE_SECONDS = 0.05
"""Between two live batches, in which the streams hand on their results and come again: no time for a guest."""
PIECE_SECONDS = 0.5
"""What a piece should take at most while streams are about."""
QUIET_SECONDS = 3.0
"""Without a live batch, after which a piece is as large as its batch."""


class CalledOff(Exception):
    """Ends a file job from within its model; no `StreamerError`, which would become an answer in its journal."""


@dataclass(slots=True)
class Turns:
    """Whose turn it is. Decisions only: time is an argument, in seconds."""

    live_ended: float = float("-inf")
    """When the newest live batch was done."""
    due: float = 0.0
    """From when on a guest that waits goes before the streams."""

    def guest_done(self, seconds: float, now: float) -> None:
        self.due = now + seconds * (1 - PART) / PART

    def live_done(self, now: float) -> None:
        self.live_ended = now

    def live_may(self, now: float, *, guest_waits: bool) -> bool:
        return not guest_waits or now < self.due

    def guest_may_at(self, now: float, *, live_waits: bool) -> float:
        """When the guest may go, if nothing changes before; ``now``: at once."""
        if now >= self.due:
            return now
        return self.due if live_waits else max(now, min(self.due, self.live_ended + PAUSE_SECONDS))

    def quiet(self, now: float) -> bool:
        return now - self.live_ended >= QUIET_SECONDS


@dataclass(slots=True)
class PieceSize:
    """How many pictures a guest asks about at a time."""

    current: int = 1

    def observe(self, pictures: int, seconds: float) -> None:
        if seconds > PIECE_SECONDS:
            self.current = max(1, pictures // 2)
        elif seconds < PIECE_SECONDS / 2 and pictures >= self.current:
            self.current = min(64, 2 * self.current)


class SharedModel:
    """Lends one model to the live side (`live`) and to one guest after the other (`guest`). Does not own the model."""

    def __init__(self, model: VisionModel) -> None:
        self.model = model
        self.turns = Turns()
        self._changed = threading.Condition()
        self._user: User | None = None
        self._waiting: list[User] = []
        self.live = Live(self)

    def guest(self) -> Guest:
        """For one file job."""
        return Guest(self)

    @contextmanager
    def turn(self, user: User, *, guest: bool) -> Iterator[None]:
        """The model is the user's as long as the block lasts. Raises what `User.check` does, also while it waits."""
        with self._changed:
            self._waiting.append(user)
            try:
                self._wait(user, guest)
            finally:
                self._waiting.remove(user)
                self._changed.notify_all()  # who waited for this one need not, where it gave up
            self._user = user
        started = time.monotonic()
        try:
            yield
        finally:
            with self._changed:
                self._user = None
                now = time.monotonic()
                if guest:
                    self.turns.guest_done(now - started, now)
                else:
                    self.turns.live_done(now)
                self._changed.notify_all()

    def _wait(self, user: User, guest: bool) -> None:
        while True:
            user.check()
            now = time.monotonic()
            others = any(isinstance(one, Guest) is not guest for one in self._waiting)
            if self._user is not None:
                at = float("inf")
            elif guest:
                at = self.turns.guest_may_at(now, live_waits=others)
            else:
                at = now if self.turns.live_may(now, guest_waits=others) else float("inf")
            if at <= now:
                return
            self._changed.wait(min(at - now, 1.0))

    def interrupt(self, user: User) -> None:
        """That user's call, not somebody else's: the model is not handed on meanwhile."""
        with self._changed:
            if self._user is user:
                self.model.interrupt()
            self._changed.notify_all()


class User:
    """A `VisionModel` that is another one, taken in turns."""

    def __init__(self, shared: SharedModel) -> None:
        self._shared = shared
        self._interrupted = threading.Event()

    @property
    def name(self) -> str:
        return self._shared.model.name

    @property
    def revision(self) -> str | None:
        return self._shared.model.revision

    @property
    def quantize(self) -> str | None:
        return self._shared.model.quantize

    @property
    def caveat(self) -> str | None:
        return self._shared.model.caveat

    @property
    def structured(self) -> bool:
        return self._shared.model.structured

    @property
    def fault(self) -> str | None:
        return self._shared.model.fault

    def size_for(self, source_size: tuple[int, int], budget: int) -> tuple[int, int]:
        return self._shared.model.size_for(source_size, budget)

    def prepare(self, image: NDArray[np.uint8], budget: int) -> None:
        self._shared.model.prepare(image, budget)

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        raise NotImplementedError

    def check(self) -> None:
        """Raises where it should not wait any longer."""
        if self._interrupted.is_set():
            raise ModelInterrupted(self.name)

    def interrupt(self) -> None:
        self._interrupted.set()
        self._shared.interrupt(self)

    def close(self) -> None:
        """The model is somebody else's."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class Live(User):
    """For the streams: a batch at a time."""

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        if not requests:
            return []
        self._interrupted.clear()
        with self._shared.turn(self, guest=False):
            return self._shared.model.generate(requests)


class Guest(User):
    """For a file job: a piece at a time, until `stop`."""

    def __init__(self, shared: SharedModel) -> None:
        super().__init__(shared)
        self._size = PieceSize()
        self._stopped = threading.Event()

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Raises `CalledOff` after `stop`."""
        self._interrupted.clear()
        answers: list[Generation] = []
        while len(answers) < len(requests):
            answers += self._piece(requests[len(answers) :])
        return answers

    def _piece(self, left: Sequence[Request]) -> list[Generation]:
        quiet = self._shared.turns.quiet(time.monotonic())
        count, pictures = _first(left, len(left) if quiet else self._size.current)
        with self._shared.turn(self, guest=True):
            started = time.monotonic()
            try:
                answers = self._shared.model.generate(left[:count])
            except ModelInterrupted:
                self.check()
                raise
        self._size.observe(pictures, time.monotonic() - started)
        return answers

    def check(self) -> None:
        if self._stopped.is_set():
            raise CalledOff
        super().check()

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def stop(self) -> None:
        """From any thread: the file job ends soon, whatever it waits for here, and nothing of that is an answer."""
        self._stopped.set()
        self._shared.interrupt(self)


def _first(requests: Sequence[Request], most: int) -> tuple[int, int]:
    """How many of the first requests are about ``most`` pictures (those about the same ones stay together), and about
    how many they are."""
    seen: list[tuple[int, ...]] = []
    for number, request in enumerate(requests):
        images = tuple(map(id, request.images))
        if images not in seen[-1:]:
            if len(seen) == most:
                return number, len(seen)
            seen.append(images)
    return len(requests), len(seen)
