"""Which way up: quarter turns and mirrorings, as containers (display matrix) and photographs (EXIF) state them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from streamer.sources.base import Size


class Orientation(NamedTuple):
    """How the stored picture becomes upright: rows and columns swapped first, then mirrored along either axis."""

    transpose: bool = False
    flip_x: bool = False
    """Left and right swapped (after the transposition)."""
    flip_y: bool = False
    """Top and bottom swapped (after the transposition)."""

    @classmethod
    def from_display_matrix(cls, data: bytes) -> Orientation:
        """From the nine 32-bit numbers of a display matrix; an angle between quarter turns goes to the nearest one."""
        matrix = np.frombuffer(data, dtype=np.int32, count=9)
        a, b, c, d = (int(matrix[place]) for place in (0, 1, 3, 4))
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(False, a < 0, d < 0)
        return cls(True, c < 0, b < 0)

    @classmethod
    def from_exif(cls, value: int) -> Orientation:
        """From EXIF's tag 274 (1 to 8); anything else is upright already."""
        transpose = value in (5, 6, 7, 8)
        return cls(transpose, value in (2, 3, 6, 7), value in (3, 4, 7, 8))

    def turned(self, size: Size) -> Size:
        """``(width, height)`` before <-> after; the same both ways."""
        return (size[1], size[0]) if self.transpose else size

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The upright picture of an ``(H, W, C)`` array, contiguous."""
        if self.transpose:
            image = image.transpose(1, 0, 2)
        return np.ascontiguousarray(image[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1])


UPRIGHT = Orientation()
