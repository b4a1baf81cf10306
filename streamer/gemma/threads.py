"""How many threads of a CPU a pass takes: measured as it goes, for it depends on what else the machine does.

A wide model's passes gain from all cores. A narrow model's small ones are over before a second thread has woken up; its
large ones (several pictures, a batch) gain, unless something else holds the other cores (decoding, a server, a
browser): then the threads wait for each other at each operator, and 10 ms become 100.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from streamer.gemma.devices import usable_cpus

WORTH_THREADS = 512
"""Hidden size from which on all cores are taken without asking."""
SOON, LATE = 4, 512
"""Passes between two trials of another number: after one that was better, and at most."""
_FIRST = 3
"""Passes before the first trial."""
_MEMORY = 0.7
_BETTER = 0.95
"""Of the pace so far: what a trial has to be below."""


def limit_threads(width: int) -> None:
    """No more of torch's threads than CPUs that this process may use; for a model of narrow hidden size one, from which
    `PassThreads` goes on."""
    threads = 1 if width < WORTH_THREADS else usable_cpus()
    if threads < torch.get_num_threads():
        torch.set_num_threads(threads)


@dataclass(slots=True)
class ThreadChoice:
    """The number of threads for passes of one kind: a power of two up to ``most``, or ``most``; two to begin with.
    No clock, no torch.

    Every now and then the next lower or higher number is tried, the more rarely the oftener that gained nothing.
    """

    most: int
    current: int = field(init=False)
    _pace: float | None = None
    """Seconds a unit of work with the current number, as far as known."""
    _interval: int = _FIRST
    _passes: int = 0
    """Since the last trial."""
    _upwards: bool = False

    def __post_init__(self) -> None:
        self.current = min(2, self.most)

    def pick(self) -> int:
        """For the next pass."""
        if self._pace is None or self._passes < self._interval:
            return self.current
        other = self._neighbour()
        return self.current if other is None else other

    def observe(self, threads: int, pace: float) -> None:
        """A pass with ``threads`` took ``pace`` seconds a unit of work."""
        if threads == self.current:
            self._passes += 1
            self._pace = pace if self._pace is None else _MEMORY * self._pace + (1 - _MEMORY) * pace
            return
        self._passes = 0
        if self._pace is not None and pace < _BETTER * self._pace:
            self.current, self._pace, self._interval = threads, pace, SOON
            return
        self._interval = min(LATE, max(SOON, 2 * self._interval))
        self._upwards = not self._upwards

    def _neighbour(self) -> int | None:
        higher = min(2 * self.current, self.most)
        lower = 1 << (self.current - 1).bit_length() - 1 if self.current > 1 else 0
        up, down = (higher if higher > self.current else None), (lower or None)
        return (up or down) if self._upwards else (down or up)


@dataclass(slots=True)
class PassThreads:
    """Sets torch's threads for the passes of one model. They are the whole process's, so the last one who sets them
    decides; used from the thread that runs the model."""

    most: int
    """1: nothing is chosen, torch's own number stays."""
    _choices: dict[Hashable, ThreadChoice] = field(default_factory=dict)

    @classmethod
    def of(cls, device: torch.device, width: int) -> PassThreads:
        """For a model of that hidden size."""
        return cls(usable_cpus() if device.type == "cpu" and width < WORTH_THREADS else 1)

    @contextmanager
    def over(self, kind: str, size: int) -> Iterator[None]:
        """A pass over ``size`` tokens or patches."""
        if self.most == 1:
            yield
            return
        choice = self._choices.setdefault((kind, size.bit_length() // 2), ThreadChoice(self.most))
        threads = choice.pick()
        torch.set_num_threads(threads)
        started = time.perf_counter()
        yield
        choice.observe(threads, (time.perf_counter() - started) / max(1, size))
