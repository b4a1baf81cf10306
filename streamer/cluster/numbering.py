"""A stream's numbers go on when another process takes it over, and its clock becomes that of this machine. No I/O.

Every process of a stream counts frames, pictures and tracks from the beginning, and has its node's own clock. Viewers
and rules are to notice nothing of that.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import replace

from streamer.display import CarriedBoxes, EncodedPicture
from streamer.passthrough import VideoPacket
from streamer.results import Detection, FrameResult
from streamer.showing import Shown

_READINGS = 120
"""Of a clock that are kept: two minutes, so that two clocks that drift apart are followed."""


class Clock:
    """From the moments of another machine's ``time.monotonic`` to this one's.

    A reading that travelled fast is off by little; the fastest of the newest ones counts.
    """

    def __init__(self) -> None:
        self._gaps: deque[float] = deque(maxlen=_READINGS)

    def read(self, there: float, here: float) -> None:
        """What was said at ``there`` was heard at ``here``."""
        self._gaps.append(here - there)

    def here(self, there: float) -> float:
        """Of a moment there; seconds, before the first `read` unchanged."""
        return there + min(self._gaps, default=0.0)

    def there(self, here: float) -> float:
        """The other way round."""
        return here - min(self._gaps, default=0.0)


class Numbering:
    """Of one stream, over all processes that ran it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self._frames, self._pictures, self._tracks = _Row(), _Row(), _Row(first=1)
        self._packets = _Row(gap=1)
        self._counts: Counter[str] = Counter()
        """Of the processes before."""
        self._newest: Counter[str] = Counter()
        """Of the one that runs."""

    def begin(self) -> None:
        """Another process runs the stream from now on."""
        self.clock = Clock()
        for row in (self._frames, self._pictures, self._tracks, self._packets):
            row.begin()
        self._counts += self._newest
        self._newest = Counter()

    def result(self, result: FrameResult, made_at: float, now: float) -> FrameResult:
        """As it is here. ``made_at``: when it was handed out, by the clock there; ``now`` by the one here."""
        timings = result.timings
        if timings.age_ms is not None:
            under_way = max(0.0, now - self.clock.here(made_at)) * 1000
            deliver_ms = (timings.deliver_ms or 0.0) + under_way
            timings = replace(timings, age_ms=timings.age_ms + under_way, deliver_ms=deliver_ms)
        return replace(
            result,
            sequence=self._frames.number(result.sequence),
            detections=self._tracked(result.detections),
            timings=timings,
        )

    def shown(self, event: Shown) -> Shown:
        """What viewers see, as it is here."""
        captured_at = self.clock.here(event.captured_at)
        match event:
            case EncodedPicture():
                return replace(event, sequence=self._pictures.number(event.sequence), captured_at=captured_at)
            case CarriedBoxes():
                number, found = self._pictures.number(event.sequence), self._tracked(event.detections)
                return replace(event, sequence=number, captured_at=captured_at, detections=found)
            case VideoPacket():
                return replace(event, number=self._packets.number(event.number), captured_at=captured_at)

    def counts(self, newest: Mapping[str, int]) -> Counter[str]:
        """Of all processes together; ``newest`` is of the one that runs."""
        self._newest = Counter(newest)
        return self._counts + self._newest

    def add(self, what: str) -> None:
        """Counts something that no process counts itself."""
        self._counts[what] += 1

    def _tracked(self, detections: tuple[Detection, ...]) -> tuple[Detection, ...]:
        return tuple(
            one if one.track_id is None else replace(one, track_id=self._tracks.number(one.track_id))
            for one in detections
        )


class _Row:
    """Numbers that go on rising; with a ``gap`` where another process goes on."""

    def __init__(self, first: int = 0, gap: int = 0) -> None:
        self._first, self._gap = first, gap
        self._base = 0
        self._next = first

    def begin(self) -> None:
        self._base = self._next - self._first + self._gap

    def number(self, number: int) -> int:
        self._next = max(self._next, self._base + number + 1)
        return self._base + number
