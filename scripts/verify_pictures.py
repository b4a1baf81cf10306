"""The pictures that `verify_gpu.py` shows to the model: drawn scenes, a sample video's frames, or files of the user's.

Every album has as many cameras as asked for, and each camera several moments that resemble each other, as successive
frames do.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from streamer.gemma.budget import size_for
from streamer.gemma.preprocess import ImageSettings
from streamer.pictures import read_picture
from streamer.sources import open_source

Image = NDArray[np.uint8]
Size = tuple[int, int]

SAMPLES = Path(__file__).resolve().parent.parent / "sample_videos"
_HD = (1280, 720)


class Album(Protocol):
    """Where pictures come from."""

    description: str

    def source_size(self, camera: int) -> Size:
        """``(width, height)`` of the camera's pictures."""

    def look(self, camera: int, moment: int, size: Size) -> Image:
        """``(H, W, 3)`` uint8 RGB of ``size``."""

    def sign(self, size: Size) -> Image:
        """A picture with something to read."""

    def objects(self, camera: int) -> list[dict[str, Any]] | None:
        """What the camera's first moment shows, as `scenes.truth` tells it; None where nobody knows."""


def open_album(paths: Sequence[str] = ()) -> Album:
    """The user's pictures where there are any, else drawn ones, else (fonts are missing) a sample video's.

    Raises `SourceError` for a picture that cannot be read.
    """
    if paths:
        return Given(paths)
    try:
        return Drawn()
    except OSError:  # Pillow finds no font
        return Filmed()


def fitted(album: Album, camera: int, moment: int, budget: int, settings: ImageSettings) -> Image:
    """The picture at the size that the model takes at ``budget``, so that nobody has to resize it any more."""
    size = size_for(album.source_size(camera), budget, patch_pixels=settings.patch_pixels, pooling=settings.pooling)
    return album.look(camera, moment, size)


class Drawn:
    """Street scenes of the generator that the sample videos are made with: a scene a camera, a little changed each
    moment. Raises `OSError` where its fonts are missing."""

    description = "drawn by scripts/scenes.py"

    def __init__(self) -> None:
        import scenes

        self._scenes = scenes
        self._moments: dict[tuple[int, int], Any] = {}
        rng = random.Random(5)
        self._sign = scenes.Scene("street", "day", 7, (scenes.Thing(scenes.SIGN, 0.5, 0.45, 0.4, 1, False, "HOTEL"),))
        scenes.draw(self._sign, (96, 48))
        scenes.draw(scenes.random_scene(rng), (96, 48))

    def source_size(self, camera: int) -> Size:
        return _HD

    def look(self, camera: int, moment: int, size: Size) -> Image:
        return np.asarray(self._scenes.draw(self._scene(camera, moment), size), dtype=np.uint8)

    def sign(self, size: Size) -> Image:
        return np.asarray(self._scenes.draw(self._sign, size), dtype=np.uint8)

    def objects(self, camera: int) -> list[dict[str, Any]] | None:
        found: list[dict[str, Any]] = self._scenes.truth(self._scene(camera, 0))["objects"]
        return found

    def _scene(self, camera: int, moment: int) -> Any:
        if (camera, moment) not in self._moments:
            rng = random.Random(1000 * camera + moment)
            self._moments[camera, moment] = (
                self._scenes.random_scene(rng, things=(3, 6), sign_share=0.0)
                if moment == 0
                else self._scenes.varied(rng, self._scene(camera, moment - 1))
            )
        return self._moments[camera, moment]


class Filmed:
    """Frames of the sample video, two a second; each camera begins at another second."""

    description = "frames of sample_videos/street.mp4 (the scene generator's fonts are not installed)"

    def __init__(self) -> None:
        with open_source(str(SAMPLES / "street.mp4"), sampling="2 fps") as source:
            self._frames = [frame.image for frame in source.frames()]

    def source_size(self, camera: int) -> Size:
        return _size(self._frames[0])

    def look(self, camera: int, moment: int, size: Size) -> Image:
        return resized(self._frames[(7 * camera + moment) % len(self._frames)], size)

    def sign(self, size: Size) -> Image:
        return resized(read_picture(str(SAMPLES / "signs.mp4")).image, size)

    def objects(self, camera: int) -> list[dict[str, Any]] | None:
        return None


class Given:
    """The user's pictures. More cameras than pictures, and later moments, see them shifted a little to the side."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._pictures = [read_picture(path).image for path in paths]
        self.description = ", ".join(paths)

    def source_size(self, camera: int) -> Size:
        return _size(self._pictures[camera % len(self._pictures)])

    def look(self, camera: int, moment: int, size: Size) -> Image:
        picture = resized(self._pictures[camera % len(self._pictures)], size)
        shift = 24 * (camera // len(self._pictures)) + 4 * moment
        return np.ascontiguousarray(np.roll(picture, shift, axis=1))

    def sign(self, size: Size) -> Image:
        return resized(self._pictures[-1], size)

    def objects(self, camera: int) -> list[dict[str, Any]] | None:
        return None


def resized(picture: Image, size: Size) -> Image:
    smaller = size[0] * size[1] < picture.shape[0] * picture.shape[1]
    way = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.ascontiguousarray(cv2.resize(picture, size, interpolation=way), dtype=np.uint8)


def _size(picture: Image) -> Size:
    return picture.shape[1], picture.shape[0]
