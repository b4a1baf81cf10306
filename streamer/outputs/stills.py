"""The sampled frames as JPEG files, for formats that need pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PIL import Image

from streamer.errors import SourceError
from streamer.outputs.atomic import replacing_folder
from streamer.outputs.base import Annotations, Still

if TYPE_CHECKING:
    from pathlib import Path

    from streamer.sources.base import Source

QUALITY = 95
"""Of the JPEG: above what a detector could tell from the original."""


def write_stills(
    source: Source, annotations: Annotations, folder: Path, progress: Callable[[float], None]
) -> dict[int, Still]:
    """``NAME.frames/000075.jpg`` for each good result, called by its frame number; by sequence.

    ``source`` is sampled as the job's was and gives its own size; no picture behind the last one wanted is asked for.
    Raises `SourceError` where it ends before that, `OutputError` where they cannot be written.
    """
    wanted = {result.sequence: result for result in annotations.good}
    target = folder / f"{annotations.name}.frames"
    stills: dict[int, Still] = {}
    with replacing_folder(target) as temporary:
        frames = iter(source.frames())
        while len(stills) < len(wanted) and (frame := next(frames, None)) is not None:
            if (result := wanted.get(frame.sequence)) is None:
                continue
            name = f"{annotations.number(result):06d}.jpg"
            Image.fromarray(frame.image).save(temporary / name, quality=QUALITY, subsampling=0)
            stills[frame.sequence] = Still(target / name, frame.size)
            progress(frame.time_seconds)
        if len(stills) < len(wanted):
            reason = f"{len(wanted) - len(stills)} of its {len(wanted)} sampled frames are not there any more"
            raise SourceError(annotations.address, reason, "has the file changed since?")
    return stills
