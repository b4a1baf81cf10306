"""Track ids for a job's results: the same thing has the same number from frame to frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Literal

from streamer.errors import SourceError
from streamer.motion import WIDTH, Follower, grey_thumbnail
from streamer.tracking import Tracker, TrackerOptions

if TYPE_CHECKING:
    from streamer.results import FrameResult
    from streamer.sources.base import Size, Source

Track = Literal["flow", "boxes", "off"]
TRACKS: tuple[Track, ...] = ("flow", "boxes", "off")
"""``flow``: by the pictures between the samples, which are decoded for it; ``boxes``: by the boxes alone."""

MISSED = 3
"""Samples for which a track that is not seen can come back, if that is longer than the usual patience."""


def by_boxes(results: Sequence[FrameResult]) -> tuple[FrameResult, ...]:
    """The results, their detections with track ids."""
    tracker = Tracker(_options(results))
    return tuple(
        result
        if result.error is not None
        else replace(result, detections=tracker.update(result.detections, result.time_seconds))
        for result in results
    )


def by_flow(
    results: Sequence[FrameResult], source: Source, progress: Callable[[float], None] = lambda seconds: None
) -> tuple[FrameResult, ...]:
    """The same by optical flow through all pictures of ``source`` (at `flow_size`) from the first result to the last.

    Where the source ends early the rest is done by the boxes alone.
    """
    tracker, follower = Tracker(_options(results)), Follower()
    waiting = deque(result for result in results if result.error is None)
    named: dict[int, FrameResult] = {}

    def name_until(seconds: float) -> None:
        while waiting and waiting[0].time_seconds <= seconds:
            result = waiting.popleft()
            found = tracker.update(result.detections, result.time_seconds, follower.boxes)
            follower.put(tracker.boxes, {detection.track_id for detection in found})
            named[result.sequence] = replace(result, detections=found)

    for seconds, new_scene in _stepped(source, follower):
        if new_scene:
            tracker.restart()
        name_until(seconds + 1e-6)
        progress(seconds)
        if not waiting:
            break
    follower.put({}, ())
    name_until(float("inf"))
    return tuple(named.get(result.sequence, result) for result in results)


def _options(results: Sequence[FrameResult]) -> TrackerOptions:
    """A thing may be missed twice, however far apart the samples are."""
    gaps = [after.time_seconds - before.time_seconds for before, after in pairwise(results)]
    usual = median(gaps) if gaps else 0.0
    return TrackerOptions(patience_seconds=max(TrackerOptions().patience_seconds, MISSED * usual))


def flow_size(size: Size) -> Size:
    """Small enough for flow, the aspect kept."""
    scale = min(1.0, WIDTH / size[0])
    return max(2, round(size[0] * scale)), max(2, round(size[1] * scale))


def _stepped(source: Source, follower: Follower) -> Iterator[tuple[float, bool]]:
    try:
        for frame in source.frames():
            yield frame.time_seconds, follower.step(grey_thumbnail(frame.image))
    except SourceError:
        return
