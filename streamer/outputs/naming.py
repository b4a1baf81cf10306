"""What a job's files are called."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from streamer.addresses import redact
from streamer.outputs.jsonl import first_row, path_of
from streamer.sources.finding import Found, is_address, is_pattern, local_path

LONGEST_STEM = 40
"""Letters of a file's name: endings come behind it, and file systems take 255 bytes."""
_UNUSABLE = frozenset('<>:"/\\|?*')
_NUMBERED = re.compile(r"(.*) \(\d+\)")


def output_names(addresses: Sequence[str | Found], output: Path | None = None) -> list[str]:
    """What the files about each source are called: its name without its ending, and no name twice.

    What a folder was searched for, with all below it, keeps its place there: ``b/cam``. Sources of one name get
    numbers: the number that one has already by its journal in ``output``, else the first that is free there.

    >>> output_names(["a/street.mp4", "b/street.mov", "b/street.mp4", "pictures/*.png"])
    ['street', 'street (2)', 'street (3)', 'pictures']
    """
    sources = [Found(one) if isinstance(one, str) else one for one in addresses]
    wanted = [_output_name(one) for one in sources]
    places = [source_path(one.address) or redact(one.address) for one in sources]
    journals = _Journals(output)
    folded = [name.casefold() for name in wanted]
    names: list[str | None] = [journals.of(name, place) for name, place in zip(wanted, places, strict=True)]
    taken: set[str] = set()
    for number, name in enumerate(names):
        if name is not None and name.casefold() in taken:
            names[number] = None
        taken.add((name or "").casefold())
    for number, name in enumerate(names):
        if name is None:
            several = folded.count(folded[number]) > 1
            names[number] = next(_free(wanted[number], taken, journals if several else _Journals(None)))
            taken.add(names[number].casefold())  # type: ignore[union-attr] # it was given one just now
    return [name for name in names if name is not None]


def source_path(address: str) -> str | None:
    """Where a source lies on this machine, resolved; None for addresses."""
    return None if is_address(address) else str(local_path(address).resolve())


def _free(wanted: str, taken: set[str], journals: _Journals) -> Iterator[str]:
    name, number = wanted, 2
    while name.casefold() in taken or journals.has(name):
        name, number = f"{wanted} ({number})", number + 1
    yield name


@dataclass(slots=True)
class _Journals:
    """Those of an output folder and the folders in it."""

    output: Path | None
    found: dict[Path, dict[str, list[Path]]] = field(default_factory=dict)
    """By folder and by the name without a number."""

    def of(self, name: str, place: str) -> str | None:
        """The name, with a number or without, whose journal is about the source there."""
        for path in self._like(name):
            row = first_row(path)
            if row is not None and path_of(row) == place:
                return str(Path(name).with_name(path.stem))
        return None

    def has(self, name: str) -> bool:
        return any(path.stem.casefold() == Path(name).name.casefold() for path in self._like(name))

    def _like(self, name: str) -> list[Path]:
        if self.output is None:
            return []
        folder = (self.output / name).parent
        if folder not in self.found:
            self.found[folder] = _by_name(folder)
        last = Path(name).name.casefold()
        numbered = _NUMBERED.fullmatch(last)
        return [*self.found[folder].get(last, ()), *(self.found[folder].get(numbered[1], ()) if numbered else ())]


def _by_name(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    try:
        entries = sorted(os.listdir(folder))
    except OSError:
        return {}
    for entry in entries:
        if entry.endswith(".jsonl") and not entry.startswith("."):
            stem = entry.removesuffix(".jsonl").casefold()
            numbered = _NUMBERED.fullmatch(stem)
            found.setdefault(numbered[1] if numbered else stem, []).append(folder / entry)
    return found


def _output_name(source: Found) -> str:
    address = source.address
    if is_address(address):
        return _plain(Path(unquote(redact(address).partition("?")[0])).stem)
    path = local_path(address).resolve()
    path = path.parent if is_pattern(address) else path
    name = path.name if path.is_dir() or is_pattern(address) else path.stem
    if source.under is None:
        return _plain(name)
    root = Path(source.under).resolve()
    folders = path.parent.relative_to(root).parts if path != root and path.is_relative_to(root) else ()
    return "/".join(_plain(part) for part in (*folders, name))


def _plain(name: str) -> str:
    """Without what some file system or other does not take; players look for subtitles under the very same name."""
    kept = "".join(letter if letter.isprintable() and letter not in _UNUSABLE else "\0" for letter in name)
    return re.sub("\0+", "-", kept).strip("- .") or "answers"


def stem_of(name: str, otherwise: str) -> str:
    """What somebody called something, as the start of a file's name; ``otherwise`` where nothing of it can stand there.

    >>> stem_of("yard/north: 2", "stream")
    'yard-north- 2'
    """
    return re.sub(r"[^\w .()+,@=-]+", "-", name).strip("- .")[:LONGEST_STEM].strip("- .") or otherwise


def told_apart(sources: Sequence[str]) -> list[str]:
    """A short name a source: the file's own, behind as much of its path as distinguishes it from others of that name.

    >>> told_apart(["/films/a/cam.mp4", "/films/b/cam.mp4", "/films/a/door.mp4"])
    ['a/cam.mp4', 'b/cam.mp4', 'door.mp4']
    """
    stems: dict[str, list[str]] = {}
    for source in sources:
        stems.setdefault(Path(source).stem.casefold(), []).append(source)
    return [_short(source, stems[Path(source).stem.casefold()]) for source in sources]


def _short(source: str, alike: Sequence[str]) -> str:
    name = Path(source).name or source
    if len({Path(other).name for other in alike}) == len(alike):
        return name
    parts = [Path(other).parts for other in alike]
    common = 0
    while all(len(other) > common + 1 and other[common] == parts[0][common] for other in parts):
        common += 1
    return "/".join(part.strip("/") for part in Path(source).parts[common:])
