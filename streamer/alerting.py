"""From live results to the history and to alerts: rules are judged here, alerts begin, grow and end."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from streamer.alertbook import AlertBook, new_id
from streamer.alerts import Alert
from streamer.analyzer import Job
from streamer.clips import ClipOptions, ClipWriter
from streamer.display import encode_jpeg
from streamer.errors import HistoryError, OptionError, StreamerError
from streamer.frames import Frame
from streamer.monitor import Event, Monitor, StreamRemoved
from streamer.outputs.drawing import draw_detections
from streamer.pacing import usual_gap
from streamer.results import FrameResult
from streamer.rules import Change, Rule, RuleWatcher, WatchState
from streamer.rules.asking import with_rules
from streamer.rules.watching import MAX_SILENCE_SECONDS
from streamer.tasks import Task

if TYPE_CHECKING:
    from streamer.history import History

log = logging.getLogger(__name__)

MAX_WAITING = 256
"""Results that may wait here; beyond them the oldest is dropped and counted."""
TICK_SECONDS = 1.0
CLOSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    result: FrameResult
    frame: Frame | None
    at: float
    """Unix seconds when its picture was captured."""


@dataclass(slots=True, eq=False)
class _Stream:
    """What is known of one stream."""

    watchers: dict[str, RuleWatcher] = field(default_factory=dict)
    """By their rules' names."""
    armed_at: dict[str, float] = field(default_factory=dict)
    """Unix seconds: pictures from before were not asked what the rule needs."""
    frame: Frame | None = None
    """The newest one that was analysed: what an unchanged picture looks like."""
    seen_at: deque[float] = field(default_factory=lambda: deque(maxlen=6))
    """Unix seconds of the newest results' pictures."""


class Alerting:
    """Follows a `Monitor` on a thread of its own. A context manager; owns neither monitor nor history.

    Results go to the history with their picture. A rule that begins to hold makes an alert: in the history first, then
    to ``wake`` (channels) and to those who `subscribe`. Its description and its clip follow as updates.
    """

    def __init__(
        self,
        monitor: Monitor,
        history: History,
        rules: Iterable[Rule] = (),
        *,
        clips: ClipOptions | None = None,
        channels: Callable[[], tuple[str, ...]] = lambda: (),
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """``channels()``: names of all channels; ``wake()`` says that there are new notices for them."""
        self._monitor, self._history, self._channels = monitor, history, channels
        self._lock = threading.RLock()
        self._rules: dict[str, Rule] = {}
        self._streams: dict[str, _Stream] = {}
        self._running: dict[tuple[str, str], str] = {}
        """(rule, stream) -> id of the alert that goes on."""
        self._waiting: deque[_Seen] = deque()
        self._ready = threading.Condition()
        self._closing = False
        self.dropped = 0
        """Results that came faster than they could be handled."""
        self.book = AlertBook(history, self._lock, self._channels_of, wake)
        """What became of alerts; who wants to hear of them subscribes there."""
        self.clips = ClipWriter(history, self._clip_done, clips)
        self._rules = {rule.name: rule for rule in rules}
        self.book.end_left_over()
        self.set_rules(self._rules.values())
        self._unfollow = (monitor.follow(self._put), monitor.subscribe(self._hear))
        self._thread = threading.Thread(target=self._work, name="alerts", daemon=True)
        self._thread.start()

    # -- what others ask of it, from any thread

    @property
    def rules(self) -> tuple[Rule, ...]:
        with self._lock:
            return tuple(self._rules.values())

    @property
    def waiting(self) -> int:
        """Results that wait here."""
        return len(self._waiting)

    def set_rules(self, rules: Iterable[Rule]) -> None:
        """These and no others from now on; alerts of rules that are gone or were changed end."""
        with self._lock:
            self._rules = {rule.name: rule for rule in rules}
            for name, stream in self._streams.items():
                self._watch(name, stream)
            for status in self._monitor.statuses():
                self.ask(status.name)

    def ask(self, stream: str) -> None:
        """The stream is asked what rules need to know of it; to be called for a new stream."""
        rules = [rule for rule in self._rules.values() if rule.applies_to(stream)]
        try:
            self._monitor.add_tasks(stream, lambda tasks: with_rules(tasks, rules))
        except OptionError:  # it was removed meanwhile
            return

    def states(self) -> Mapping[tuple[str, str], WatchState]:
        """(rule, stream) -> where it stands."""
        with self._lock:
            return {
                (rule, name): watcher.state
                for name, stream in self._streams.items()
                for rule, watcher in stream.watchers.items()
            }

    def close(self) -> None:
        """Ends running alerts and all threads within 5 s; calling it again does nothing."""
        for end in self._unfollow:
            end()
        with self._ready:
            self._closing = True
            self._ready.notify()
        self._thread.join(CLOSE_SECONDS)
        if self._thread.is_alive():
            log.warning("the thread of the alerts is still busy")
        self.clips.close()
        self.book.save_again()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # -- on the job's threads

    def _put(self, result: FrameResult, frame: Frame | None) -> None:
        at = time.time() - (result.timings.age_ms or 0.0) / 1000
        with self._ready:
            if len(self._waiting) >= MAX_WAITING:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(_Seen(result, frame, at))
            self._ready.notify()

    def _hear(self, event: Event) -> None:
        if isinstance(event, StreamRemoved):
            with self._lock:
                stream = self._streams.pop(event.stream, None)
                for watcher in stream.watchers.values() if stream else ():
                    self._apply(watcher, watcher.close(time.time()))

    # -- on the thread of the alerts

    def _work(self) -> None:
        ticked = time.monotonic()
        while True:
            with self._ready:
                if not self._waiting and not self._closing:
                    self._ready.wait(TICK_SECONDS)
                seen = self._waiting.popleft() if self._waiting else None
                if seen is None and self._closing:
                    break
            try:
                if seen is not None:
                    self._see(seen)
                if time.monotonic() - ticked >= TICK_SECONDS:
                    ticked = time.monotonic()
                    self._tick()
            except Exception:  # whatever one result does, the next ones are looked at
                log.exception("a result could not be judged")
        self._end_all()

    def _see(self, seen: _Seen) -> None:
        result, frame = seen.result, seen.frame
        with self._lock:
            stream = self._streams.get(result.stream)
            if stream is None:
                stream = self._streams[result.stream] = _Stream()
                self._watch(result.stream, stream)
            if frame is not None:
                stream.frame = frame
            stream.seen_at.append(seen.at)
            self._allow_silence(result.stream, stream)
            jpeg = None if frame is None else encode_jpeg(_picture(frame))
            self._history.put(result, seen.at, jpeg)
            for name, watcher in stream.watchers.items():
                if seen.at >= stream.armed_at[name]:
                    self._apply(watcher, watcher.see(result, seen.at), seen)

    def _tick(self) -> None:
        with self._lock:
            now = time.time()
            for stream in self._streams.values():
                for watcher in stream.watchers.values():
                    self._apply(watcher, watcher.pass_time(now))
            for id in self._running.values():
                self.clips.extend(id)
            self.book.save_again()

    def _end_all(self) -> None:
        with self._lock:
            for stream in self._streams.values():
                for watcher in stream.watchers.values():
                    self._apply(watcher, watcher.close(time.time()))

    # -- with the lock held

    def _watch(self, name: str, stream: _Stream) -> None:
        """Watchers for the rules of now: new ones where a rule was changed."""
        wanted = {rule.name: rule for rule in self._rules.values() if rule.enabled and rule.applies_to(name)}
        for rule_name, watcher in list(stream.watchers.items()):
            if wanted.get(rule_name) != watcher.rule:
                self._apply(watcher, watcher.close(time.time()))
                del stream.watchers[rule_name]
        for rule in wanted.values():
            if rule.name not in stream.watchers:
                stream.watchers[rule.name] = RuleWatcher(rule, name, cool_until=self._cooling(rule, name))
                stream.armed_at[rule.name] = time.time()
        self._allow_silence(name, stream)

    def _allow_silence(self, name: str, stream: _Stream) -> None:
        """Several intervals between results, as they are asked for and as they come: a slow model's come seldom."""
        try:
            asked = 1 / self._monitor.status(name).settings.fps
        except OptionError:  # it was removed meanwhile
            return
        usual = usual_gap(stream.seen_at)
        for watcher in stream.watchers.values():
            watcher.max_silence_seconds = max(MAX_SILENCE_SECONDS, 3 * asked, 3 * usual)

    def _cooling(self, rule: Rule, stream: str) -> float:
        """Unix seconds until which the rule's newest alert, which may be of an earlier run, keeps others away."""
        if not rule.cooldown_seconds:
            return -math.inf
        try:
            newest = next(iter(self._history.alerts(stream, rule.name, limit=1)), None)
        except HistoryError:
            return -math.inf
        if newest is None or newest.ended_at is None:
            return -math.inf
        return newest.ended_at + rule.cooldown_seconds

    def _apply(self, watcher: RuleWatcher, changes: Iterable[Change], seen: _Seen | None = None) -> None:
        for change in changes:
            if change.kind == "begin":
                self._begin(watcher, change, seen)
            else:
                self._end(watcher, change)

    def _begin(self, watcher: RuleWatcher, change: Change, seen: _Seen | None) -> None:
        rule, name = watcher.rule, watcher.stream
        stream = self._streams[name]
        result, frame = (seen.result if seen else None), stream.frame
        alert = Alert(
            id=new_id(),
            rule=rule.name,
            stream=name,
            severity=rule.severity,
            phase="new",
            revision=1,
            title=rule.title,
            started_at=change.at,
            updated_at=time.time(),
            reason=change.reason,
            description=result.caption if result else None,
            media_seconds=change.media_seconds,
            detections=change.detections,
        )
        alert = self._with_snapshot(alert, frame)
        alert = self._with_clip(alert, frame)
        self._running[rule.name, name] = alert.id
        self.book.begin(alert)
        if rule.describe and alert.description is None:
            self._describe(alert, frame)

    def _with_snapshot(self, alert: Alert, frame: Frame | None) -> Alert:
        if frame is None:
            return replace(alert, faults={**alert.faults, "snapshot": "there was no picture"})
        try:
            drawn = draw_detections(_picture(frame), alert.detections)
            return replace(
                alert, snapshot=self._history.put_picture(alert.stream, alert.started_at, encode_jpeg(drawn))
            )
        except StreamerError as error:
            return replace(alert, faults={**alert.faults, "snapshot": str(error)})

    def _with_clip(self, alert: Alert, frame: Frame | None) -> Alert:
        if not self.clips.options.wanted:
            return alert
        moment = None if frame is None else frame.captured_at
        fault = self.clips.begin(alert.id, alert.stream, self._monitor.ring(alert.stream), alert.started_at, moment)
        if fault is None:
            self.book.expect(alert.id)
            return alert
        return replace(alert, faults={**alert.faults, "clip": fault})

    def _describe(self, alert: Alert, frame: Frame | None) -> None:
        if frame is None:
            return

        def described(future: Future[FrameResult]) -> None:  # on the model's thread
            try:
                result = future.result()
                changes: dict[str, Any] = {"description": result.caption}
                fault = result.error if result.caption is None else None
            except CancelledError:
                changes, fault = {}, "the program ended"
            self.book.come(alert.id, changes, "description", fault)

        try:
            budget = self._monitor.status(alert.stream).settings.budget
            job = Job(frame, (Task.caption(),), 280 if budget == "auto" else budget)
            future = self._monitor.submit(job)
        except StreamerError as error:
            self.book.change(alert.id, {}, "description", str(error))
            return
        self.book.expect(alert.id)
        future.add_done_callback(described)

    def _end(self, watcher: RuleWatcher, change: Change) -> None:
        id = self._running.pop((watcher.rule.name, watcher.stream), None)
        if id is not None:
            self.book.change(id, {"ended_at": change.at})

    def _clip_done(self, id: str, name: str | None, fault: str | None) -> None:
        self.book.come(id, {"clip": name}, "clip", fault)

    def _channels_of(self, rule: str | None) -> tuple[str, ...]:
        """Names of the channels that hear of the rule; a rule that is gone is told to all."""
        known = None if rule is None else self._rules.get(rule)
        return tuple(name for name in self._channels() if known is None or not known.channels or name in known.channels)


def _picture(frame: Frame) -> Any:
    return frame.image if frame.display is None else frame.display
