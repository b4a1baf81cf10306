"""From chosen pictures to frames: scaled for the model, numbered, with the time that they cost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from streamer.frames import Frame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from streamer.sources.base import SizeFor
    from streamer.sources.picture import VideoPicture

from streamer.sampling import THUMBNAIL_SIZE


def thumbnail(picture: VideoPicture) -> NDArray[np.uint8]:
    """For scene changes."""
    return picture.scaled(THUMBNAIL_SIZE)


def to_frames(chosen: Iterator[VideoPicture], stream: str, size_for: SizeFor | None) -> Iterator[Frame]:
    """A frame a picture. For files the time to get it counts as decoding; for cameras, that is mostly waiting."""
    since = time.perf_counter()
    for sequence, picture in enumerate(chosen):
        if picture.captured_at is not None:
            since = time.perf_counter() - picture.decode_ms / 1000
        size = picture.source_size if size_for is None else size_for(picture.source_size)
        image = picture.scaled(size)
        yield Frame(
            image=image,
            source_size=picture.source_size,
            stream=stream,
            sequence=sequence,
            time_seconds=picture.time_seconds,
            index=picture.index,
            pts=picture.pts,
            time_base=picture.time_base,
            captured_at=picture.captured_at,
            decode_ms=(time.perf_counter() - since) * 1000,
        )
        since = time.perf_counter()
