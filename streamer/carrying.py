"""What is drawn on pictures between samples: boxes carried by flow, and evenly where both ends are known."""

from __future__ import annotations

import bisect
import itertools
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from streamer.geometry import Box
from streamer.motion import Course, Key, grey_thumbnail, is_cut, stepped
from streamer.results import Detection, FrameResult
from streamer.tracking import blended

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GAP_SECONDS = 3.0
"""A track that is seen again within this is drawn through the samples that missed it."""
KEPT = 64
"""Thumbnails of the newest pictures that are kept, for results that come late."""
HELD_BACK = 32
"""Pictures that `Carrier.through` keeps at most: a second between samples at 30 a second, and 88 MB at 720p."""
SAME = 1e-6
"""Seconds by which times of the same picture may differ."""

Way = Literal["hold", "linear", "flow", "both"]


class Carrier:
    """What is to be drawn on each picture, sampled or not; asked in order of time.

    A track that is known on both sides of a picture is drawn between its boxes: by ``way`` evenly (``linear``), by
    flow from the earlier one, or ``both`` with the weight passing from flow to the even way. Other objects are carried
    by flow until the next sample (after the newest one for ``longest_seconds``, by default as long as the sample
    before it stood) and dropped where flow loses them. ``hold`` leaves every box where it was. Where flow sees a
    new scene begin everything is dropped until the next sample. Detections that were not made on this very picture have
    the attribute ``carried``.

    Results may be added up to the picture asked for (live, where only flow serves) or all before (files). A result
    older than the last picture is carried up through the newest `KEPT` pictures.
    """

    def __init__(
        self, results: Iterable[FrameResult] = (), *, way: Way = "both", longest_seconds: float | None = None
    ) -> None:
        self._way: Way = way
        self._longest = longest_seconds
        self._times: list[float] = []
        self._samples: list[dict[Key, Detection]] = []
        self._seen: deque[tuple[float, NDArray[np.uint8]]] = deque(maxlen=KEPT)
        self._flow: dict[Key, tuple[float, Course | None]] = {}
        """Key -> time of the sample it comes from, and where it is in the newest picture."""
        self._ends: dict[tuple[Key, float], tuple[float, Box]] = {}
        """Key and time of the sample -> the newest picture's time until which flow went from there, and to where."""
        self._cut = -math.inf
        """Seconds, of the picture that began the newest scene."""
        for result in results:
            self.add(result)

    def add(self, result: FrameResult) -> None:
        """A sample's detections; those with an error say nothing and are passed over."""
        if result.error is not None:
            return
        place = bisect.bisect(self._times, result.time_seconds)
        sample: dict[Key, Detection] = {}
        for number, detection in enumerate(result.detections):
            untracked = (result.time_seconds, number)
            sample[untracked if detection.track_id is None else detection.track_id] = detection
        self._times.insert(place, result.time_seconds)
        self._samples.insert(place, sample)

    def at(self, time_seconds: float, image: NDArray[np.uint8]) -> tuple[Detection, ...]:
        """For the next picture, ``(H, W, 3)`` uint8 RGB of any size."""
        shown = self._shown(self._look(time_seconds, image))
        self._ends.clear()
        return shown

    def through(
        self, pictures: Iterable[tuple[float, NDArray[np.uint8]]]
    ) -> Iterator[tuple[float, NDArray[np.uint8], tuple[Detection, ...]]]:
        """Pictures with their times, and what is to be drawn on each: as `at`, but better, for files.

        A picture is held back until flow has arrived at the next sample, so that what it went astray is known and
        taken off evenly on the way. At most `HELD_BACK` pictures wait; with more between samples the weight passes
        from flow to the even way as in `at`.
        """
        waiting: deque[tuple[NDArray[np.uint8], _Look]] = deque()
        for time, image in pictures:
            waiting.append((image, self._look(time, image)))
            while waiting and (len(waiting) > HELD_BACK or waiting[0][1].is_settled(time)):
                yield self._released(*waiting.popleft())
            oldest = waiting[0][1].now if waiting else time
            self._ends = {key: (end, box) for key, (end, box) in self._ends.items() if end > oldest}
        for image, look in waiting:
            yield self._released(image, look)

    def _released(
        self, image: NDArray[np.uint8], look: _Look
    ) -> tuple[float, NDArray[np.uint8], tuple[Detection, ...]]:
        return look.now, image, self._shown(look)

    def _look(self, now: float, image: NDArray[np.uint8]) -> _Look:
        self._forget(now)
        spans = self._spans(now)
        if self._way in ("flow", "both"):
            self._follow(now, grey_thumbnail(image), spans)
        courses = {key: course for key, (_, course) in self._flow.items() if course is not None}
        return _Look(now, spans, courses, self._cut)

    def _shown(self, look: _Look) -> tuple[Detection, ...]:
        drawn = (self._drawn(key, span, look) for key, span in look.spans.items())
        return tuple(detection for detection in drawn if detection is not None)

    def _forget(self, now: float) -> None:
        """Samples that no picture from now on needs."""
        newest = bisect.bisect_right(self._times, now + SAME) - 1
        old = min(newest - 1, bisect.bisect_left(self._times, now - GAP_SECONDS))
        if old > 0:
            del self._times[:old], self._samples[:old]

    def _spans(self, now: float) -> dict[Key, _Span]:
        """The newest sight of everything that may be there, and the next one where it is known."""
        newest = bisect.bisect_right(self._times, now + SAME) - 1
        spans: dict[Key, _Span] = {}
        for place in range(newest, -1, -1):
            if place < newest and self._times[place] < now - GAP_SECONDS:
                break
            for key, detection in self._samples[place].items():
                if key not in spans:
                    later = self._later(place, key)
                    if later is not None or place == newest:
                        spans[key] = _Span(self._times[place], detection, *(later or (self._until(place), None)))
        return {key: span for key, span in spans.items() if now < span.end}

    def _later(self, place: int, key: Key) -> tuple[float, Box] | None:
        for after in range(place + 1, len(self._times)):
            if after > place + 1 and self._times[after] > self._times[place] + GAP_SECONDS:
                break
            if key in self._samples[after]:
                return self._times[after], self._samples[after][key].box
        return None

    def _until(self, place: int) -> float:
        """Until when a sample stands: the next one's time, else as long as the one before it."""
        if place + 1 < len(self._times):
            return self._times[place + 1]
        usual = self._times[place] - self._times[place - 1] if place else 1.0
        return self._times[place] + SAME + (usual if self._longest is None else self._longest)

    def _follow(self, now: float, grey: NDArray[np.uint8], spans: Mapping[Key, _Span]) -> None:
        """Steps what is followed into this picture; what was sampled since begins at its sample's picture."""
        self._seen.append((now, grey))
        courses: dict[Key, Course] = {}
        if len(self._seen) > 1:
            courses = self._onward(now, self._seen[-2][1], grey)
        fresh: dict[float, dict[Key, Course]] = {}
        for key, span in spans.items():
            if self._flow.get(key, (None, None))[0] != span.start:
                courses.pop(key, None)
                fresh.setdefault(span.start, {})[key] = Course(span.detection.box)
        for start, late in fresh.items():
            courses |= self._caught_up(start, late)
        self._flow = {key: (span.start, courses.get(key)) for key, span in spans.items()}

    def _onward(self, now: float, before: NDArray[np.uint8], grey: NDArray[np.uint8]) -> dict[Key, Course]:
        """Everything that was followed, in the next picture; where that is noted for what was seen until here."""
        if is_cut(before, grey):
            self._cut = now
            return {}
        courses = {key: course for key, (_, course) in self._flow.items() if course is not None}
        courses = stepped(courses, before, grey)
        for key, course in courses.items():
            self._ends[key, self._flow[key][0]] = (now, course.box)
        return courses

    def _caught_up(self, start: float, courses: dict[Key, Course]) -> dict[Key, Course]:
        """From the picture of the time ``start`` to the newest one."""
        pictures = [grey for time, grey in self._seen if time >= start - SAME]
        for before, after in itertools.pairwise(pictures):
            courses = stepped(courses, before, after)
        return courses

    def _drawn(self, key: Key, span: _Span, look: _Look) -> Detection | None:
        if look.now <= span.start + SAME:
            return span.detection
        box = self._box(key, span, look)
        attributes = {**(span.detection.attributes or {}), "carried": True}
        return None if box is None else replace(span.detection, box=box, attributes=attributes)

    def _box(self, key: Key, span: _Span, look: _Look) -> Box | None:
        first, later, course = span.detection.box, span.later, look.courses.get(key)
        part = (look.now - span.start) / (span.end - span.start)
        if self._way == "hold" or (self._way == "linear" and later is None):
            return first
        if self._way != "linear" and span.start < look.cut - SAME:
            return None
        if self._way == "flow" or later is None:
            return course.box if course is not None and not course.lost else None
        even = blended(first, later, part)
        if self._way == "linear" or course is None:
            return even
        end = self._ends.get((key, span.start))
        if end is None or end[0] < span.end - SAME:
            return blended(course.box, even, part)
        astray = Box(*(known - flowed for known, flowed in zip(later, end[1], strict=True)))
        return Box(*(edge + part * error for edge, error in zip(course.box, astray, strict=True))).ordered().clamped()


class _Look(NamedTuple):
    """What is known of a picture."""

    now: float
    spans: Mapping[Key, _Span]
    courses: Mapping[Key, Course]
    cut: float
    """Seconds, when the newest scene began."""

    def is_settled(self, newest: float) -> bool:
        """Whether the next sight of all that is in the picture has been reached."""
        return all(span.later is None or span.end <= newest + SAME for span in self.spans.values())


class _Span(NamedTuple):
    """Where something was seen, and until when that says something."""

    start: float
    detection: Detection
    end: float
    later: Box | None
    """Its box at ``end``, where it was seen again."""
