"""One stream of a live job: its settings, its state, and the thread that decodes it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from streamer.addresses import redact
from streamer.analyzer import Job
from streamer.buffers import LatestSlot
from streamer.display import EncodedPicture, display_size
from streamer.errors import StreamerError
from streamer.frames import Frame
from streamer.gating import (
    AutoBudget,
    Gate,
    Sight,
    asks_for_detail,
    repeated,
)
from streamer.pacing import Pace, Rate, usual_gap
from streamer.settings import StreamSettings, StreamStatus
from streamer.showing import Showing, Shown
from streamer.tracking import Tracker, TrackerOptions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from streamer.results import FrameResult
    from streamer.sources.base import Picture, Size, Source, SourceInfo, State
    from streamer.sources.ring import PacketRing
    from streamer.tasks import Task

log = logging.getLogger(__name__)

Opener = Callable[[], "Source"]
"""Opens a stream's source; called on the stream's own thread, again at every restart."""

STALL_SECONDS = 3.0
STALE_SECONDS = 10.0
"""A frame that waited longer than this (or two intervals, if longer) is not analysed any more."""
MISSED = 3
"""Intervals between frames for which a track that is not seen can come back, if that is longer than the usual."""
MOST_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """A frame for the model, and what the gate knows of it."""

    frame: Frame
    sight: Sight
    budget: int


class Stream:
    """One source decoded on a thread of its own; keeps the newest due frame for the model.

    ``prepare(image, budget)`` is called with the picture of a frame that waits, then ``ready()``; ``reused(self,
    result)`` with the answers of an unchanged one, ``changed(self)`` when state or settings changed, ``shown(event)``
    with all that is for viewers; all of them on the stream's thread, ``changed`` also on that of the caller
    of `change`.
    ``followed()`` says whether frames need the picture for viewers too.
    """

    def __init__(
        self,
        name: str,
        number: int,
        opener: Opener,
        settings: StreamSettings,
        *,
        address: str,
        size_for: Callable[[Size, int], Size],
        prepare: Callable[[NDArray[np.uint8], int], None],
        ready: Callable[[], None],
        reused: Callable[[Stream, FrameResult], None],
        changed: Callable[[Stream], None],
        shown: Callable[[Shown], None],
        followed: Callable[[], bool] = lambda: False,
        group: str = "",
    ) -> None:
        self.name, self.number, self._group = name, number, group
        self._opener, self._address, self._size_for = opener, redact(address), size_for
        self._prepare, self._followed = prepare, followed
        self._ready, self._reused, self._changed = ready, reused, changed
        self._lock = threading.Lock()
        self._settings = settings
        self._extend: Callable[[tuple[Task, ...]], tuple[Task, ...]] = lambda tasks: tasks
        self._analysis = Pace(settings.fps)
        self.showing = Showing(name, settings.display_fps, shown)
        """For viewers."""
        self._analysed_rate, self._reused_rate, self._picture_rate = Rate(10.0), Rate(10.0), Rate()
        self._counts: Counter[str] = Counter()
        self._revision = 0
        self._state: State = "connecting"
        self._reason, self._since, self._last_picture_at = "", time.monotonic(), 0.0
        self._source: Source | None = None
        self._info: SourceInfo | None = None
        self._sequence = 0
        self._frames = 0
        self._openings = 0
        self._auto = AutoBudget()
        self._gate = _gate_of(settings)
        self._asked: int | None = None
        """Sequence of the frame whose answer unchanged frames may have once it was handed out."""
        self._known: FrameResult | None = None
        """That answer; None while the model thread has it in hand."""
        self._tracking = threading.Lock()
        self._tracker = Tracker(_tracking_of(settings, ()))
        self._results_at: deque[float] = deque(maxlen=6)
        """Media seconds of the newest results."""
        self._slot: LatestSlot[_Waiting] = LatestSlot()
        self.waiting_since: float | None = None
        """``time.monotonic()`` since when a frame (this or one before it) waits for the model; None if none does."""
        self._last: Frame | None = None
        self._earlier: deque[Frame] = deque(maxlen=15)
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"decode {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Tells the thread to end and returns at once; calling it again does nothing."""
        self._stopping.set()
        self._wake.set()
        with self._lock:
            source = self._source
        if source is not None:
            source.close()

    def join(self, timeout_seconds: float) -> bool:
        """Waits for the thread after `stop`; False if it has not ended in time."""
        self._thread.join(timeout_seconds)
        return not self._thread.is_alive()

    def restart(self) -> None:
        """Opens the source again, from its start."""
        with self._lock:
            source = self._source
        self._wake.set()
        if source is not None:
            source.close()

    # -- what others ask of it, from any thread

    @property
    def ring(self) -> PacketRing | None:
        """The newest packets of its source, where they are kept."""
        with self._lock:
            source = self._source
        return None if source is None else source.ring

    def add_tasks(self, extend: Callable[[tuple[Task, ...]], tuple[Task, ...]]) -> None:
        """From now on ``extend(settings.tasks)`` is asked; unlike `settings` nobody sees or changes it here."""
        with self._lock:
            if extend(self._settings.tasks) != self._extend(self._settings.tasks):
                self._gate, self._asked, self._known = _gate_of(self._settings), None, None
            self._extend = extend

    @property
    def settings(self) -> StreamSettings:
        return self._settings

    def change(self, edit: Callable[[StreamSettings], StreamSettings]) -> None:
        """Applies ``edit`` to the settings. Raises the `OptionError` of settings that cannot be."""
        with self._lock:
            new = edit(self._settings)
            if new == self._settings:
                return
            if not new.answers_like(self._settings):
                self._gate, self._asked, self._known = _gate_of(new), None, None
            self._settings, self._revision = new, self._revision + 1
            self._analysis.set_rate(new.fps)
            self.showing.set_rate(new.display_fps)
            if new.paused and self._taken() is not None:
                self._counts["paused"] += 1
        self._changed(self)

    def regroup(self, group: str) -> None:
        """Puts it into another group."""
        with self._lock:
            if group == self._group:
                return
            self._group, self._revision = group, self._revision + 1
        self._changed(self)

    def still(self) -> EncodedPicture | None:
        """The newest picture at hand, encoded now if none was lately; None before the first frame."""
        with self._lock:
            last, sequence = self._last, self._sequence
        return self.showing.still(last, sequence)

    def status(self) -> StreamStatus:
        now = time.monotonic()
        with self._lock:
            state, reason, since = self._state_at(now)
            info, source = self._info, self._source
            return StreamStatus(
                name=self.name,
                number=self.number,
                revision=self._revision,
                address=self._address or (info.address if info else ""),
                state=state,
                reason=reason,
                since_seconds=max(0.0, now - since),
                settings=self._settings,
                source_size=self._last.source_size if self._last else info.size if info else None,
                kind=info.kind if info else "",
                codec=info.codec if info else "",
                analysed_fps=self._analysed_rate.per_second(now),
                picture_fps=self._picture_rate.per_second(now),
                counts=self._counts | Counter({"dropped": source.counters.dropped if source else 0}),
                reconnects=source.counters.reconnects if source else 0,
                reused_fps=self._reused_rate.per_second(now),
                group=self._group,
                retry_seconds=None if source is None or source.retry_at is None else max(0.0, source.retry_at - now),
            )

    # -- the model's side

    def take(self, now: float) -> Job | FrameResult | None:
        """The waiting frame and what to ask of it, if there is anything to ask; the place is free then. The answers
        themselves where the frame was found to be like one that has been answered meanwhile."""
        with self._lock:
            waiting, settings = self._taken(), self._settings
            if waiting is None:
                return None
            frame = waiting.frame
            if now - waiting.sight.seconds > max(STALE_SECONDS, 2 / settings.fps):
                self._counts["stale"] += 1
                return None
            if (result := self._repeated(waiting)) is not None:
                self._asked, self._known = frame.sequence, None  # until it was handed out: later ones come behind it
                return result
            earlier = tuple(self._earlier)
            self._pass(frame)
            wanted = self._extend(settings.tasks)
            tasks = tuple(task for task in wanted if task.frames <= len(earlier) + 1)
            if not tasks:
                return None
            self._gate.analysed(waiting.sight)
            self._asked, self._known = frame.sequence, None
        budget = waiting.budget if settings.budget == "auto" else settings.budget
        return Job(frame, tasks, budget, earlier)

    def identified(self, result: FrameResult) -> FrameResult:
        """The result, its detections with the ids of their tracks. To be asked once of each, in order of time."""
        if result.error is not None:
            return result
        with self._tracking:
            self._results_at.append(result.time_seconds)
            self._tracker.options = _tracking_of(self._settings, self._results_at)
            found = self._tracker.update(result.detections, result.time_seconds)
        return replace(result, detections=found)

    def finished(self, result: FrameResult) -> None:
        """Counts a result that is handed out."""
        now = time.monotonic()
        with self._lock:
            if result.error is not None:
                self._counts["failed"] += 1
            elif result.reused:
                self._counts["reused"] += 1
                self._reused_rate.add(now)
            else:
                self._counts["analysed"] += 1
                self._analysed_rate.add(now)
        self.showing.learn(result)

    def keep(self, result: FrameResult) -> None:
        """Unchanged frames may have this answer from now on; called once it was handed out, so that it comes first."""
        with self._lock:
            if result.sequence != self._asked or result.error is not None:
                return
            auto = self._settings.budget == "auto" and not result.reused
            if not (auto and self._auto.hear(result.budget, asks_for_detail(result))):
                self._known = result

    # -- the stream's own thread

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._play()
            self._wake.wait()
            self._wake.clear()

    def _play(self) -> None:
        self._enter("connecting")
        try:
            with self._opener() as source:
                self._follow(source)
            self._enter("ended", "the source has no more pictures")
        except StreamerError as error:
            self._enter("failed", str(error))
        except Exception as error:  # a decoder's own fault must cost this stream alone
            log.exception("stream %s: the source broke", self.name)
            self._enter("failed", f"{type(error).__name__}: {redact(str(error))}")
        finally:
            with self._lock:
                self._source = None

    def _follow(self, source: Source) -> None:
        with self._lock:
            self._source = source
            self._openings += 1
        if self._wake.is_set():
            return
        for picture in source.pictures():
            if self._wake.is_set():
                return
            self._handle(picture, source)

    def _handle(self, picture: Picture, source: Source) -> None:
        now = time.monotonic()
        if self._state != "live":
            self._info = source.info
            self._enter("live")
        with self._lock:
            if now - self._last_picture_at > STALL_SECONDS:
                self._since = now  # it was away
            self._last_picture_at = now
            self._sequence += 1
            self._counts["pictures"] += 1
            self._picture_rate.add(now)
            settings = self._settings
            analyse = bool(self._extend(settings.tasks)) and self._analysis.due(now)
            show = self.showing.due(now)
            if analyse and settings.paused:
                self._counts["paused"] += 1
        if analyse and not settings.paused:
            self._offer(self._seen(picture, source, settings, now))
        captured = now if picture.captured_at is None else picture.captured_at
        self.showing.see(picture, source.ring, captured)
        if show:
            self.showing.show(picture, self._sequence, settings, captured)

    def _seen(self, picture: Picture, source: Source, settings: StreamSettings, now: float) -> _Waiting:
        """The picture at the model's size and how it looks to the gate, which also decides on the budget ``auto``."""
        auto = settings.budget == "auto"
        budget = self._auto.current if settings.budget == "auto" else settings.budget
        frame = self._frame(picture, budget, now)
        sight = Sight.of(frame, self._openings, source.counters.reconnects)
        if auto:
            with self._lock:
                wanted = self._auto.see(self._gate.look(sight).changed)
            if wanted != budget:
                frame, budget = self._frame(picture, wanted, now), wanted
        return _Waiting(frame, sight, budget)

    def _frame(self, picture: Picture, budget: int, now: float) -> Frame:
        began = time.perf_counter()
        image = picture.scaled(self._size_for(picture.source_size, budget))
        scaling_ms = (time.perf_counter() - began) * 1000
        wide = display_size(picture.source_size, self._settings.display_width)
        return Frame(
            image=image,
            source_size=picture.source_size,
            stream=self.name,
            sequence=self._frames,
            time_seconds=picture.time_seconds,
            index=picture.index,
            pts=picture.pts,
            time_base=picture.time_base,
            captured_at=now if picture.captured_at is None else picture.captured_at,
            decode_ms=picture.decode_ms + scaling_ms,
            display=picture.scaled(wide) if self._followed() else None,
        )

    def _offer(self, waiting: _Waiting) -> None:
        """Answers an unchanged frame at once where the answer is known, else lets the frame wait for the model."""
        with self._lock:
            self._frames += 1
            if self._settings.paused:
                self._counts["paused"] += 1
                return
            self._last = waiting.frame
            since = self.waiting_since
            self._counts["replaced"] += self._taken() is not None
            if (result := self._repeated(waiting)) is None:
                self._slot.put(waiting)
                self.waiting_since = waiting.sight.seconds if since is None else since
        if result is None:
            self._prepare(waiting.frame.image, waiting.budget)
            self._ready()
        else:
            self._reused(self, result)

    def _enter(self, state: State, reason: str = "") -> None:
        if self._wake.is_set():  # asked to end or to start again: what the old source says does not matter now
            return
        with self._lock:
            self._state, self._reason = state, reason
            self._since = self._last_picture_at = time.monotonic()
            self._revision += 1
        self._changed(self)

    # -- with the lock held

    def _taken(self) -> _Waiting | None:
        """The waiting frame, which does not wait any more; None if there is none."""
        self.waiting_since = None
        try:
            return self._slot.get(timeout=0)
        except TimeoutError:
            return None

    def _repeated(self, waiting: _Waiting) -> FrameResult | None:
        """The known answers for an unchanged frame; None for one that has to be analysed."""
        if self._known is None or self._gate.look(waiting.sight).analyse:
            return None
        self._pass(waiting.frame)
        result = repeated(self._known, waiting.frame)
        age_ms = (time.monotonic() - waiting.sight.seconds) * 1000
        queue_ms = max(0.0, age_ms - result.timings.decode_ms)
        return replace(result, timings=replace(result.timings, queue_ms=queue_ms, age_ms=age_ms, deliver_ms=0.0))

    def _pass(self, frame: Frame) -> None:
        """Later frames may be compared with this one."""
        self._earlier.append(frame)
        while len(self._earlier) > self._settings.window - 1:
            self._earlier.popleft()

    def _state_at(self, now: float) -> tuple[State, str, float]:
        """State, reason and since when. A source that comes back by itself knows best what it is waiting for; any other
        that should give pictures and gives none is stalled."""
        source = self._source
        if source is None or self._state not in ("connecting", "live"):
            return self._state, self._reason, self._since
        fault = source.counters.faults[-1] if source.counters.faults else ""
        if source.state in ("connecting", "stalled", "waiting"):
            return source.state, fault, self._last_picture_at
        if self._state == "live" and now - self._last_picture_at > STALL_SECONDS:
            return "stalled", fault or "no picture comes", self._last_picture_at
        return self._state, self._reason, self._since


def _gate_of(settings: StreamSettings) -> Gate:
    return Gate(settings.gate, max_age_seconds=settings.gate_seconds, window=settings.window)


def _tracking_of(settings: StreamSettings, times: Iterable[float]) -> TrackerOptions:
    """A thing may be missed twice, however far apart the frames are: as it is asked for, and as a slow model has it."""
    slowest = max(1 / settings.fps, usual_gap(times))
    patience = max(TrackerOptions().patience_seconds, MISSED * slowest)
    return TrackerOptions(patience_seconds=min(patience, MOST_PATIENCE_SECONDS))
