"""The annotated video: every picture of the source with the newest answers drawn on it, H.264 in MP4."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from streamer.errors import OutputError, SourceError
from streamer.outputs.atomic import replacing
from streamer.outputs.drawing import draw_caption, draw_detections
from streamer.results import FrameResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from streamer.sources.base import Picture, Source

TIME_BASE = Fraction(1, 90_000)
LARGEST_SIDE = 1280
"""Pixels; larger sources are scaled down."""


@dataclass(frozen=True, slots=True)
class _Overlays:
    """Which answers belong on a picture: those of the newest sampled frame at or before it."""

    times: list[float]
    results: Sequence[FrameResult]

    @classmethod
    def of(cls, results: Iterable[FrameResult]) -> _Overlays:
        ordered = sorted((result for result in results if result.error is None), key=lambda result: result.time_seconds)
        return cls([result.time_seconds for result in ordered], ordered)

    def at(self, seconds: float) -> FrameResult | None:
        place = bisect.bisect_right(self.times, seconds + 1e-6)
        return self.results[place - 1] if place else None


def write_annotated(
    source: Source,
    results: Iterable[FrameResult],
    path: Path,
    *,
    note: str | None = None,
    progress: Callable[[float], None] | None = None,
) -> int:
    """Draws ``results`` on the pictures of ``source`` and writes them with their own timing; how many were written.

    ``note`` goes into the file's comment and, in front of the first answer's place, on the picture; ``progress`` hears
    the media time in seconds. Written under a temporary name first. A source that breaks off ends the video there.
    Raises `OutputError` where nothing can be written.
    """
    overlays = _Overlays.of(results)
    with replacing(path) as temporary:
        try:
            with av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as container:
                if note:
                    container.metadata["comment"] = note
                return _encode(container, _drawn(source, overlays, note, progress), source.info.rate)
        except (av.FFmpegError, OSError) as error:
            raise OutputError(path, f"the video cannot be written: {error}", "is there room on the disk?") from error


def _drawn(
    source: Source, overlays: _Overlays, note: str | None, progress: Callable[[float], None] | None
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """``(seconds, picture)`` in order; ends where the source breaks off, as the job's own rows already tell."""
    try:
        for picture in source.pictures():
            if progress:
                progress(picture.time_seconds)
            yield picture.time_seconds, _draw(picture, overlays.at(picture.time_seconds), note)
    except SourceError:
        return


def _draw(picture: Picture, result: FrameResult | None, note: str | None) -> NDArray[np.uint8]:
    image = picture.scaled(even_size(picture.source_size))
    caption = note or ""
    if result is not None:
        image = draw_detections(image, result.detections)
        caption = caption_of(result)
    return draw_caption(image, caption) if caption else image


def caption_of(result: FrameResult) -> str:
    """What is said of the picture in words, in one line: the caption, then the other answers."""
    parts = [result.caption] if result.caption else []
    for name, answer in result.answers.items():
        text = answer.get("text") if isinstance(answer, dict) else answer
        if name != "caption" and isinstance(text, str) and not text.lstrip().startswith(("```", "[")):
            parts.append(text)
    return "  ·  ".join(part for part in parts if part)


def even_size(size: tuple[int, int]) -> tuple[int, int]:
    """At most `LARGEST_SIDE` on the longer side, the aspect kept, both sides even as H.264 wants them."""
    width, height = size
    scale = min(1.0, LARGEST_SIDE / max(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def _encode(container: Any, pictures: Iterator[tuple[float, NDArray[np.uint8]]], rate: float | None) -> int:
    stream: Any = None
    written, last = 0, -1
    for seconds, image in pictures:
        if stream is None:
            stream = _add_stream(container, image, rate)
        frame = av.VideoFrame.from_ndarray(_fitted(image, stream), format="rgb24")
        last = max(last + 1, round(seconds / TIME_BASE))  # a clock that jumps back must not break the file
        frame.pts, frame.time_base = last, TIME_BASE
        container.mux(stream.encode(frame))
        written += 1
    if stream is None:
        raise OSError("the source has no pictures")
    container.mux(stream.encode(None))
    return written


def _add_stream(container: Any, image: NDArray[np.uint8], rate: float | None) -> Any:
    usual = Fraction(rate).limit_denominator(1001) if rate and 1 <= rate <= 240 else Fraction(25)
    stream = container.add_stream("libx264", rate=usual, options={"crf": "21", "preset": "veryfast"})
    stream.height, stream.width = image.shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.time_base = stream.codec_context.time_base = TIME_BASE
    return stream


def _fitted(image: NDArray[np.uint8], stream: Any) -> NDArray[np.uint8]:
    """The picture on a canvas of the video's size, where the source changed its own on the way."""
    if image.shape[:2] == (stream.height, stream.width):
        return image
    import cv2

    size = (stream.width, stream.height)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
