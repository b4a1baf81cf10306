"""The numbers of a live job for Prometheus, in its text format."""

from __future__ import annotations

import os
import sys
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil
from prometheus_client import generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from streamer.alerts import Alert
from streamer.errors import HistoryError
from streamer.monitor import Event, StreamRemoved
from streamer.results import FrameResult

if TYPE_CHECKING:
    from streamer.history import Counts
    from streamer.notify.delivery import ChannelStatus
    from streamer.server.access import Access
    from streamer.settings import StreamStatus
    from streamer.station import Station

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds in seconds."""
STORE_SECONDS = 10.0
"""For which numbers that are counted in the history are used again."""
OUTCOMES = ("analysed", "reused", "failed")
REASONS = ("replaced", "stale", "paused", "dropped")
STAGES = {
    "age": "From the arrival of a picture until its result is handed out",
    "decode": "Decoding and scaling of an analysed picture",
    "queue": "From the arrival of a picture to taken by the model, but for decoding",
    "preprocess": "Preparing the picture for the model, where it had to wait for that",
    "model": "Of the model on the batch that the picture was in",
    "deliver": "From the finished answers until the result is handed out",
}
TOKENS = ("image", "prompt", "output", "drafted", "accepted")
MAX_ALERT_SERIES = 5000


@dataclass(slots=True, eq=False)
class Histogram:
    """Counts by upper bound, the last one without."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    sum: float = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Summed up, as Prometheus wants them."""
        total, found = 0, []
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self.counts, strict=True):
            total += count
            found.append((bound, float(total)))
        return found


@dataclass(slots=True, eq=False)
class _Seen:
    """What the results of one stream have added up to."""

    stages: dict[str, Histogram] = field(default_factory=lambda: {stage: Histogram() for stage in STAGES})
    tokens: Counter[str] = field(default_factory=Counter)
    forwards: int = 0

    def add(self, result: FrameResult) -> None:
        usage, timings = result.usage, result.timings
        for stage, histogram in self.stages.items():
            if (milliseconds := getattr(timings, f"{stage}_ms")) is not None:
                histogram.add(milliseconds / 1000)
        for kind in TOKENS:
            self.tokens[kind] += getattr(usage, f"{kind}_tokens")
        self.forwards += usage.forwards


@dataclass(frozen=True, slots=True)
class _Store:
    """What was counted in the history, and when (``time.monotonic()``)."""

    counts: Counts | None
    channels: tuple[ChannelStatus, ...]
    at: float


class Metrics:
    """Follows a station's results and alerts and adds them up; used from any thread. Does not own the station.

    A removed stream is forgotten, so that memory is bounded by the streams that run.
    """

    def __init__(self, station: Station, *, viewers: Callable[[], int] | None = None) -> None:
        self._station, self._viewers = station, viewers
        self._lock = threading.Lock()
        self._seen: dict[str, _Seen] = {}
        self._alerts: Counter[tuple[str, str, str]] = Counter()
        """(stream, rule, severity) -> alerts that began."""
        self._store: _Store | None = None
        self._process = psutil.Process()
        self._unsubscribe = (station.monitor.subscribe(self._hear), station.alerting.book.subscribe(self._told))

    def close(self) -> None:
        """Follows no more."""
        for end in self._unsubscribe:
            end()

    def render(self, access: Access) -> bytes:
        """All numbers that ``access`` may see: of its streams, and of the whole job where it sees all streams."""
        return generate_latest(_Families(list(self._families(access))))

    # -- on the job's threads

    def _hear(self, event: Event) -> None:
        if isinstance(event, FrameResult):
            if not event.reused and event.error is None:
                with self._lock:
                    self._seen.setdefault(event.stream, _Seen()).add(event)
        elif isinstance(event, StreamRemoved):
            with self._lock:
                self._forget(event.stream)

    def _told(self, alert: Alert) -> None:
        if alert.revision != 1:
            return
        with self._lock:
            key = (alert.stream, alert.rule, alert.severity)
            if key in self._alerts or len(self._alerts) < MAX_ALERT_SERIES:
                self._alerts[key] += 1

    def _forget(self, stream: str) -> None:
        self._seen.pop(stream, None)
        for key in [key for key in self._alerts if key[0] == stream]:
            del self._alerts[key]

    # -- for whoever asks

    def _families(self, access: Access) -> Iterator[Metric]:
        running = self._station.monitor.statuses()
        statuses = [status for status in running if access.sees(status.name)]
        yield from _of_streams(statuses)
        names = {status.name for status in statuses}
        with self._lock:
            for gone in self._seen.keys() - {status.name for status in running}:  # a last result came behind its end
                self._forget(gone)
            results = list(_of_results({name: seen for name, seen in self._seen.items() if name in names}))
            alerts = {key: count for key, count in self._alerts.items() if key[0] in names}
        yield from results
        yield from _of_alerts(alerts)
        yield self._active_rules(names)
        if not access.streams:
            yield from self._of_job()

    def _active_rules(self, names: set[str]) -> Metric:
        family = GaugeMetricFamily(
            "streamer_rule_active", "1 while an alert of the rule goes on", labels=["stream", "rule"]
        )
        for (rule, stream), state in self._station.alerting.states().items():
            if stream in names:
                family.add_metric([stream, rule], float(state.kind in ("active", "releasing")))
        return family

    def _of_job(self) -> Iterator[Metric]:
        alerting, history, model = self._station.alerting, self._station.history, self._station.monitor.model
        info = GaugeMetricFamily("streamer_model_info", "Which model answers", labels=["model"])
        info.add_metric([model.name], 1.0)
        yield info
        up = self._station.monitor.busy and model.fault is None
        yield _gauge("streamer_model_up", "1 while the model can answer, as far as is known", up)
        yield from self._of_queues()
        yield _gauge("streamer_alerting_waiting_results", "Results that wait to be judged", alerting.waiting)
        yield _counter(
            "streamer_alerting_dropped_results", "Results that came faster than they could be judged", alerting.dropped
        )
        yield _gauge("streamer_history_up", "1 while the history takes what it is given", history.fault is None)
        yield _counter("streamer_history_dropped_results", "Results that were not written", history.dropped)
        yield _counter("streamer_configuration_reloads", "Times that the file was read again", self._station.reloads)
        if self._viewers is not None:
            yield _gauge("streamer_viewers", "Pages and programs connected", self._viewers())
        store = self._stored()
        yield from _of_history(store.counts)
        yield from _of_channels(store.channels)
        yield from self._of_process()

    def _of_queues(self) -> Iterator[Metric]:
        waiting = GaugeMetricFamily("streamer_model_waiting", "What waits for the model", labels=["kind"])
        for kind, count in self._station.monitor.waiting().items():
            waiting.add_metric([kind], count)
        yield waiting
        jobs = sum(status.record.state == "waiting" for status in self._station.jobs.statuses())
        yield _gauge("streamer_jobs_waiting", "Files that were handed in and wait for their turn", jobs)

    def _stored(self) -> _Store:
        """Counting takes a while, so it is not done for everybody who asks."""
        store = self._store
        if store is None or time.monotonic() - store.at > STORE_SECONDS:
            try:
                counts: Counts | None = self._station.history.counts()
            except HistoryError:
                counts = None
            store = self._store = _Store(counts, self._station.delivery.status(), time.monotonic())
        return store

    def _of_process(self) -> Iterator[Metric]:
        with self._process.oneshot():
            memory, cpu = self._process.memory_info(), self._process.cpu_times()
            threads, started = self._process.num_threads(), self._process.create_time()
        yield _gauge("process_resident_memory_bytes", "Resident memory", memory.rss)
        yield _gauge("process_virtual_memory_bytes", "Virtual memory", memory.vms)
        yield _counter("process_cpu_seconds", "Time on processors", cpu.user + cpu.system)
        yield _gauge("process_start_time_seconds", "Unix seconds of its start", started)
        yield _gauge("process_threads", "Threads", threads)
        if sys.platform.startswith("linux"):
            yield _gauge("process_open_fds", "Open files and sockets", len(os.listdir("/proc/self/fd")))


class _Families:
    """Ready families, for `generate_latest`."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=float(value))


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(name, words, value=float(value))


def _of_streams(statuses: list[StreamStatus]) -> Iterator[Metric]:
    gauges: tuple[tuple[str, str, Callable[[StreamStatus], float]], ...] = (
        ("streamer_stream_up", "1 while pictures come", lambda status: float(status.state == "live")),
        ("streamer_stream_paused", "1 while the analysis is paused", lambda status: float(status.settings.paused)),
        ("streamer_analysed_fps", "Frames analysed a second, lately", lambda status: status.analysed_fps),
        ("streamer_reused_fps", "Unchanged frames a second, lately", lambda status: status.reused_fps),
        ("streamer_pictures_fps", "Pictures decoded a second, lately", lambda status: status.picture_fps),
    )
    for name, words, value in gauges:
        gauge = GaugeMetricFamily(name, words, labels=["stream"])
        for status in statuses:
            gauge.add_metric([status.name], value(status))
        yield gauge
    counters: tuple[tuple[str, str, Callable[[StreamStatus], float]], ...] = (
        ("streamer_pictures", "Pictures decoded", lambda status: status.counts.get("pictures", 0)),
        ("streamer_reconnects", "Times that the source was opened again", lambda status: status.reconnects),
    )
    for name, words, value in counters:
        counter = CounterMetricFamily(name, words, labels=["stream"])
        for status in statuses:
            counter.add_metric([status.name], value(status))
        yield counter
    yield _by_count("streamer_frames", "Frames that were to be analysed", "outcome", OUTCOMES, statuses)
    yield _by_count("streamer_skipped_frames", "Frames without an answer", "reason", REASONS, statuses)


def _by_count(name: str, words: str, label: str, kinds: tuple[str, ...], statuses: list[StreamStatus]) -> Metric:
    family = CounterMetricFamily(name, words, labels=["stream", label])
    for status in statuses:
        for kind in kinds:
            family.add_metric([status.name, kind], status.counts.get(kind, 0))
    return family


def _of_results(seen: dict[str, _Seen]) -> Iterator[Metric]:
    for stage, words in STAGES.items():
        histogram = HistogramMetricFamily(f"streamer_{stage}_seconds", words, labels=["stream"])
        for name, one in seen.items():
            histogram.add_metric([name], one.stages[stage].buckets(), one.stages[stage].sum)
        yield histogram
    tokens = CounterMetricFamily("streamer_tokens", "Tokens of analysed frames", labels=["stream", "kind"])
    forwards = CounterMetricFamily("streamer_forwards", "Passes through the language model", labels=["stream"])
    for name, one in seen.items():
        for kind in TOKENS:
            tokens.add_metric([name, kind], one.tokens[kind])
        forwards.add_metric([name], one.forwards)
    yield tokens
    yield forwards


def _of_alerts(alerts: dict[tuple[str, str, str], int]) -> Iterator[Metric]:
    family = CounterMetricFamily("streamer_alerts", "Alerts that began", labels=["stream", "rule", "severity"])
    for key, count in alerts.items():
        family.add_metric(key, count)
    yield family


def _of_history(counts: Counts | None) -> Iterator[Metric]:
    if counts is None:
        return
    yield _gauge("streamer_history_results", "Results that are kept", counts.results)
    yield _gauge("streamer_history_alerts", "Alerts that are kept", counts.alerts)
    yield _gauge("streamer_history_waiting_results", "Results that wait to be written", counts.waiting)
    size = GaugeMetricFamily("streamer_history_size_bytes", "What is kept takes", labels=["kind"])
    for kind, taken in (
        ("database", counts.database_bytes),
        ("pictures", counts.picture_bytes),
        ("clips", counts.clip_bytes),
    ):
        size.add_metric([kind], taken)
    yield size


def _of_channels(channels: tuple[ChannelStatus, ...]) -> Iterator[Metric]:
    for name, words in (
        ("delivered", "Notices that were delivered"),
        ("superseded", "Notices that a newer one made needless"),
        ("failed", "Attempts in vain"),
    ):
        counter = CounterMetricFamily(f"streamer_notices_{name}", words, labels=["channel"])
        for channel in channels:
            counter.add_metric([channel.name], getattr(channel, name))
        yield counter
    for name, words in (("waiting", "Notices that wait"), ("dead", "Notices that are not tried any more")):
        gauge = GaugeMetricFamily(f"streamer_notices_{name}", words, labels=["channel"])
        for channel in channels:
            if (value := getattr(channel, name)) is not None:
                gauge.add_metric([channel.name], value)
        yield gauge
