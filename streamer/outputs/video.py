"""The annotated video: every picture of the source with the newest answers drawn on it, H.264 in MP4."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from streamer.carrying import Carrier
from streamer.errors import OutputError, SourceError
from streamer.outputs.atomic import replacing
from streamer.outputs.cues import caption_of
from streamer.outputs.drawing import draw_caption, draw_detections, draw_note
from streamer.outputs.sound import Sound
from streamer.results import Detection, FrameResult

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from streamer.frames import Frame
    from streamer.sources.base import Source

TIME_BASE = Fraction(1, 90_000)
LARGEST_SIDE = 1280
"""Pixels; larger sources are scaled down."""
_BT709 = 1
"""Its number in H.264, for matrix, primaries and transfer: what players take for granted in HD."""


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
    sound: str | None = None,
    progress: Callable[[float], None] | None = None,
) -> int:
    """Draws ``results`` on the frames of ``source`` and writes them with their own timing; how many were written.

    ``source`` gives every picture wanted in the video, at `even_size`; the first one begins the video. ``note`` goes
    into the file's comment and into the corner of every picture; ``sound`` is the address of the file whose sound goes
    with it; ``progress`` hears the media time in seconds.
    Written under a temporary name first. A source that breaks off ends the video there. Raises `OutputError` where
    nothing can be written.
    """
    kept = list(results)
    with replacing(path) as temporary:
        try:
            with av.open(str(temporary), "w", format="mp4", options={"movflags": "faststart"}) as container:
                if note:
                    container.metadata["comment"] = note
                frames = _until_it_breaks(source)
                if (first := next(frames, None)) is None:
                    raise OSError("the source has no pictures")
                pictures = _drawn(itertools.chain([first], frames), kept, note, progress)
                return _encode(container, pictures, source.info.rate, _heard(sound, container, first))
        except (av.FFmpegError, OSError) as error:
            raise OutputError(path, f"the video cannot be written: {error}", "is there room on the disk?") from error


def _drawn(
    frames: Iterable[Frame],
    results: Sequence[FrameResult],
    note: str | None,
    progress: Callable[[float], None] | None,
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """``(seconds, picture)`` in order, the boxes carried from sample to sample."""
    overlays = _Overlays.of(results)
    pictures = ((frame.time_seconds, frame.image) for frame in frames)
    for seconds, image, detections in Carrier(results).through(pictures):
        if progress:
            progress(seconds)
        yield seconds, _draw(image, detections, overlays.at(seconds), note)


def _until_it_breaks(source: Source) -> Iterator[Frame]:
    """Ends where the source breaks off, as the job's own rows already tell."""
    try:
        yield from source.frames()
    except SourceError:
        return


def _draw(
    image: NDArray[np.uint8], detections: Sequence[Detection], result: FrameResult | None, note: str | None
) -> NDArray[np.uint8]:
    image = draw_detections(image, detections)
    caption = caption_of(result) if result is not None else ""
    image = draw_caption(image, caption) if caption else image
    return draw_note(image, note) if note else image


def even_size(size: tuple[int, int]) -> tuple[int, int]:
    """At most `LARGEST_SIDE` on the longer side, the aspect kept, both sides even as H.264 wants them."""
    width, height = size
    scale = min(1.0, LARGEST_SIDE / max(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


def _heard(sound: str | None, container: Any, first: Frame) -> Callable[[], Sound] | None:
    """The sound from the first picture on; opened only once the video's stream is there."""
    if sound is None or first.pts is None or first.time_base is None:
        return None
    origin = first.pts * first.time_base
    return lambda: Sound(sound, container, origin)


def _encode(
    container: Any,
    pictures: Iterator[tuple[float, NDArray[np.uint8]]],
    rate: float | None,
    heard: Callable[[], Sound] | None,
) -> int:
    usual = Fraction(rate).limit_denominator(1001) if rate and 0.01 <= rate <= 240 else Fraction(25)
    first, picture = next(pictures)
    stream = _add_stream(container, picture, usual)
    written, last = 0, -1
    with ExitStack() as stack:
        sound = stack.enter_context(heard()) if heard is not None else None
        for moment, image in itertools.chain([(first, picture)], pictures):
            frame = av.VideoFrame.from_ndarray(_fitted(image, stream), format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=av.video.reformatter.Colorspace.ITU709)
            last = max(last + 1, round((moment - first) / TIME_BASE))  # a clock that jumps back must not break the file
            frame.pts, frame.time_base, frame.duration = last, TIME_BASE, round(1 / usual / TIME_BASE)
            container.mux(stream.encode(frame))
            written += 1
            if sound is not None:
                sound.until(moment - first)
        container.mux(stream.encode(None))
        if sound is not None:
            sound.until(float(last * TIME_BASE + 1 / usual))
            sound.end()
    return written


def _add_stream(container: Any, image: NDArray[np.uint8], rate: Fraction) -> Any:
    stream = container.add_stream("libx264", rate=rate, options={"crf": "21", "preset": "veryfast"})
    context = stream.codec_context
    context.height, context.width = image.shape[:2]
    context.pix_fmt = "yuv420p"
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    stream.time_base = context.time_base = TIME_BASE
    return stream


def _fitted(image: NDArray[np.uint8], stream: Any) -> NDArray[np.uint8]:
    """The picture on a canvas of the video's size, where the source changed its own on the way; its aspect is kept."""
    if image.shape[:2] == (stream.height, stream.width):
        return image
    import cv2

    scale = min(stream.height / image.shape[0], stream.width / image.shape[1])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    top, left = (stream.height - height) // 2, (stream.width - width) // 2
    canvas = np.zeros((stream.height, stream.width, 3), np.uint8)
    canvas[top : top + height, left : left + width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return canvas
