"""What a path means: files, folders and patterns on this machine."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable
from pathlib import Path

from streamer.errors import SourceError

_VIDEOS = (
    "3g2 3gp asf avi dv f4v flv gif h264 h265 264 265 hevc ivf m2ts m2v m4v mjpeg mjpg mkv mov mp4 mpeg mpg mts mxf "
    "nut ogv ogg rm rmvb ts vob webm wmv y4m"
)
_IMAGES = "avif bmp jfif jp2 jpeg jpg pgm png ppm tga tif tiff webp"
VIDEO_SUFFIXES = frozenset(f".{name}" for name in _VIDEOS.split())
IMAGE_SUFFIXES = frozenset(f".{name}" for name in _IMAGES.split())
OWN_SUFFIX = ".annotated.mp4"
"""What the file job calls its videos: a second run over a folder does not take them for new ones."""
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+:")
_PATTERN = re.compile(r"[*?\[]")


def is_address(text: str) -> bool:
    """Whether it names something that is not a file or folder here (``rtsp://…``, ``webcam:0``, ``/dev/video0``)."""
    if text.startswith("file:"):
        return False
    return text.startswith("/dev/video") or (bool(_SCHEME.match(text)) and not os.path.exists(text))


def is_pattern(text: str) -> bool:
    return bool(_PATTERN.search(text)) and not os.path.exists(local_path(text))


def local_path(text: str) -> Path:
    """Without ``file:`` or ``file://``, the home folder's ``~`` written out."""
    return Path(re.sub(r"^file:(//(?=/))?", "", text)).expanduser()


def check_named(text: str) -> None:
    """Raises `SourceError` for an empty name, which would mean the current folder: a shell's unset variable."""
    if not text:
        raise SourceError("''", "this name is empty", "name a file, folder or camera")


def check_exists(address: str, path: Path) -> None:
    """Raises `SourceError` where nothing is there, or it may not be seen."""
    try:
        path.stat()
    except PermissionError as error:
        raise SourceError(address, "it may not be read", "give this user the right to read it") from error
    except (OSError, ValueError) as error:
        raise SourceError(address, "there is no such file or folder", "check the name") from error


def matches(pattern: str) -> list[Path]:
    """The files that ``pattern`` means, in natural order; ``**`` goes into folders."""
    found = glob.glob(str(local_path(pattern)), recursive=True)
    return natural([path for path in map(Path, found) if path.is_file()])


def natural(paths: Iterable[Path]) -> list[Path]:
    """Sorted as people count: 2 before 10."""
    return sorted(paths, key=lambda path: [_natural_key(part) for part in path.parts])


def _natural_key(text: str) -> list[tuple[bool, int, str]]:
    parts = re.split(r"(\d+)", text.lower())
    return [(False, int(part), "") if part.isdecimal() else (True, 0, part) for part in parts if part]


def videos_and_images(folder: Path, *, recursive: bool = False) -> tuple[list[Path], list[Path]]:
    """By their names' endings, hidden ones and our own annotated videos left out, each list in natural order."""
    walk = folder.rglob("*") if recursive else folder.iterdir()
    files = [path for path in walk if path.is_file() and not path.name.startswith(".")]
    files = [path for path in files if not path.name.endswith(OWN_SUFFIX)]
    videos = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES]
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    return natural(videos), natural(images)


def expand(paths: Iterable[str], recursive: bool = False) -> list[str]:
    """One address a source: files and addresses as they are, folders and patterns as what is in them.

    A folder gives its videos; where it has none but has pictures, it is itself one source of pictures. A pattern gives
    its files; where all of them are pictures, it is itself one source. Natural order within each, no source twice.
    Raises `SourceError` where a name means nothing.
    """
    found = [address for text in paths for address in _expanded(text, recursive)]
    return list(dict.fromkeys(found))


def _expanded(text: str, recursive: bool) -> list[str]:
    check_named(text)
    if is_address(text):
        return [text]
    path = local_path(text)
    if os.path.isdir(path):
        return _in_folder(text, path, recursive)
    if is_pattern(text):
        return _matching(text)
    check_exists(text, path)
    return [text]


def _matching(pattern: str) -> list[str]:
    files = matches(pattern)
    known = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES | IMAGE_SUFFIXES]
    if not files:
        raise SourceError(pattern, "no file matches this pattern", "check the pattern and put quotes around it")
    if all(path.suffix.lower() in IMAGE_SUFFIXES for path in files):
        return [pattern]
    return [str(path) for path in known or files]


def _in_folder(text: str, folder: Path, recursive: bool) -> list[str]:
    try:
        videos, images = videos_and_images(folder, recursive=recursive)
    except PermissionError as error:
        raise SourceError(text, "the folder may not be read", "give this user the right to read it") from error
    if videos:
        return [str(path) for path in videos]
    if not images:
        deeper = "" if recursive else ", or let subfolders be searched too"
        raise SourceError(text, "there are no videos or pictures in this folder", f"name another one{deeper}")
    if not recursive:
        return [text]
    return [str(path) for path in natural({path.parent for path in images})]
