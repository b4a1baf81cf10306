"""Pictures in files: one, or many as the pictures of one stream."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from streamer.errors import SourceError
from streamer.sources.base import Counters, SourceInfo
from streamer.sources.orientation import Orientation
from streamer.sources.picture import Scaler, VideoPicture
from streamer.sources.sampled import SampledSource, Wanted

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EXIF_ORIENTATION = 274


class ImagesSource(SampledSource):
    """Image files in the order given, one each ``seconds_per_image`` of media time.

    One that cannot be read is counted, noted and left out; where it is the only one, or none can be read,
    `SourceError` is raised.
    """

    def __init__(
        self, address: str, paths: Sequence[Path], wanted: Wanted, *, seconds_per_image: Fraction = Fraction(1)
    ) -> None:
        super().__init__(wanted)
        self._address, self._paths, self._seconds = address, list(paths), seconds_per_image

    def _read(self, counters: Counters) -> Iterator[VideoPicture]:
        scaler, read = Scaler(), 0
        for index, path in enumerate(self._paths):
            if self._closed.is_set():
                return
            try:
                image = read_image(path)
            except SourceError as error:
                counters.corrupt += 1
                counters.note(str(error))
                if len(self._paths) == 1:
                    raise
                continue
            read += 1
            counters.decoded += 1
            picture = VideoPicture.from_rgb(image, scaler, index * self._seconds, index)
            self._remember(picture)
            yield picture
        if not read:
            raise SourceError(self._address, "none of its pictures can be read", "see the first: " + counters.faults[0])

    def _remember(self, first: VideoPicture) -> None:
        if self._info is None:
            count = len(self._paths)
            seconds = float(count * self._seconds)
            rate = float(1 / self._seconds)
            self._info = SourceInfo(self._address, "images", first.source_size, seconds, rate, count)


def read_image(path: Path) -> NDArray[np.uint8]:
    """``(H, W, 3)`` uint8 RGB, upright by EXIF, transparent parts on white. Raises `SourceError`."""
    remedy = "check that it opens in a picture viewer"
    try:
        with (
            warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning),
            Image.open(path) as file,
        ):
            turn = Orientation.from_exif(file.getexif().get(_EXIF_ORIENTATION, 1))
            return turn.apply(to_rgb(file))
    except FileNotFoundError as error:
        raise SourceError(str(path), "there is no such file", "check the name") from error
    except PermissionError as error:
        raise SourceError(str(path), "it may not be read", "give this user the right to read it") from error
    except UnidentifiedImageError as error:
        reason = "the file is empty" if path.stat().st_size == 0 else "it is not a picture that can be read"
        raise SourceError(str(path), reason, remedy) from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise SourceError(str(path), f"it is damaged or too large ({error})", remedy) from error


def to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith(("I", "F")):  # 16-bit grey; Pillow would cut it off at 255
        grey = np.asarray(image).astype(np.float32)
        top = 65535.0 if grey.max(initial=0) > 255 else 255.0
        return np.repeat((grey * (255.0 / top)).clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        ground = Image.new("RGBA", with_alpha.size, "white")
        image = Image.alpha_composite(ground, with_alpha)
    return np.asarray(image.convert("RGB"), dtype=np.uint8)
