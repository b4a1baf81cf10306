"""Decodes pieces of files at a node: an actor that takes one core and gives a block of frames a call."""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING

from streamer.errors import SourceError, StreamerError
from streamer.marking import Marking, Sampled
from streamer.sources import local_files, open_source

if TYPE_CHECKING:
    from streamer.filejob import AnnotateOptions
    from streamer.frames import Frame
    from streamer.sources.base import Size, Source

BLOCK_BYTES = 4 * 2**20
"""Of pictures in a block, unless one alone has more."""
BLOCK_SECONDS = 2.0
"""After which a block is given as it is."""

SizeOf = Callable[["Size"], "Size"]


@dataclass(frozen=True, slots=True)
class Order:
    """What to decode."""

    address: str
    first: int
    """Number of the first frame that is wanted."""
    count: int | None
    """None: all to the end."""
    skip: int
    """Number of the first frame to decode: the gate and questions about several frames need what comes before."""
    size_of: SizeOf
    """From a picture's size to that at which the model takes it."""


@dataclass(frozen=True, slots=True)
class Block:
    """Successive frames of a file."""

    earlier: tuple[Frame, ...] = ()
    """Those before them, which questions about several frames are about too."""
    frames: tuple[Sampled, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """What is in a block, so that nobody need fetch it to know."""

    frames: int
    new: int
    """Frames that the model has to answer."""
    end: bool
    """There is no more of the order."""
    damaged: int = 0
    """Parts of the source that could not be decoded, told with the end."""
    astray: bool = False
    """The file is not what its own tables say: numbers behind this are those of a decode from the beginning only."""
    fault: StreamerError | None = None
    """Why it ended early."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an actor runs."""

    node: str
    """Its id."""
    name: str
    streamer: str
    """The version there."""
    pid: int


def place() -> Place:
    """Of this process."""
    import ray

    return Place(ray.get_runtime_context().get_node_id(), socket.gethostname(), version("streamer"), os.getpid())


@dataclass(slots=True)
class _Running:
    """An order that is carried out."""

    source: Source
    sampled: Generator[Sampled]
    earlier: deque[Frame]
    given: int = 0
    faults: list[StreamerError] = field(default_factory=list)


class Decoder:
    """Carries out one order after the other. Used from one thread at a time."""

    def __init__(self, options: AnnotateOptions) -> None:
        self._options = options
        self._window = max(task.frames for task in options.tasks)
        self._running: _Running | None = None

    def place(self) -> Place:
        return place()

    def next(self, order: Order | None) -> tuple[Note, Block]:
        """The next block of ``order``, or of the one before where there is none."""
        if order is not None:
            self._end()
            try:
                self._running = self._begun(order)
            except StreamerError as error:
                return Note(0, 0, end=True, fault=error), Block()
        assert self._running is not None, "nothing was ordered"
        return self._block(self._running)

    def _begun(self, order: Order) -> _Running:
        _check_seen(order.address)
        options = self._options
        source = open_source(
            order.address,
            sampling=options.sampling,
            size_for=order.size_of,
            hwaccel=options.hwaccel,
            skip=order.skip,
        )
        marking = Marking(options.gate, window=self._window, known=order.first)
        last = None if order.count is None else order.first + order.count - order.skip
        sampled = (marking.of(frame) for frame in islice(source.frames(), last))
        return _Running(source, sampled, deque(maxlen=self._window - 1))

    def _block(self, running: _Running) -> tuple[Note, Block]:
        earlier: tuple[Frame, ...] | None = None
        frames: list[Sampled] = []
        size, until = 0, time.monotonic() + BLOCK_SECONDS
        for sampled in self._guarded(running):
            if sampled.state != "known":
                earlier = tuple(running.earlier) if earlier is None else earlier
                frames.append(sampled)
                size += sampled.frame.image.nbytes
            running.earlier.append(sampled.frame)
            full = size + sampled.frame.image.nbytes > BLOCK_BYTES or len(frames) >= self._options.batch
            if frames and (full or time.monotonic() > until):
                return _noted(frames), Block(earlier or (), tuple(frames))
        note = _noted(frames, end=True)
        counters, fault = running.source.counters, running.faults[0] if running.faults else None
        astray = bool(counters.corrupt or counters.faults)
        self._end()
        note = replace(note, damaged=counters.corrupt, astray=astray, fault=fault)
        return note, Block(earlier or (), tuple(frames))

    def _guarded(self, running: _Running) -> Generator[Sampled]:
        """A fault comes behind the frames before it."""
        try:
            yield from iter(lambda: next(running.sampled, None), None)  # which leaves them open for the next block
        except StreamerError as error:
            running.faults.append(error)

    def _end(self) -> None:
        if self._running is not None:
            self._running.source.close()
            self._running.sampled.close()
            self._running = None


def _noted(frames: list[Sampled], *, end: bool = False) -> Note:
    return Note(len(frames), sum(sampled.state == "new" for sampled in frames), end)


def _check_seen(address: str) -> None:
    """The job's own machine has seen the file; this node may not."""
    try:
        missing = [path for path in local_files(address)[:1] if not os.path.exists(path)]
        seen = not missing
    except SourceError:
        seen = False
    if not seen:
        raise SourceError(
            address,
            f"node {socket.gethostname()} of the cluster has no such file",
            "all nodes must see the files under the same address, in a shared folder",
        )
