"""The process of one stream: an actor of Ray that runs a `Monitor` with this one stream, on some node."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from streamer.allocator import give_back, keep_what_is_loaded
from streamer.cluster.decoder import place
from streamer.cluster.outbox import Outbox
from streamer.cluster.parcels import Parcel
from streamer.cluster.recording import PackedClip, Recordings
from streamer.cluster.shared import ClusterModel, Facts
from streamer.display import EncodedPicture, Wish
from streamer.errors import ClusterError, OptionError, StreamerError
from streamer.frames import Frame
from streamer.monitor import Event, Look, Monitor
from streamer.results import FrameResult
from streamer.settings import StreamSettings

if TYPE_CHECKING:
    from streamer.models.base import VisionModel
    from streamer.streams import Opener
    from streamer.tasks import Task

GIVE_BACK_SECONDS = 10.0
"""How often memory that is free is given back to the system."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a stream's process does; the same for all processes of the stream."""

    name: str
    opener: Opener = field(repr=False)
    """It knows the address with its password."""
    folder: str
    """Of the program that asks: names of files are meant from there, where the node has it too."""
    version: str
    """Of streamer there; nodes must have the same."""
    facts: Facts
    """Of the analyzers' model."""
    make: Callable[[], VisionModel] | None = None
    """Makes the model, one that asks servers; None: it is that of an analyzer."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be done with the stream at the moment, as a whole: the one of the highest revision counts, so that
    none comes too late."""

    revision: int
    settings: StreamSettings
    extend: Callable[[tuple[Task, ...]], tuple[Task, ...]] = field(repr=False)
    wishes: frozenset[Wish] = frozenset()
    """How pictures are looked at."""
    video: bool = False
    """Whether the camera's own packets are."""
    frames: bool = False
    """Whether results come with their frames."""
    restarts: int = 0
    """How often the source was to be opened again so far."""
    analyzer: Any | None = field(default=None, repr=False)
    """Handle of the analyzer to ask."""


class CameraActor:
    """Runs on several threads. Faults that people should read are given back, not raised: Ray would log them."""

    def __init__(self, plan: Plan) -> None:
        with suppress(OSError):
            os.chdir(plan.folder or ".")
        self._plan = plan
        self._outbox, self._recordings = Outbox(), Recordings()
        self._lock = threading.Lock()
        self._looks: dict[Wish, Look] = {}
        self._unwatch: Callable[[], None] | None = None
        self._given_back = time.monotonic()

    def begin(self, wanted: Wanted) -> StreamerError | None:
        """Starts the stream; why it cannot be. To be called first, and once."""
        here = place()
        if here.streamer != self._plan.version:
            reason = f"node {here.name} has streamer {here.streamer}, and this machine {self._plan.version}"
            return ClusterError("of the job", reason, "install the same on all machines")
        try:
            make = self._plan.make
            self._model: VisionModel = ClusterModel(self._plan.facts, wanted.analyzer) if make is None else make()
        except StreamerError as error:
            return error
        self._monitor = Monitor(self._model)
        self._monitor.subscribe(self._hear)
        self._applied = wanted
        self._following = wanted.frames
        if wanted.frames:
            self._monitor.follow(self._follow)
        self._status = self._monitor.add(self._plan.name, self._plan.opener, wanted.settings)
        self._apply(wanted, frozenset())
        keep_what_is_loaded()
        return None

    def apply(self, wanted: Wanted) -> None:
        """Does what is wanted from now on."""
        with self._lock:
            before = self._applied
            if wanted.revision <= before.revision:
                return
            self._applied = wanted
            if wanted.frames and not self._following:
                self._monitor.follow(self._follow)
                self._following = True
            with suppress(OptionError):  # the stream has ended meanwhile
                self._apply(wanted, before.wishes)
                if wanted.restarts != before.restarts:
                    self._monitor.restart(self._plan.name)

    def _apply(self, wanted: Wanted, wishes: frozenset[Wish]) -> None:
        name = self._plan.name
        if isinstance(self._model, ClusterModel):
            self._model.use(wanted.analyzer)
        self._monitor.change(name, lambda _: wanted.settings)
        self._monitor.add_tasks(name, wanted.extend)
        for wish in wanted.wishes - wishes:
            self._looks[wish] = self._monitor.look(name, wish)
        for wish in wishes - wanted.wishes:
            self._looks.pop(wish)()
        if wanted.video and self._unwatch is None:
            self._unwatch = self._monitor.watch(name)
        elif not wanted.video and self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    def take(self, wait_seconds: float) -> Parcel:
        """What has come since the last call, waiting at most so long for something."""
        if time.monotonic() - self._given_back > GIVE_BACK_SECONDS:
            give_back()
            self._given_back = time.monotonic()
        events = self._outbox.take(wait_seconds)
        with suppress(OptionError):  # it was stopped meanwhile
            self._status = self._monitor.status(self._plan.name)
        return Parcel(
            at=time.monotonic(),
            status=self._status,
            events=events,
            lost=self._outbox.lost,
            ring=self._monitor.ring(self._plan.name) is not None,
            recorded=self._recordings.ended(),
        )

    def still(self) -> EncodedPicture | None:
        """As `Monitor.still`."""
        return self._monitor.still(self._plan.name)

    def record(
        self, number: int, before_seconds: float, after_seconds: float, at: float, max_seconds: float
    ) -> StreamerError | None:
        """Begins a recording of that number; why it cannot be. ``at`` by the clock here."""
        ring = self._monitor.ring(self._plan.name)
        if ring is None:
            return OptionError("clip", self._plan.name, "a source whose packets are kept")
        try:
            self._recordings.begin(number, ring, before_seconds, after_seconds, at, max_seconds)
        except StreamerError as error:
            return error
        return None

    def extend(self, number: int, seconds: float) -> None:
        """As `Recording.extend`."""
        self._recordings.extend(number, seconds)

    def fetch(self, number: int) -> PackedClip | StreamerError:
        """Ends a recording."""
        return self._recordings.fetch(number)

    def stop(self) -> Parcel:
        """Ends the stream within 3 s; the last parcel."""
        last = self.take(0)
        self._monitor.close()
        self._model.close()
        self._outbox.close()
        return last

    def pid(self) -> int:
        """Of the process, once it is there."""
        return os.getpid()

    # -- on the monitor's threads

    def _hear(self, event: Event) -> None:
        if not isinstance(event, FrameResult):
            self._outbox.put(event)
        elif not self._following:
            self._outbox.put_result(event, None)

    def _follow(self, result: FrameResult, frame: Frame | None) -> None:
        self._outbox.put_result(result, frame if self._applied.frames else None)
