"""What a stream's process sends home: its events in order, packed small, and how the stream stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np

from streamer.display import encode_jpeg
from streamer.frames import Frame
from streamer.results import FrameResult
from streamer.settings import StreamStatus
from streamer.showing import Shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

FRAME_QUALITY = 95
"""Of frames: alerts are described by them and kept with them."""


@dataclass(frozen=True, slots=True)
class PackedFrame:
    """A `Frame` as JPEG, a tenth of its pixels' size."""

    image: bytes = field(repr=False)
    display: bytes | None = field(repr=False)
    source_size: tuple[int, int]
    stream: str
    time_seconds: float
    index: int | None
    pts: int | None
    time_base: Fraction | None
    captured_at: float | None
    decode_ms: float

    @classmethod
    def of(cls, frame: Frame) -> PackedFrame:
        return cls(
            image=encode_jpeg(frame.image, FRAME_QUALITY),
            display=None if frame.display is None else encode_jpeg(frame.display, FRAME_QUALITY),
            source_size=frame.source_size,
            stream=frame.stream,
            time_seconds=frame.time_seconds,
            index=frame.index,
            pts=frame.pts,
            time_base=frame.time_base,
            captured_at=frame.captured_at,
            decode_ms=frame.decode_ms,
        )

    def frame(self, sequence: int, here: Callable[[float], float]) -> Frame:
        """With the number that its result has; ``here`` makes moments there into moments here."""
        return Frame(
            image=_pixels(self.image),
            source_size=self.source_size,
            stream=self.stream,
            sequence=sequence,
            time_seconds=self.time_seconds,
            index=self.index,
            pts=self.pts,
            time_base=self.time_base,
            captured_at=None if self.captured_at is None else here(self.captured_at),
            decode_ms=self.decode_ms,
            display=None if self.display is None else _pixels(self.display),
        )


def _pixels(jpeg: bytes) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError("a frame came as what is no JPEG")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), dtype=np.uint8)


@dataclass(frozen=True, slots=True)
class Answered:
    """A result, with its frame where frames are wanted and it was analysed."""

    result: FrameResult
    at: float
    """``time.monotonic()`` there, when it was handed out."""
    frame: PackedFrame | None


Sent = Answered | Shown | StreamStatus


@dataclass(frozen=True, slots=True)
class Parcel:
    """What came together since the last one."""

    at: float
    """``time.monotonic()`` there, when it was closed."""
    status: StreamStatus
    events: tuple[Sent, ...] = ()
    """In their order."""
    lost: int = 0
    """Results of this process, altogether, that came faster than they were fetched."""
    ring: bool = False
    """Whether its source's newest packets are kept, to make clips of."""
    recorded: tuple[int, ...] = ()
    """Numbers of the recordings that ended."""
