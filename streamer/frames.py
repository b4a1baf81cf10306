"""A picture with its time."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from streamer.errors import OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Frame:
    """One sampled picture of a stream, upright, with square pixels, at the size the model takes."""

    image: NDArray[np.uint8]
    """``(H, W, 3)`` uint8 RGB at the analysis size."""
    source_size: tuple[int, int]
    """``(width, height)`` of the whole picture in the source, after rotation and pixel aspect."""
    stream: str
    """Which stream it belongs to (a file's or a camera's name, without passwords)."""
    sequence: int
    """0-based number of this frame among those sampled from the stream."""
    time_seconds: float
    """Media time of the picture, seconds since the start of the source."""
    index: int | None = None
    """0-based place of the picture among all pictures of the source in order of presentation, where known."""
    pts: int | None = None
    """Presentation time in units of ``time_base``, as the container has it (not shifted to start at 0)."""
    time_base: Fraction | None = None
    """Seconds per unit of ``pts``."""
    captured_at: float | None = None
    """``time.monotonic()`` when a live picture arrived; None for files."""
    decode_ms: float = 0.0
    """Milliseconds spent on decoding and scaling since the previous sampled frame."""
    display: NDArray[np.uint8] | None = None
    """``(H', W', 3)`` uint8 RGB for viewers; None where ``image`` serves."""

    def __post_init__(self) -> None:
        for name in ("image", "display"):
            value = getattr(self, name)
            if value is None and name == "display":
                continue
            if not isinstance(value, np.ndarray) or value.dtype != np.uint8 or value.ndim != 3 or value.shape[2] != 3:
                shape = getattr(value, "shape", type(value).__name__)
                raise OptionError(name, shape, "an (H, W, 3) uint8 RGB array")

    @property
    def size(self) -> tuple[int, int]:
        """``(width, height)`` of ``image``."""
        return self.image.shape[1], self.image.shape[0]

    def __repr__(self) -> str:
        width, height = self.size
        return f"<Frame {self.stream} #{self.sequence} t={self.time_seconds:.3f} s {width}x{height}>"
