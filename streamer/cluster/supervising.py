"""One stream of a cluster: its process is started, listened to, replaced where it fails, and moved."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streamer.addresses import redact
from streamer.cluster.camera import Plan, Wanted
from streamer.cluster.connecting import Node
from streamer.cluster.process import Lost, Patience, Process, Refused, Stopped, first_line
from streamer.cluster.recording import DistantRecording, DistantRing, PackedClip
from streamer.cluster.standing import Standing
from streamer.display import EncodedPicture, Wish
from streamer.errors import OutputError, StreamerError
from streamer.settings import StreamSettings, StreamStatus

if TYPE_CHECKING:
    from streamer.cluster.roster import Roster
    from streamer.frames import Frame
    from streamer.monitor import Event
    from streamer.results import FrameResult
    from streamer.sources.ring import Recording
    from streamer.tasks import Task

log = logging.getLogger(__name__)

_REST_SECONDS = 1.0
_STILL_SECONDS = 2.0
_FETCH_SECONDS = 30.0
_STOP_SECONDS = 2.0


class Supervised:
    """Owns a thread, and by it the stream's process, on whatever node.

    ``told(self, event)`` hears of pictures, boxes and states, ``heard(self, result, frame)`` of results; on this
    thread, ``told`` also on that of whoever changes something.
    """

    def __init__(
        self,
        plan: Plan,
        number: int,
        settings: StreamSettings,
        *,
        address: str,
        group: str,
        frames: bool,
        roster: Roster,
        patience: Patience,
        told: Callable[[Supervised, Event], None],
        heard: Callable[[Supervised, FrameResult, Frame | None], None],
    ) -> None:
        self.name, self.number = plan.name, number
        self._plan, self._roster, self._patience = plan, roster, patience
        self._standing = Standing(
            plan.name,
            number,
            address,
            settings,
            group,
            told=lambda event: told(self, event),
            heard=lambda result, frame: heard(self, result, frame),
        )
        self._lock = threading.RLock()
        self._wanted = Wanted(0, settings, lambda tasks: tasks, frames=frames)
        self._wishes: Counter[Wish] = Counter()
        self._watching = 0
        self._process: Process | None = None
        """That runs the stream; None between two of them."""
        self._destination: Node | None = None
        self._successor: Process | None = None
        self._rings = False
        self._recordings: dict[int, DistantRecording] = {}
        self._recording_numbers = itertools.count(1)
        self._stopping, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"stream {plan.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Tells the thread to end the process, and itself; returns at once."""
        self._stopping.set()
        self._wake.set()

    def join(self, timeout_seconds: float) -> bool:
        """Waits for that; False if it was not in time."""
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    # -- what others ask of it, from any thread

    def status(self) -> StreamStatus:
        return self._standing.status()

    @property
    def node(self) -> Node | None:
        """Where it runs; None between two processes."""
        process = self._process
        return None if process is None else process.node

    @property
    def pid(self) -> int | None:
        """Of its process on that node."""
        process = self._process
        found: int | None = None if process is None else process.ask("pid", seconds=_STILL_SECONDS)
        return found

    def change(self, edit: Callable[[StreamSettings], StreamSettings]) -> None:
        """Raises the `OptionError` of settings that cannot be."""
        with self._lock:
            new = edit(self._wanted.settings)
            if new == self._wanted.settings:
                return
            self._want(settings=new)
            self._standing.change(settings=new)

    def regroup(self, group: str) -> None:
        if group != self.status().group:
            self._standing.change(group=group)

    def add_tasks(self, extend: Callable[[tuple[Task, ...]], tuple[Task, ...]]) -> None:
        with self._lock:
            self._want(extend=extend)

    def want_frames(self, wanted: bool) -> None:
        """Whether results are to come with their frames."""
        with self._lock:
            if wanted != self._wanted.frames:
                self._want(frames=wanted)

    def ask_again(self) -> None:
        """Another analyzer is the stream's now."""
        with self._lock:
            self._want()

    def restart(self) -> None:
        with self._lock:
            self._want(restarts=self._wanted.restarts + 1)
        self._wake.set()

    def look(self, wish: Wish) -> Wish:
        """As `Showing.look`."""
        with self._lock:
            shared = wish.among(self._wishes)
            self._wishes[shared] += 1
            self._want(wishes=frozenset(self._wishes))
            return shared

    def unlook(self, wish: Wish) -> None:
        with self._lock:
            self._wishes[wish] -= 1
            self._wishes += Counter()
            self._want(wishes=frozenset(self._wishes))

    def watch(self, viewers: int) -> None:
        """So many more, or fewer, want the camera's own packets."""
        with self._lock:
            self._watching += viewers
            self._want(video=self._watching > 0)

    def still(self) -> EncodedPicture | None:
        """As `Stream.still`; the newest one that came here where the process does not answer."""
        process = self._process
        found = None if process is None else process.ask("still", seconds=_STILL_SECONDS)
        with self._lock:
            if found is None or process is not self._process:
                return self._standing.newest
            return self._standing.keep(found)

    @property
    def ring(self) -> DistantRing | None:
        return DistantRing(self._record) if self._rings else None

    @property
    def movable(self) -> bool:
        """Whether it is no harm to run it elsewhere."""
        process = self._process
        if process is None or self._destination is not None or self._recordings or self._standing.state != "live":
            return False
        return time.monotonic() - process.since >= self._patience.stay

    def move(self, node: Node) -> None:
        """Soon, once a process for it is up there."""
        self._destination = node

    # -- recordings

    def _record(self, before: float, after: float, at: float | None, longest: float) -> Recording:
        moment = time.monotonic() if at is None else at
        with self._lock:
            recording = DistantRecording(next(self._recording_numbers), moment, self)
            if self._process is None:
                recording.end("camera", _clip_lost())
            else:
                there = self._standing.there(moment)
                self._process.tell("record", recording.number, before, after, there, longest)
                self._recordings[recording.number] = recording
        return recording

    def extend(self, number: int, seconds: float) -> None:
        """As `Recorder.extend`."""
        process = self._process
        if process is not None:
            process.tell("extend", number, seconds)

    def fetch(self, number: int) -> PackedClip | StreamerError:
        """As `Recorder.fetch`."""
        with self._lock:
            process, known = self._process, self._recordings.pop(number, None)
        if process is None or known is None:
            return _clip_lost()
        return process.ask("fetch", number, seconds=_FETCH_SECONDS) or _clip_lost()

    # -- with the lock held

    def _want(self, **changes: Any) -> None:
        """From now on; the process is told."""
        revision, analyzer = self._wanted.revision + 1, self._roster.analyzer(self.name)
        self._wanted = replace(self._wanted, revision=revision, analyzer=analyzer, **changes)
        if self._process is not None:
            self._process.tell("apply", self._wanted)

    # -- its own thread

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._watch()
            except Stopped:
                break
            except Refused as refused:
                why = str(refused)
            except Lost as lost:
                why = f"{lost}; it starts again on a node that is well"
            except Exception as error:  # whatever one stream does, it is tried again and the others go on
                log.exception("stream %s: its process could not be looked after", self.name)
                why = redact(f"{type(error).__name__}: {first_line(error)}")
            self._stay()
            failures = 1 if time.monotonic() - began > self._patience.stay else failures + 1
            self._recover(why, self._patience.backoff(failures))
        self._roster.forget(self.name)

    def _recover(self, why: str, delay: float) -> None:
        """Says it, and waits until it is to be tried again."""
        if self._standing.state == "ended":  # it would begin anew
            self._wake.clear()
            while not (self._stopping.is_set() or self._wake.wait(_REST_SECONDS)):
                pass
            return
        log.warning("stream %s: %s", self.name, why)
        self._standing.wait(why, delay)
        self._stopping.wait(delay)

    def _watch(self) -> None:
        """By a process, and by those that it is moved to. Raises `Lost` and `Stopped`."""
        node = self._roster.place(self.name)
        if node is None:
            raise Refused("no node of the cluster has CPUs for it")
        process: Process | None = Process(self._roster.ray, self._plan, node)
        while process is not None:
            try:
                self._begin(process)
                self._listen(process)
            except Lost:
                self._roster.doubt(process.node)
                raise
            finally:
                self._dismiss(process)
            process = self._moved()

    def _begin(self, process: Process) -> None:
        with self._lock:
            self._want()
            wanted = self._wanted
        fault: StreamerError | None = self._called(process, "begin", wanted, seconds=self._patience.start)
        if fault is not None:
            raise Refused(str(fault))
        with self._lock:
            self._standing.begin()
            self._process = process
            if self._wanted is not wanted:  # it was changed meanwhile
                process.tell("apply", self._wanted)

    def _listen(self, process: Process) -> None:
        """Until a successor is up on another node."""
        wait, hang = self._patience.take, self._patience.hang
        while True:
            parcel = self._called(process, "take", wait, seconds=wait + hang)
            self._standing.open(parcel)
            self._rings = parcel.ring
            for number in parcel.recorded:
                if (recording := self._recordings.get(number)) is not None:
                    recording.end("complete")
            if self._successor_is_up(process):
                self._standing.open(self._called(process, "stop", seconds=hang))
                return

    def _called(self, process: Process, method: str, *words: Any, seconds: float) -> Any:
        asked_at = time.monotonic()
        found = process.call(method, *words, seconds=seconds, stopping=self._stopping, is_there=self._roster.is_there)
        self._roster.answered(process.node.id, asked_at)
        return found

    def _dismiss(self, process: Process) -> None:
        """Ends the process, with what can be had of its recordings where the stream is to end."""
        with self._lock:
            running, self._process, self._rings = self._process is process, None, False
            recordings, self._recordings = tuple(self._recordings.values()), {}
        stopping = self._stopping.is_set()
        for recording in recordings:
            rescued = process.ask("fetch", recording.number, seconds=_STOP_SECONDS) if stopping else None
            recording.end("camera", rescued or _clip_lost())
        if stopping:
            self._stay()
            if running:
                process.ask("stop", seconds=_STOP_SECONDS)
        process.kill()

    # -- moving

    def _successor_is_up(self, process: Process) -> bool:
        if self._destination is None:
            return False
        if self._successor is None:
            self._successor = Process(self._roster.ray, self._plan, self._destination)
        try:
            if self._successor.up():
                return True
            late = time.monotonic() - self._successor.since > self._patience.start
        except Lost:
            late = True
        if late:
            self._roster.doubt(self._successor.node)
            self._roster.settle(self.name, process.node)
            self._stay()
        return False

    def _stay(self) -> None:
        """The stream does not move."""
        if self._successor is not None:
            self._successor.kill()
        self._destination = self._successor = None

    def _moved(self) -> Process | None:
        """The successor, which takes over."""
        process, self._successor, self._destination = self._successor, None, None
        if process is not None:
            log.info("stream %s moves to node %s", self.name, process.node.name)
            self._roster.settle(self.name, process.node)
        return process


def _clip_lost() -> OutputError:
    return OutputError("clip", "the process that recorded it is gone", "it was on a node that failed or was left")
