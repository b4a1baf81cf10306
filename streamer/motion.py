"""Boxes that go with the pictures, by sparse optical flow. Figures: benchmarks/tracking.py."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from streamer.geometry import Box
from streamer.sampling import SCENE_THRESHOLD, THUMBNAIL_SIZE, content_change
from streamer.tracking import blended, shifted

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH = 480
"""Pixels across a thumbnail."""
POINTS = 24
"""Followed in a box, at most."""
LEAST_POINTS = 3
STILL = 1.0
"""Mean difference of grey levels below which nothing has moved."""
RETURN_ERROR = 1.0
"""Pixels of a thumbnail by which a point followed there and back may miss its start."""
LEAP = 0.003
"""Of the picture, and half the usual step besides, by which a step may differ from those before it."""
COASTING = 12
"""Pictures for which something that is hidden is expected to go on as before."""

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
        ends, good = _followed(starts, before, after) if len(starts) else (starts, np.zeros(0, np.bool_))
        carried: list[Box | None] = []
        place = 0
        for box, group in zip(boxes, groups, strict=True):
            part = slice(place, place + len(group))
            moved = _moved(box, starts[part][good[part]], ends[part][good[part]], len(group), (width, height))
            carried.append(box if moved is None and _stands(box, before, after) else moved)
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


def _stands(box: Box, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> bool:
    """Whether nothing changes there: what has no corners to follow is still where it was."""
    x1, y1, x2, y2 = box.clamped().to_pixels(before.shape[1], before.shape[0])
    if x2 <= x1 or y2 <= y1:
        return False
    gap = after[y1:y2, x1:x2].astype(np.int16) - before[y1:y2, x1:x2]
    return bool(np.abs(gap).mean() < STILL)


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


class Course(NamedTuple):
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


def stepped(courses: Mapping[K, Course], before: NDArray[np.uint8], after: NDArray[np.uint8]) -> dict[K, Course]:
    """Everything in the next picture; what is lost is left out."""
    moved = Motion().carry([course.box for course in courses.values()], before, after)
    onward = {key: _onward(course, box) for (key, course), box in zip(courses.items(), moved, strict=True)}
    return {key: course for key, course in onward.items() if course is not None}


def _onward(course: Course, box: Box | None) -> Course | None:
    """By flow, unless that leaps (it has taken hold of something else): then as it went before, for a while."""
    old = course.shift
    if box is not None:
        (x0, y0), (x1, y1) = course.box.centre, box.centre
        across, down = x1 - x0, y1 - y0
        if old is None:
            return Course(box, (across, down))
        if math.hypot(across - old[0], down - old[1]) <= LEAP + 0.5 * math.hypot(*old):
            return Course(box, (old[0] + 0.3 * (across - old[0]), old[1] + 0.3 * (down - old[1])))
    if old is None or course.lost >= COASTING:
        return None
    whole = shifted(course.box, *old)
    return Course(whole.clamped(), old, course.lost + 1) if whole.clamped().area > 0.1 * whole.area else None


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
        self._courses: dict[int, Course] = {}

    @property
    def boxes(self) -> dict[int, Box]:
        """Track id -> where it is in the newest picture; what was lost is absent."""
        return {key: course.box for key, course in self._courses.items()}

    def step(self, grey: NDArray[np.uint8]) -> bool:
        """Carries all boxes into the next picture; True where a new scene begins there, and nothing is followed."""
        before, self._grey = self._grey, grey
        cut = before is not None and is_cut(before, grey)
        self._courses = {} if before is None or cut else stepped(self._courses, before, grey)
        return cut

    def put(self, boxes: Mapping[int, Box], seen: Collection[int | None]) -> None:
        """Takes over ``boxes`` of the newest picture for those ``seen`` there; others go on as they were while they
        are in ``boxes`` at all."""
        kept = {key: course for key, course in self._courses.items() if key in boxes}
        fresh = {key: box for key, box in boxes.items() if key in seen}
        self._courses = kept | {
            key: Course(box, kept[key].shift if key in kept else None) for key, box in fresh.items()
        }
