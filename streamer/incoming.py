"""A file that somebody sent: what it is by its content, however it is called. What names other files is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
from PIL import Image, UnidentifiedImageError

from streamer.errors import SourceError
from streamer.sources import open_source

Kind = Literal["picture", "video"]
MOST_PIXELS = 50_000_000
"""Of a picture, known before it is unpacked."""
MOST_SIDE = 16_384
"""Of a video's pictures."""

_PICTURES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}
_VIDEOS = {
    "mov": ".mp4",
    "matroska": ".mkv",
    "avi": ".avi",
    "mpegts": ".ts",
    "mpeg": ".mpg",
    "flv": ".flv",
    "ogg": ".ogv",
    "asf": ".wmv",
    "gif": ".gif",
    "h264": ".h264",
    "hevc": ".hevc",
    "ivf": ".ivf",
    "mxf": ".mxf",
    "nut": ".nut",
    "dv": ".dv",
    "mjpeg": ".mjpeg",
}
"""FFmpeg's name of a container that holds its pictures itself -> the ending it gets here. Playlists are none of them:
they could have any file of this machine read."""
_REMEDY = "send a JPEG, PNG or WebP, or a video such as MP4, MKV, WebM or AVI"


@dataclass(frozen=True, slots=True)
class Incoming:
    """What a file is."""

    kind: Kind
    suffix: str
    """The ending that says so: ``.jpg``, ``.mkv``."""
    size: tuple[int, int]
    """``(width, height)`` of the upright pictures."""
    duration_seconds: float | None


def recognised(path: Path, most_pixels: int = MOST_PIXELS) -> Incoming:
    """What the file at ``path`` is. Raises `SourceError` for what is no picture or video, and for one that is too
    large or cannot be read at all."""
    suffix = _picture_suffix(path, most_pixels)
    kind: Kind = "video" if suffix is None else "picture"
    ending = suffix or _video_suffix(path)
    named = path.with_name(f"{path.stem}{ending}")
    if named != path:  # sources go by the ending
        path.rename(named)
    try:
        with open_source(str(named)) as source:
            info = source.info
    finally:
        if named != path:
            named.rename(path)
    if max(info.size) > MOST_SIDE:
        raise _refused(f"its pictures are {info.size[0]} x {info.size[1]} pixels large", f"at most {MOST_SIDE} a side")
    return Incoming(kind, ending, info.size, info.duration_seconds)


def _picture_suffix(path: Path, most_pixels: int) -> str | None:
    """None for what is no picture."""
    try:
        with Image.open(path, formats=tuple(_PICTURES)) as file:
            if file.width * file.height > most_pixels:
                raise _refused(f"it has {file.width} x {file.height} pixels", f"at most {most_pixels} pixels")
            return _PICTURES[str(file.format)]
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _refused("it has too many pixels", f"at most {most_pixels} pixels") from error
    except UnidentifiedImageError:
        return None
    except (OSError, ValueError, SyntaxError, KeyError, TypeError) as error:
        raise _refused("it is damaged", "check that it opens in a picture viewer") from error


def _video_suffix(path: Path) -> str:
    try:
        options = {"format_whitelist": ",".join(_VIDEOS)}
        with av.open(f"file:{path}", options=options, timeout=(20.0, 20.0)) as container:
            names = container.format.name.split(",")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _refused("it is no picture or video that can be read here", _REMEDY) from error
    for name in names:
        if name in _VIDEOS:
            return _VIDEOS[name]
    raise _refused("it is no picture or video that can be read here", _REMEDY)


def _refused(reason: str, remedy: str) -> SourceError:
    return SourceError("file", reason, remedy)
