"""Which detections of sparse samples are the same object. Values in, values out: no picture, no thread, no model.

A detection goes to the track whose predicted box it fits best: where optical flow carried the track's box
(`streamer.motion`), else where its constant velocity takes it, else, seen only once, anywhere within reach. All pairs
are decided together, by an assignment of the largest total fit. Figures: benchmarks/tracking.py.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from streamer.errors import OptionError
from streamer.geometry import Box, iou
from streamer.results import Detection

if TYPE_CHECKING:
    from numpy.typing import NDArray

FARTHEST = 0.45
"""Of the picture, that anything may be away from where it is looked for."""
UNKNOWN_SPEED, SPEED_CHANGE, FLOW_DRIFT = 0.4, 0.2, 0.1
"""Of the picture a second: how far from its prediction a box may be that was seen once, has a velocity, has flow."""
LEAST_LIKENESS = 0.35
"""Smaller area / larger area from which two whole boxes can be the same object."""
RELABEL_IOU = 0.5
"""Overlap from which a detection with a label that the track never had may still be its object."""
LEFT = 0.1
"""Part of a predicted box that must be in the picture; with less its object has left."""
EDGE = 0.005
"""A box this near to the picture's border may be cut off there, and its size says little."""


@dataclass(frozen=True, slots=True)
class TrackerOptions:
    """How long tracks live and what is changed in the detections besides their ids (nothing, by default)."""

    patience_seconds: float = 3.0
    """How long a track that is not seen can come back."""
    smoothing: float = 0.0
    """Share of the prediction in the box given out, in [0, 1); 0 leaves the boxes as they were detected."""
    voted_labels: bool = False
    """Give out the track's label, the one voted most, instead of the detection's own."""

    def __post_init__(self) -> None:
        if not self.patience_seconds >= 0:
            raise OptionError("patience_seconds", self.patience_seconds, "a number from 0")
        if not 0 <= self.smoothing < 1:
            raise OptionError("smoothing", self.smoothing, "a number from 0 (off) to below 1")


@dataclass(slots=True)
class _Track:
    number: int
    box: Box
    """As detected last."""
    seen: float
    """Seconds, of the last detection."""
    shown: Box
    """As given out last."""
    velocity: tuple[float, float] | None = None
    """Of the centre, parts of the picture a second; None until it was seen twice."""
    votes: Counter[str] = field(default_factory=Counter)

    @property
    def label(self) -> str:
        return self.votes.most_common(1)[0][0]  # of equals the one that came first

    def predicted(self, now: float) -> Box:
        across, down = self.velocity or (0.0, 0.0)
        return shifted(self.box, across * (now - self.seen), down * (now - self.seen))

    def see(self, detection: Detection, now: float, expected: Box, smoothing: float) -> None:
        elapsed = now - self.seen
        if elapsed > 0:
            fresh = [(new - old) / elapsed for new, old in zip(detection.box.centre, self.box.centre, strict=True)]
            old = self.velocity or fresh
            self.velocity = (old[0] + 0.7 * (fresh[0] - old[0]), old[1] + 0.7 * (fresh[1] - old[1]))
        if smoothing:
            onward = Box(*(s + e - b for s, e, b in zip(self.shown, expected, self.box, strict=True)))
            self.shown = blended(detection.box, onward, smoothing).clamped()
        else:
            self.shown = detection.box
        self.box, self.seen = detection.box, now
        self.votes[detection.label] += 1


class _Guess(NamedTuple):
    box: Box
    reach: float
    """How far from there the object's centre may be, parts of the picture."""
    trust: float
    """In (0, 1]."""


class Tracker:
    """Gives detections of samples in order of time the ids of their tracks: from 1, never one twice.

    ``options`` may be changed at any time. The same calls give the same ids. A time before the last one (a source that
    began anew) ends all tracks.
    """

    def __init__(self, options: TrackerOptions | None = None) -> None:
        self.options = options or TrackerOptions()
        self._tracks: list[_Track] = []
        self._count = 0
        self._now = -math.inf

    @property
    def boxes(self) -> dict[int, Box]:
        """Track id -> box where it was detected last, of all tracks that can still be found: what flow is to carry."""
        return {track.number: track.box for track in self._tracks}

    @property
    def labels(self) -> dict[int, str]:
        """Track id -> label voted most, of the same tracks."""
        return {track.number: track.label for track in self._tracks}

    def update(
        self, detections: Sequence[Detection], time_seconds: float, moved: Mapping[int, Box | None] | None = None
    ) -> tuple[Detection, ...]:
        """The same detections in the same order, with track ids that no two of them share.

        ``moved``: where optical flow carried `boxes` until this moment; a track that is absent or None there is
        looked for by its velocity.
        """
        if time_seconds < self._now:
            self.restart()
        self._now = time_seconds
        patience = self.options.patience_seconds + 1e-9
        self._tracks = [track for track in self._tracks if time_seconds - track.seen <= patience]
        flow = moved or {}
        pairs = {found: self._tracks[place] for place, found in assign(self._fits(detections, flow))}
        return tuple(self._taken(detection, pairs.get(number), flow) for number, detection in enumerate(detections))

    def restart(self) -> None:
        """Ends all tracks: a new scene began."""
        self._tracks.clear()

    def _fits(self, detections: Sequence[Detection], moved: Mapping[int, Box | None]) -> NDArray[np.float64]:
        fits = np.zeros((len(self._tracks), len(detections)))
        for row, track in enumerate(self._tracks):
            guesses = _guesses(track, self._now, moved.get(track.number))
            for column, detection in enumerate(detections):
                fits[row, column] = max((_fit(track, guess, detection) for guess in guesses), default=0.0)
        return fits

    def _taken(self, detection: Detection, track: _Track | None, moved: Mapping[int, Box | None]) -> Detection:
        if track is None:
            self._count += 1
            track = _Track(self._count, detection.box, self._now, detection.box)
            track.votes[detection.label] = 1
            self._tracks.append(track)
        else:
            expected = moved.get(track.number) or track.predicted(self._now)
            track.see(detection, self._now, expected, self.options.smoothing)
        label = track.label if self.options.voted_labels else detection.label
        return replace(detection, label=label, box=track.shown, track_id=track.number)


def _guesses(track: _Track, now: float, moved: Box | None) -> list[_Guess]:
    """Where the track may be now, nowhere if it has left the picture. Flow is believed first, but may have lost its
    object to the background."""
    elapsed = now - track.seen
    doubt = 0.5 * math.hypot(track.box.width, track.box.height)
    speed = UNKNOWN_SPEED if track.velocity is None else SPEED_CHANGE
    guess = _Guess(track.predicted(now), min(FARTHEST, doubt + speed * elapsed), 1.0)
    guesses = [guess] if guess.box.clamped().area >= LEFT * guess.box.area else []
    if moved is None:
        return guesses
    flow = _Guess(moved, min(FARTHEST, doubt + FLOW_DRIFT * elapsed), 1.0)
    return [flow, *(other._replace(trust=0.5) for other in guesses)]


def _fit(track: _Track, guess: _Guess, detection: Detection) -> float:
    """In [0, 1]; 0 where it cannot be the same object."""
    box = detection.box
    seen_part = guess.box.clamped()
    expected = seen_part if seen_part.area > 0 else guess.box
    (x0, y0), (x1, y1) = expected.centre, box.centre
    distance = math.hypot(x1 - x0, y1 - y0)
    like, overlap = _likeness(expected, box), iou(expected, box)
    if distance > guess.reach or like == 0:
        return 0.0
    near = 1 - distance / guess.reach if guess.reach else 1.0
    return (
        guess.trust * _agreement(track, detection.label, overlap) * math.sqrt(like) * (0.02 + 0.49 * (near + overlap))
    )


def _likeness(a: Box, b: Box) -> float:
    """Of two sizes, in [0, 1]; 0 where they are not the same object's."""
    smaller, larger = sorted((a.area, b.area))
    if smaller <= 0:
        return 1.0 if a == b else 0.0
    like = smaller / larger
    if _cut(a) or _cut(b):
        return max(like, LEAST_LIKENESS)
    return like if like >= LEAST_LIKENESS else 0.0


def _cut(box: Box) -> bool:
    return min(box.x1, box.y1) <= EDGE or max(box.x2, box.y2) >= 1 - EDGE


def _agreement(track: _Track, label: str, overlap: float) -> float:
    if label == track.label:
        return 1.0
    if label in track.votes:
        return 0.8
    return 0.6 if overlap >= RELABEL_IOU else 0.0


def shifted(box: Box, across: float, down: float) -> Box:
    return Box(box.x1 + across, box.y1 + down, box.x2 + across, box.y2 + down)


def blended(a: Box, b: Box, part: float) -> Box:
    """``a`` at part 0, ``b`` at part 1, evenly between them."""
    return Box(*(x + (y - x) * part for x, y in zip(a, b, strict=True)))


def assign(gains: NDArray[np.float64]) -> list[tuple[int, int]]:
    """``(row, column)`` pairs, no row or column twice, of the largest sum of ``gains`` (R, C), in order of rows.

    Gains are at least 0; pairs that gain nothing are left out. Hungarian method by shortest augmenting paths, O(n³).
    """
    rows, columns = gains.shape
    if rows > columns:
        return sorted((row, column) for column, row in assign(gains.T))
    costs = -gains
    prices, slack = np.zeros(columns), np.zeros(rows)
    taker, choice = np.full(columns, -1), np.full(rows, -1)
    for row in range(rows):
        _augment(costs, row, prices, slack, taker, choice)
    return [(row, int(choice[row])) for row in range(rows) if gains[row, choice[row]] > 0]


def _augment(
    costs: NDArray[np.float64],
    start: int,
    prices: NDArray[np.float64],
    slack: NDArray[np.float64],
    taker: NDArray[np.int_],
    choice: NDArray[np.int_],
) -> None:
    """Gives row ``start`` a column, moving rows that have one along the cheapest chain; arrays are changed in place."""
    length = np.full(len(prices), np.inf)
    came_from = np.full(len(prices), -1)
    done = np.zeros(len(prices), bool)
    visited, row, low = [], start, 0.0
    while True:
        visited.append(row)
        candidate = low + costs[row] - slack[row] - prices
        better = ~done & (candidate < length)
        length[better], came_from[better] = candidate[better], row
        column = int(np.argmin(np.where(done, np.inf, length)))
        low, done[column] = float(length[column]), True
        if taker[column] < 0:
            break
        row = int(taker[column])
    for row in visited:
        slack[row] += low - (length[choice[row]] if row != start else 0.0)
    prices[done] -= low - length[done]
    row = -1
    while row != start:
        row = int(came_from[column])
        taker[column] = row
        choice[row], column = column, int(choice[row])
