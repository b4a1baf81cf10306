"""Boxes between samples: followed by sparse optical flow, and drawn where their tracks are known on both sides."""

from __future__ import annotations

import bisect
import itertools
import math
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import numpy as np

from streamer.geometry import Box
from streamer.results import Detection, FrameResult
from streamer.sampling import SCENE_THRESHOLD, THUMBNAIL_SIZE, content_change
from streamer.tracking import blended, shifted

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH = 480
"""Pixels across a thumbnail."""
POINTS = 24
"""Followed in a box, at most."""
LEAST_POINTS = 3
RETURN_ERROR = 1.0
"""Pixels of a thumbnail by which a point followed there and back may miss its start."""
GAP_SECONDS = 3.0
"""A track that is seen again within this is drawn through the samples that missed it."""
LEAP = 0.003
"""Of the picture, and half the usual step besides, by which a step may differ from those before it."""
COASTING = 12
"""Pictures for which something that is hidden is expected to go on as before."""
KEPT = 64
"""Thumbnails of the newest pictures that are kept, for results that come late."""
HELD_BACK = 32
"""Pictures that `Carrier.through` keeps at most: a second between samples at 30 a second, and 88 MB at 720p."""
SAME = 1e-6
"""Seconds by which times of the same picture may differ."""

Way = Literal["hold", "linear", "flow", "both"]
Key = int | tuple[float, int]
"""A track id, or for a detection without one its sample's time and its place there."""
K = TypeVar("K", bound=Key)


def grey_thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``(h, w)`` grey of an ``(H, W, 3)`` uint8 RGB picture, at most `WIDTH` wide, the aspect kept."""
    import cv2  # here, so that what only tracks need not load it

    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    if width > WIDTH:
        grey = cv2.resize(grey, (WIDTH, max(1, round(height * WIDTH / width))), interpolation=cv2.INTER_AREA)
    return np.asarray(grey, np.uint8)


class Motion:
    """Sparse optical flow between successive pictures: pyramidal Lucas-Kanade, checked forward and backward."""

    def carry(self, boxes: Sequence[Box], before: NDArray[np.uint8], after: NDArray[np.uint8]) -> list[Box | None]:
        """Where each box of the picture ``before`` is in ``after`` (both `grey_thumbnail` of one size); None where its
        object cannot be followed or has left."""
        if before.shape != after.shape:
            return [None] * len(boxes)
        height, width = before.shape
        groups = [_points(before, box) for box in boxes]
        starts = np.concatenate(groups) if groups else np.zeros((0, 2), np.float32)
        if not len(starts):
            return [None] * len(boxes)
        ends, good = _followed(starts, before, after)
        carried: list[Box | None] = []
        place = 0
        for box, group in zip(boxes, groups, strict=True):
            part = slice(place, place + len(group))
            carried.append(_moved(box, starts[part][good[part]], ends[part][good[part]], len(group), (width, height)))
            place += len(group)
        return carried


def _points(grey: NDArray[np.uint8], box: Box) -> NDArray[np.float32]:
    """``(n, 2)`` x, y of corners well inside the box, where the object is rather than what is behind it."""
    import cv2

    height, width = grey.shape
    inner = blended(box, Box(*box.centre, *box.centre), 0.2)
    x1, y1, x2, y2 = inner.clamped().to_pixels(width, height)
    if x2 - x1 < 4 or y2 - y1 < 4:
        return np.zeros((0, 2), np.float32)
    apart = max(2.0, min(x2 - x1, y2 - y1) / 8)
    found = cv2.goodFeaturesToTrack(np.ascontiguousarray(grey[y1:y2, x1:x2]), POINTS, 0.02, apart, blockSize=3)
    if found is None:
        return np.zeros((0, 2), np.float32)
    return np.asarray(found.reshape(-1, 2) + np.array((x1, y1)), np.float32)


def _followed(
    starts: NDArray[np.float32], before: NDArray[np.uint8], after: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """``(n, 2)`` ends and which of them can be believed: followed back they come to their start."""
    import cv2

    settings: dict[str, Any] = {"winSize": (13, 13), "maxLevel": 3}
    ends, there, _ = cv2.calcOpticalFlowPyrLK(before, after, starts, None, **settings)
    back, again, _ = cv2.calcOpticalFlowPyrLK(after, before, ends, None, **settings)
    missed = np.linalg.norm(back - starts, axis=1)
    good = (there.ravel() == 1) & (again.ravel() == 1) & (missed < RETURN_ERROR)
    return np.asarray(ends, np.float32), np.asarray(good, np.bool_)


def _moved(
    box: Box, starts: NDArray[np.float32], ends: NDArray[np.float32], asked: int, size: tuple[int, int]
) -> Box | None:
    if len(starts) < max(LEAST_POINTS, asked / 3):
        return None
    shifts = ends - starts
    shift = np.median(shifts, axis=0)
    steady = np.linalg.norm(shifts - shift, axis=1) < 1 + 0.2 * float(np.linalg.norm(shift))
    if steady.sum() < max(LEAST_POINTS, len(starts) / 3):
        return None
    shift = shifts[steady].mean(axis=0)
    scale = _scale(starts[steady], ends[steady])
    across, down = float(shift[0]) / size[0], float(shift[1]) / size[1]
    (x, y), half_w, half_h = box.centre, box.width * scale / 2, box.height * scale / 2
    moved = Box(x + across - half_w, y + down - half_h, x + across + half_w, y + down + half_h)
    return moved.clamped() if moved.clamped().area >= 0.1 * moved.area else None


def _scale(starts: NDArray[np.float32], ends: NDArray[np.float32]) -> float:
    """How much farther apart the points are afterwards: the median of all pairs."""
    first, second = np.triu_indices(len(starts), 1)
    before = np.linalg.norm(starts[first] - starts[second], axis=1)
    after = np.linalg.norm(ends[first] - ends[second], axis=1)
    ratios = after[before > 4] / before[before > 4]
    return float(np.clip(np.median(ratios), 0.9, 1.1)) if len(ratios) else 1.0


class _Course(NamedTuple):
    """How something goes from picture to picture."""

    box: Box
    shift: tuple[float, float] | None = None
    """Of the centre from one picture to the next, lately; None until it was followed once."""
    lost: int = 0
    """For how many pictures it has gone on by ``shift`` alone."""


def is_cut(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> bool:
    """Whether a new scene begins: the measure and threshold of `streamer.sampling`, on two `grey_thumbnail`."""
    import cv2

    if before.shape != after.shape:
        return True
    small = [cv2.resize(grey, THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA) for grey in (before, after)]
    return content_change(small[0], small[1]) >= SCENE_THRESHOLD


def _stepped(courses: Mapping[K, _Course], before: NDArray[np.uint8], after: NDArray[np.uint8]) -> dict[K, _Course]:
    """Everything in the next picture; what is lost is left out."""
    moved = Motion().carry([course.box for course in courses.values()], before, after)
    onward = {key: _onward(course, box) for (key, course), box in zip(courses.items(), moved, strict=True)}
    return {key: course for key, course in onward.items() if course is not None}


def _onward(course: _Course, box: Box | None) -> _Course | None:
    """By flow, unless that leaps (it has taken hold of something else): then as it went before, for a while."""
    old = course.shift
    if box is not None:
        (x0, y0), (x1, y1) = course.box.centre, box.centre
        across, down = x1 - x0, y1 - y0
        if old is None:
            return _Course(box, (across, down))
        if math.hypot(across - old[0], down - old[1]) <= LEAP + 0.5 * math.hypot(*old):
            return _Course(box, (old[0] + 0.3 * (across - old[0]), old[1] + 0.3 * (down - old[1])))
    if old is None or course.lost >= COASTING:
        return None
    whole = shifted(course.box, *old)
    return _Course(whole.clamped(), old, course.lost + 1) if whole.clamped().area > 0.1 * whole.area else None


class Follower:
    """Boxes that go with the pictures, by track id: what `Tracker.update` takes as ``moved``.

    ::

        if follower.step(grey_thumbnail(picture)):  # every picture
            tracker.restart()  # a new scene
        found = tracker.update(detections, seconds, follower.boxes)  # those that were sampled
        follower.put(tracker.boxes, {detection.track_id for detection in found})

    Detections must be put before the next picture: where they come late, so must the pictures.
    """

    def __init__(self) -> None:
        self._grey: NDArray[np.uint8] | None = None
        self._courses: dict[int, _Course] = {}

    @property
    def boxes(self) -> dict[int, Box]:
        """Track id -> where it is in the newest picture; what was lost is absent."""
        return {key: course.box for key, course in self._courses.items()}

    def step(self, grey: NDArray[np.uint8]) -> bool:
        """Carries all boxes into the next picture; True where a new scene begins there, and nothing is followed."""
        before, self._grey = self._grey, grey
        cut = before is not None and is_cut(before, grey)
        self._courses = {} if before is None or cut else _stepped(self._courses, before, grey)
        return cut

    def put(self, boxes: Mapping[int, Box], seen: Collection[int | None]) -> None:
        """Takes over ``boxes`` of the newest picture for those ``seen`` there; others go on as they were while they
        are in ``boxes`` at all."""
        kept = {key: course for key, course in self._courses.items() if key in boxes}
        fresh = {key: box for key, box in boxes.items() if key in seen}
        self._courses = kept | {
            key: _Course(box, kept[key].shift if key in kept else None) for key, box in fresh.items()
        }


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
        self._flow: dict[Key, tuple[float, _Course | None]] = {}
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
        courses: dict[Key, _Course] = {}
        if len(self._seen) > 1:
            courses = self._onward(now, self._seen[-2][1], grey)
        fresh: dict[float, dict[Key, _Course]] = {}
        for key, span in spans.items():
            if self._flow.get(key, (None, None))[0] != span.start:
                courses.pop(key, None)
                fresh.setdefault(span.start, {})[key] = _Course(span.detection.box)
        for start, late in fresh.items():
            courses |= self._caught_up(start, late)
        self._flow = {key: (span.start, courses.get(key)) for key, span in spans.items()}

    def _onward(self, now: float, before: NDArray[np.uint8], grey: NDArray[np.uint8]) -> dict[Key, _Course]:
        """Everything that was followed, in the next picture; where that is noted for what was seen until here."""
        if is_cut(before, grey):
            self._cut = now
            return {}
        courses = {key: course for key, (_, course) in self._flow.items() if course is not None}
        courses = _stepped(courses, before, grey)
        for key, course in courses.items():
            self._ends[key, self._flow[key][0]] = (now, course.box)
        return courses

    def _caught_up(self, start: float, courses: dict[Key, _Course]) -> dict[Key, _Course]:
        """From the picture of the time ``start`` to the newest one."""
        pictures = [grey for time, grey in self._seen if time >= start - SAME]
        for before, after in itertools.pairwise(pictures):
            courses = _stepped(courses, before, after)
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
    courses: Mapping[Key, _Course]
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
