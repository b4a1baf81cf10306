"""The live job: several streams, one model, results as they come. Freshness beats completeness."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self, TypeVar

from streamer.analyzer import Analyzer, Job, failed
from streamer.display import ANY, EncodedPicture, Wish
from streamer.errors import ModelError, OptionError
from streamer.frames import Frame
from streamer.questions import Question, Questions
from streamer.results import FrameResult
from streamer.settings import StreamSettings, StreamStatus, check_stream_name
from streamer.showing import Shown
from streamer.streams import Opener, Stream

if TYPE_CHECKING:
    from streamer.models.base import VisionModel
    from streamer.sources.base import Picture
    from streamer.sources.ring import PacketRing
    from streamer.tasks import Task

log = logging.getLogger(__name__)
T = TypeVar("T")

MAX_STREAMS = 64
CLOSE_SECONDS = 2.5
"""How long `Monitor.close` waits for its threads, all together."""


@dataclass(frozen=True, slots=True)
class StreamRemoved:
    """The stream is gone; nothing more comes from it."""

    stream: str
    number: int


Event = FrameResult | Shown | StreamStatus | StreamRemoved
"""What subscribers get: an answer, what viewers see (only while somebody looks), a stream's new state or settings."""
Subscriber = Callable[[Event], None]
"""Called on the job's threads: it must return soon, and must not call `Monitor.close` or `Monitor.remove`."""
Follower = Callable[[FrameResult, Frame | None], None]
"""As a `Subscriber`, with a result and its frame, which has the picture for viewers too (``display``); None for an
unchanged frame."""


class Look:
    """Somebody looks at a stream. ``wish`` is what its pictures are made by, other than ``asked`` where too many others
    are. Called, it ends that (once; again does nothing)."""

    def __init__(self, asked: Wish, wish: Wish, end: Callable[[], None]) -> None:
        self.asked, self.wish, self._end = asked, wish, end
        self._once = threading.Lock()

    def __call__(self) -> None:
        if self._once.acquire(blocking=False):
            self._end()


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """What the model thread handles at once."""

    frames: dict[Stream, Job | FrameResult]
    questions: list[Question]


class Monitor:
    """Watches streams with one model until it is closed. A context manager; does not own the model.

    Each stream is decoded on its own thread, which keeps the newest due frame; one that has not changed since the last
    analysed one gets its answers again, marked as reused. One model thread takes the waiting frames of all streams,
    those that waited longest first, at most ``max_batch`` in a batch. Everything here may be called from any thread.
    """

    most_streams = MAX_STREAMS

    def __init__(self, model: VisionModel, *, max_batch: int = 8, box_grid: int = 1000) -> None:
        if max_batch < 1:
            raise OptionError("max_batch", max_batch, "1 or more")
        self.model = model
        self._analyzer = Analyzer(model, box_grid=box_grid)
        self._max_batch = max_batch
        self._ready = threading.Condition()
        self._lock = threading.Lock()
        self._streams: dict[str, Stream] = {}
        self._next_number = 1
        self._subscribers: tuple[Subscriber, ...] = ()
        self._followers: tuple[Follower, ...] = ()
        self._questions = Questions()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._thread.start()

    # -- streams

    def add(
        self,
        name: str,
        opener: Opener,
        settings: StreamSettings | None = None,
        *,
        address: str = "",
        group: str = "",
    ) -> StreamStatus:
        """Starts a stream. ``opener()`` gives its source and is called on the stream's thread, so a source that cannot
        be opened becomes the stream's state ``failed``. ``address`` is shown to people (without passwords), ``group``
        is what viewers put it under.

        Raises `OptionError` for a name in use or empty, and beyond 64 streams.
        """
        with self._lock:
            check_stream_name(name, self._streams)
            if len(self._streams) >= self.most_streams or self._closing:
                raise OptionError("stream", name, f"at most {self.most_streams} streams in a running job")
            stream = Stream(
                name,
                self._next_number,
                opener,
                settings or StreamSettings(),
                address=address,
                size_for=self.model.size_for,
                prepare=self.model.prepare,
                ready=self._wake_model,
                reused=self._deliver,
                changed=self._tell_status,
                shown=self._tell,
                followed=lambda: bool(self._followers),
                group=group,
            )
            self._next_number += 1
            self._streams[name] = stream
            stream.start()
        return stream.status()

    def remove(self, name: str) -> None:
        """Ends a stream and waits for its thread (at most 2.5 s). Raises `OptionError` for an unknown name."""
        with self._lock:
            stream = self._find(name)
            del self._streams[name]
        stream.stop()
        if not stream.join(CLOSE_SECONDS):
            log.warning("stream %s: its thread is still busy", name)
        self._tell(StreamRemoved(name, stream.number))

    def change(self, name: str, edit: Callable[[StreamSettings], StreamSettings]) -> StreamStatus:
        """Applies ``edit`` to the stream's newest settings, in one step. Raises `OptionError` for an unknown name and
        for settings that cannot be; then nothing changes."""
        stream = self._stream(name)
        stream.change(edit)
        return stream.status()

    def regroup(self, name: str, group: str) -> None:
        """Puts the stream under another group. Raises `OptionError` for an unknown name."""
        self._stream(name).regroup(group)

    def add_tasks(self, name: str, extend: Callable[[tuple[Task, ...]], tuple[Task, ...]]) -> None:
        """From now on the stream is asked ``extend(settings.tasks)``: what rules need beside the tasks that people see.
        Raises `OptionError` for an unknown name."""
        self._stream(name).add_tasks(extend)

    def ring(self, name: str) -> PacketRing | None:
        """The stream's newest packets, to make clips of; None where none are kept, and for an unknown name."""
        with self._lock:
            stream = self._streams.get(name)
        return None if stream is None else stream.ring

    def restart(self, name: str) -> None:
        """Opens the stream's source again, from its start. Raises `OptionError` for an unknown name."""
        self._stream(name).restart()

    def status(self, name: str) -> StreamStatus:
        """Raises `OptionError` for an unknown name."""
        return self._stream(name).status()

    def statuses(self) -> tuple[StreamStatus, ...]:
        """All streams in the order in which they were added."""
        with self._lock:
            streams = tuple(self._streams.values())
        return tuple(stream.status() for stream in streams)

    # -- viewers

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Calls ``subscriber`` with every `Event` from now on; the returned function ends that."""
        with self._lock:
            self._subscribers = (*self._subscribers, subscriber)

        def unsubscribe() -> None:
            with self._lock:
                self._subscribers = tuple(other for other in self._subscribers if other is not subscriber)

        return unsubscribe

    def follow(self, follower: Follower) -> Callable[[], None]:
        """Calls ``follower`` with every result and its frame from now on; the returned function ends that."""
        with self._lock:
            self._followers = (*self._followers, follower)

        def unfollow() -> None:
            with self._lock:
                self._followers = tuple(other for other in self._followers if other is not follower)

        return unfollow

    def submit(self, job: Job, *, alone: bool = False) -> Future[FrameResult]:
        """Asks the model something beside the streams' own tasks, soon: the result has an ``error`` where the model
        failed. ``alone``: in a batch of its own, so that its timings are its own; streams wait that long. Raises
        `ModelError` where too many such questions wait; those that wait when the job ends are cancelled."""
        future: Future[FrameResult] = Future()
        with self._ready:
            if self._closing or not self._questions.put(Question(job, future, alone)):
                raise ModelError(self.model.name, "too many questions wait for it", "ask again in a while")
            self._ready.notify()
        return future

    def waiting(self) -> dict[str, int]:
        """What waits for the model now: frames of streams (at most one of each), and questions."""
        with self._lock:
            frames = sum(stream.waiting_since is not None for stream in self._streams.values())
        return {"frames": frames, "questions": len(self._questions)}

    def next_picture(self, name: str, take: Callable[[Picture, float], T]) -> Future[T]:
        """What ``take(picture, captured_at)`` gives for the stream's next picture; it is called on the stream's thread.
        Where none comes, it never ends. Raises `OptionError` for an unknown name."""
        return self._stream(name).showing.glances.ask(take)

    def look(self, name: str, wish: Wish = ANY) -> Look:
        """Asks for the stream's pictures until the `Look` is ended. They are encoded once for equal wishes, however
        many look. Raises `OptionError` for an unknown name."""
        showing = self._stream(name).showing
        shared = showing.look(wish)
        return Look(wish, shared, lambda: showing.unlook(shared))

    def watch(self, name: str) -> Callable[[], None]:
        """Asks for the stream's own H.264 packets (`VideoPacket`) until the returned function is called (once; again
        does nothing). None come of sources that have none, or none that browsers decode. Raises `OptionError` for an
        unknown name."""
        showing = self._stream(name).showing
        showing.watch()
        return Look(ANY, ANY, showing.unwatch)

    def still(self, name: str) -> EncodedPicture | None:
        """The newest picture at hand, also of a stream that has ended; None before its first frame. May encode.

        Raises `OptionError` for an unknown name.
        """
        return self._stream(name).still()

    # -- the end

    def close(self) -> None:
        """Ends all threads within 3 s; calling it again does nothing. A running model call is interrupted; its
        results reach nobody."""
        with self._lock:
            self._closing, self._subscribers = True, ()
            self._followers = ()
            streams, self._streams = tuple(self._streams.values()), {}
        for stream in streams:
            stream.stop()
        with self._ready:
            self._questions.cancel()
            self._ready.notify()
        deadline = time.monotonic() + CLOSE_SECONDS
        for stream in streams:
            if not stream.join(max(0.0, deadline - time.monotonic())):
                log.warning("stream %s: its thread is still busy", stream.name)
        self.model.interrupt()
        while self._thread.is_alive() and time.monotonic() < deadline:
            self._thread.join(0.05)
            self.model.interrupt()  # again: the first may have come just before a call began
        if self._thread.is_alive():
            log.warning("model %s: still busy with its last batch", self.model.name)

    @property
    def busy(self) -> bool:
        """Whether the model thread runs; after `close` only where a model call takes longer than `close` waits.

        A program that ends then has to leave by ``os._exit``: torch aborts where the interpreter's end cuts it off.
        """
        return self._thread.is_alive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- the model thread

    def _work(self) -> None:
        while batch := self._next_batch():
            jobs: dict[Stream, Job] = {}
            for stream, taken in batch.frames.items():
                if isinstance(taken, Job):
                    jobs[stream] = taken
                else:
                    self._deliver(stream, taken)
            asked = [*jobs.values(), *(question.job for question in batch.questions)]
            results = self._analyze(asked) if asked else []
            for (stream, job), result in zip(jobs.items(), results, strict=False):
                self._deliver(stream, _aged(job, result), job.frame)
            for question, result in zip(batch.questions, results[len(jobs) :], strict=True):
                question.future.set_result(result)

    def _next_batch(self) -> _Batch | None:
        """Waits until a frame or a question waits; None at the end of the job."""
        with self._ready:
            while not self._closing:
                questions = self._questions.take(frames_wait=self._frames_wait())
                alone = any(question.alone for question in questions)
                frames = {} if alone else self._take(time.monotonic())
                if frames or questions:
                    return _Batch(frames, questions)
                if not self._questions:
                    self._ready.wait()
        return None

    def _frames_wait(self) -> bool:
        with self._lock:
            return any(stream.waiting_since is not None for stream in self._streams.values())

    def _take(self, now: float) -> dict[Stream, Job | FrameResult]:
        """At most ``max_batch`` jobs, and the unchanged frames met on the way with their answers."""
        with self._lock:
            streams = tuple(self._streams.values())
        waiting = [(since, stream) for stream in streams if (since := stream.waiting_since) is not None]
        batch: dict[Stream, Job | FrameResult] = {}
        jobs = 0
        for _, stream in sorted(waiting, key=lambda pair: pair[0]):
            if taken := stream.take(now):
                batch[stream] = taken
                jobs += isinstance(taken, Job)
            if jobs == self._max_batch:
                break
        return batch

    def _analyze(self, jobs: Sequence[Job]) -> list[FrameResult]:
        try:
            return self._analyzer.analyze(jobs)
        except Exception as error:  # whatever a model does, the job goes on and says so
            log.exception("model %s: the batch failed", self.model.name)
            return [failed(job, self.model.name, f"the model failed: {type(error).__name__}: {error}") for job in jobs]

    def _deliver(self, stream: Stream, result: FrameResult, frame: Frame | None = None) -> None:
        """Of an analysed frame on the model thread, of an unchanged one on its stream's own where nothing is before
        it."""
        with self._lock:
            if self._streams.get(stream.name) is not stream:
                return
        result = stream.identified(result)
        stream.finished(result)
        self._hand_out(result, frame)
        stream.keep(result)

    # -- telling

    def _hand_out(self, result: FrameResult, frame: Frame | None) -> None:
        self._tell(result)
        for follower in self._followers:
            try:
                follower(result, frame)
            except Exception:  # a follower's fault is its own
                log.exception("a follower failed on %r", result)

    def _wake_model(self) -> None:
        with self._ready:
            self._ready.notify()

    def _tell_status(self, stream: Stream) -> None:
        self._tell(stream.status())

    def _tell(self, event: Event) -> None:
        for subscriber in self._subscribers:
            try:
                subscriber(event)
            except Exception:  # a subscriber's fault is its own
                log.exception("a subscriber failed on %r", event)

    def _stream(self, name: str) -> Stream:
        with self._lock:
            return self._find(name)

    def _find(self, name: str) -> Stream:
        if name not in self._streams:
            raise OptionError("stream", name, "one of " + (", ".join(self._streams) or "none yet"))
        return self._streams[name]


def _aged(job: Job, result: FrameResult) -> FrameResult:
    """With the age that it has now: it was not seen by anybody before."""
    if (captured_at := job.frame.captured_at) is None:
        return result
    age_ms, timings = (time.monotonic() - captured_at) * 1000, result.timings
    deliver_ms = None if timings.age_ms is None else max(0.0, age_ms - timings.age_ms)
    return replace(result, timings=replace(timings, age_ms=age_ms, deliver_ms=deliver_ms))
