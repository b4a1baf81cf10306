"""Pictures that somebody sends: looked at with care, then turned and scaled as those of any source."""

from __future__ import annotations

import threading
from fractions import Fraction
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from streamer.errors import SourceError
from streamer.frames import Frame
from streamer.sources.images import to_rgb
from streamer.sources.orientation import Orientation
from streamer.sources.picture import Scaler, VideoPicture

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from streamer.models.base import VisionModel

FORMATS = ("JPEG", "PNG", "WEBP")
STREAM = "upload"
"""What its frames say that they are of."""
_EXIF_ORIENTATION = 274
_LONGEST_SIDE = 16_384
"""Pixels; what is longer cannot be scaled."""
_UNPACKING = threading.Lock()
"""One picture at a time: a large one takes hundreds of megabytes until it is scaled."""


def frame_of(data: bytes, most_pixels: int, model: VisionModel, budget: int) -> Frame:
    """The frame of an encoded picture, at the size that ``model`` takes for ``budget``. Raises `SourceError`."""
    image = _decoded(data, most_pixels)
    picture = VideoPicture.from_rgb(image, Scaler(), Fraction(0), 0)
    size = model.size_for(picture.source_size, budget)
    return Frame(picture.scaled(size), picture.source_size, STREAM, 0, 0.0)


def _decoded(data: bytes, most_pixels: int) -> NDArray[np.uint8]:
    """``(H, W, 3)`` uint8 RGB, upright by EXIF. The size is known, and refused, before anything is unpacked."""
    try:
        with _UNPACKING, Image.open(BytesIO(data), formats=FORMATS) as file:
            if max(file.size) > _LONGEST_SIDE:
                raise _refused(f"it is {file.width} x {file.height} pixels", f"at most {_LONGEST_SIDE} a side")
            if file.width * file.height > most_pixels:
                raise _refused(f"it has {file.width} x {file.height} pixels", f"at most {most_pixels} pixels")
            turn = Orientation.from_exif(file.getexif().get(_EXIF_ORIENTATION, 1))
            return turn.apply(to_rgb(file))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _refused("it has too many pixels", f"at most {most_pixels} pixels") from error
    except UnidentifiedImageError as error:
        raise _refused("it is no picture of these kinds", "send a JPEG, PNG or WebP") from error
    except (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError) as error:
        raise _refused("it is damaged", "check that it opens in a picture viewer") from error


def _refused(reason: str, remedy: str) -> SourceError:
    return SourceError("picture", reason, remedy)
