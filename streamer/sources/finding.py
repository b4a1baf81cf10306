"""What a path means: files, folders and patterns on this machine."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
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
OWN_MARKER = ".streamer"
"""A file in each folder that the file job makes: the pictures in it are no new ones either."""
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
    return Path(os.path.expanduser(re.sub(r"^file:(//(?=/))?", "", text)))  # that of pathlib raises for a wrong user


def check_named(text: str) -> None:
    """Raises `SourceError` for an empty name, which would mean the current folder: a shell's unset variable."""
    if not text:
        raise SourceError("''", "this name is empty", "name a file, folder or camera")


def check_exists(address: str, path: Path) -> None:
    """Raises `SourceError` where nothing is there, or it may not be seen."""
    try:
        mode = path.stat().st_mode
    except PermissionError as error:
        raise SourceError(address, "it may not be read", "give this user the right to read it") from error
    except (OSError, ValueError) as error:
        raise SourceError(address, "there is no such file or folder", "check the name") from error
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        what = kinds.get(stat.S_IFMT(mode), "a device")
        raise SourceError(address, f"it is {what}, no file", "write what comes out of it into a file first")


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
    """By their names' endings, each list in natural order. Hidden ones are left out, and what the file job has made:
    its annotated videos, and below ``folder`` what lies in its folders of pictures."""
    walk = folder.rglob("*") if recursive else folder.iterdir()
    files = [path for path in walk if path.is_file() and not path.name.startswith(".")]
    files = [path for path in files if not path.name.endswith(OWN_SUFFIX)]
    below = {place for path in files for place in path.parents} - {folder, *folder.parents}
    own = {place for place in below if (place / OWN_MARKER).is_file()}
    files = [path for path in files if own.isdisjoint(path.parents)] if own else files
    videos = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES]
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    return natural(videos), natural(images)


@dataclass(frozen=True, slots=True)
class Found:
    """A source that a name means."""

    address: str
    under: str | None = None
    """The folder that was searched for it with all that is below; None where it was named otherwise."""


@dataclass(slots=True)
class Search:
    """What names mean, one after the other; no source comes twice, however its name is spelled."""

    recursive: bool = False
    """Whether folders are taken with all that is below them."""
    found: list[Found] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    """Folders of videos, with how many pictures lie in each of them that are not looked at."""
    _known: set[str] = field(default_factory=set)

    def add(self, text: str) -> None:
        """Files and addresses as they are, folders and patterns as what is in them.

        A folder gives its videos; where it has none but has pictures, it is itself one source of pictures. A pattern
        gives its files; where all of them are pictures, it is itself one source. Natural order within each. Raises
        `SourceError` where a name means nothing.
        """
        for one in list(self._meant(text)):
            key = one.address if is_address(one.address) else os.path.realpath(local_path(one.address))
            if key not in self._known:
                self._known.add(key)
                self.found.append(one)

    def _meant(self, text: str) -> Iterator[Found]:
        check_named(text)
        path = local_path(text)
        if is_address(text):
            yield Found(text)
        elif os.path.isdir(path):
            yield from self._in_folder(text, path)
        elif is_pattern(text):
            yield from map(Found, _matching(text))
        else:
            check_exists(text, path)
            yield Found(text)

    def _in_folder(self, text: str, folder: Path) -> Iterator[Found]:
        try:
            videos, images = videos_and_images(folder, recursive=self.recursive)
        except PermissionError as error:
            raise SourceError(text, "the folder may not be read", "give this user the right to read it") from error
        under = text if self.recursive else None
        if not videos and not images:
            deeper = "" if self.recursive else ", or search the folders in it too (--recursive)"
            raise SourceError(text, "there are no videos or pictures in this folder", f"name another one{deeper}")
        if videos:
            yield from (Found(str(path), under) for path in videos)
            if images:
                self.left_out[text] = len(images)
        elif not self.recursive:
            yield Found(text)
        else:
            yield from (Found(str(path), under) for path in natural({path.parent for path in images}))


def expand(paths: Iterable[str], recursive: bool = False) -> list[str]:
    """One address a source, as `Search.add` finds them. Raises `SourceError` where a name means nothing."""
    search = Search(recursive)
    for text in paths:
        search.add(text)
    return [one.address for one in search.found]


def _matching(pattern: str) -> list[str]:
    files = matches(pattern)
    known = [path for path in files if path.suffix.lower() in VIDEO_SUFFIXES | IMAGE_SUFFIXES]
    if not files:
        raise SourceError(pattern, "no file matches this pattern", "check the pattern and put quotes around it")
    if all(path.suffix.lower() in IMAGE_SUFFIXES for path in files):
        return [pattern]
    return [str(path) for path in known or files]
