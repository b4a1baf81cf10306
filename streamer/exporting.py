"""The formats that are written from a journal, by the job itself or later, without the model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamer.errors import OptionError, OutputError, SourceError, StreamerError
from streamer.fingerprint import fingerprint
from streamer.identify import TRACKS, Track, by_boxes, by_flow, flow_size
from streamer.outputs.atomic import remove_leftovers
from streamer.outputs.base import Annotations, Still
from streamer.outputs.checking import Rows
from streamer.outputs.formats import (
    FORMATS,
    STILLS,
    VIDEO,
    Writer,
    check_formats,
    parse_formats,
)
from streamer.outputs.jsonl import read_journal
from streamer.outputs.stills import write_stills
from streamer.outputs.targets import check_folders, check_free, targets
from streamer.sampling import Sampling
from streamer.sources import local_files, open_source
from streamer.sources.finding import is_address, is_pattern, local_path
from streamer.sources.synthetic import SYNTHETIC

if TYPE_CHECKING:
    from streamer.outputs.base import Write
    from streamer.results import FrameResult

__all__ = ["FORMATS", "check_formats", "export", "parse_formats", "read_annotations"]

log = logging.getLogger(__name__)

Progress = Callable[[str, float], None]
"""Hears the format and the media time reached in seconds. May raise, to call it off."""


def export(
    journal: Path,
    formats: Sequence[str],
    *,
    output: Path | None = None,
    source: str | None = None,
    track: Track = "flow",
    hwaccel: str | None = None,
    overwrite: bool = False,
    progress: Progress = lambda name, seconds: None,
    wrote: Callable[[Path], None] = lambda path: None,
) -> list[Path]:
    """Writes the formats from a journal, into its own folder by default; what was written.

    ``source``: where the video is now; where the journal says, by default. It is needed for pictures alone (``mp4``,
    and the formats with frames) and for ``track="flow"``, which follows boxes from frame to frame to give those of the
    same thing the same id; ``boxes`` does so by the boxes alone, ``off`` gives none. Another file than the journal's is
    refused. In the journal's folder earlier files are replaced, elsewhere only with ``overwrite``; a folder that is not
    our own never is. All formats are tried, ``wrote`` hears of each file; then the first `StreamerError` of them is
    raised, which says what is missing, and others are logged. Raises `OptionError` for an unknown format and
    `OutputError` for what is no journal and for what would be overwritten, before anything is written.
    """
    check_formats(formats)
    if track not in TRACKS:
        raise OptionError("track", track, ", ".join(TRACKS))
    annotations, job = read_annotations(journal)
    folder = output or journal.parent
    _check_targets(journal, folder, formats, overwrite=overwrite)
    pictures = _Pictures(journal, job, source, hwaccel, progress)
    if source is not None and any(_needs_pictures(name, track) for name in formats):
        pictures.check()
    if any(FORMATS[name].boxes for name in formats):
        annotations = replace(annotations, results=_tracked(annotations, track, pictures))
    return _Export(annotations, folder, pictures, wrote).run(formats)


def _needs_pictures(name: str, track: Track) -> bool:
    chosen = FORMATS[name]
    return chosen.stills or name == "mp4" or (chosen.boxes and track == "flow")


def _check_targets(journal: Path, folder: Path, formats: Sequence[str], *, overwrite: bool) -> None:
    paths = targets(folder, journal.stem, formats)
    remove_leftovers(paths)
    if not overwrite and folder.resolve() != journal.parent.resolve():
        check_free(paths, "choose another folder, or add --overwrite")
    check_folders(folder, journal.stem, formats)


def read_annotations(journal: Path) -> tuple[Annotations, dict[str, Any]]:
    """What a journal says, and its first row. Raises `OutputError` where it is none, of another version, or spoilt."""
    rows = Rows(journal, "put the line right, or annotate the file again")
    job: dict[str, Any] = {}
    for row in read_journal(journal):
        job = job or row
        rows.take(row)
    if not job:
        raise OutputError(journal, "it has no whole row", "is it a journal of streamer annotate?")
    source = job["source"]
    annotations = Annotations(
        name=journal.stem,
        address=source["address"],
        size=(source["size"][0], source["size"][1]),
        results=tuple(rows.results),
        rate=source.get("rate"),
        duration_seconds=source.get("duration_seconds"),
        picture_count=source.get("picture_count"),
        start_seconds=source.get("start_seconds") or 0.0,
        wanted=tuple(dict.fromkeys(label for task in job["tasks"] for label in _labels(task))),
        model=job["model"],
        caveat=job.get("caveat"),
        segments=tuple(segment for segment in rows.segments if segment.text),
    )
    return annotations, job


def _labels(task: dict[str, Any]) -> list[str]:
    return task.get("labels", []) if task.get("kind") == "detect" else []


@dataclass(slots=True)
class _Pictures:
    """Where the pictures of the source are to be had; they are decoded when a format asks for them."""

    journal: Path
    job: dict[str, Any]
    source: str | None
    hwaccel: str | None
    progress: Progress
    checked: str | None = None
    """The address that is known to be the right one."""
    not_followed: SourceError | None = None
    """Why boxes could not be followed through the pictures."""

    def address(self) -> str:
        """Raises `SourceError` where the source is not found, or another file lies there."""
        if self.checked is None:
            found = self._found()
            self._compare(found)
            self.checked = found
        return self.checked

    def check(self) -> None:
        """Raises `SourceError` where a file is there and is another one; what is missing is said when it is needed."""
        address = self._found() if self.source is None else self.source
        if not is_address(address) and (local_path(address).exists() or is_pattern(address)):
            self._compare(address)

    def _found(self) -> str:
        if self.source is not None:
            return self.source
        source = self.job["source"]
        address: str = source["address"]
        if is_address(address):
            return address
        beside = self.journal.parent / local_path(address)
        for place in (address, source.get("path"), str(beside), str(self.journal.parent / local_path(address).name)):
            if place and (local_path(place).exists() or is_pattern(place)):
                return str(place)
        raise SourceError(address, "there is no such file or folder", "say where it is now with --source")

    def _compare(self, address: str) -> None:
        content = self.job.get("content")
        files = local_files(address) if content else []
        if files and fingerprint(files) != content:
            reason = "it is another file than the one that the journal is about, or has changed since"
            raise SourceError(address, reason, "name the right one with --source")

    def sampling(self) -> Sampling:
        return Sampling.parse(self.job["sampling"])


def _tracked(annotations: Annotations, track: Track, pictures: _Pictures) -> tuple[FrameResult, ...]:
    """Pictures that lie in a folder have nothing between them that could be followed."""
    results = [result for result in annotations.results if result.error is None]
    if track == "off" or not any(result.detections for result in results):
        return annotations.results
    if track == "boxes" or pictures.job["source"]["kind"] != "file":
        return by_boxes(annotations.results)
    first, last = results[0].time_seconds, results[-1].time_seconds
    window = Sampling.all().between(max(0.0, first - 0.001), last + 0.001)  # these times are rounded
    try:
        with open_source(pictures.address(), sampling=window, size_for=flow_size, hwaccel=pictures.hwaccel) as source:
            return by_flow(annotations.results, source, lambda seconds: pictures.progress("tracking", seconds))
    except SourceError as error:
        pictures.not_followed = error
        return by_boxes(annotations.results)


@dataclass(slots=True)
class _Export:
    """Formats, written one after the other; a fault of one leaves the others alone."""

    annotations: Annotations
    folder: Path
    pictures: _Pictures
    wrote: Callable[[Path], None]
    written: list[Path] = field(default_factory=list)
    faults: list[tuple[StreamerError, list[str]]] = field(default_factory=list)
    """Each with the files that are missing by it."""
    _stills: dict[int, Still] | StreamerError | None = None

    def run(self, formats: Sequence[str]) -> list[Path]:
        for name in formats:
            for writer in FORMATS[name].writers:
                self._try(writer.files, partial(self._by, writer, name))
            if name == "mp4":
                self._try((VIDEO,), lambda: [_write_video(self.annotations, self.folder, self.pictures)])
        said = [_with_missing(error, missing) for error, missing in self.faults]
        lost = self.pictures.not_followed
        if lost is not None and all(str(lost) != str(error) for error, _ in self.faults):
            log.warning("tracking by the boxes alone: %s", lost)
        for fault in said[1:]:
            log.warning("%s", fault)
        if said:
            raise said[0]
        return self.written

    def _try(self, files: Sequence[str], write: Callable[[], list[Path]]) -> None:
        try:
            for path in write():
                self.written.append(path)
                self.wrote(path)
        except StreamerError as error:
            self._fault(error, files)

    def _fault(self, error: StreamerError, files: Sequence[str]) -> None:
        names = [f"{self.annotations.name}{suffix}" for suffix in files]
        for known, missing in self.faults:
            if str(known) == str(error):
                missing += [name for name in names if name not in missing]
                return
        self.faults.append((error, names))

    def _by(self, writer: Writer, name: str) -> list[Path]:
        annotations = self.annotations
        if FORMATS[name].stills:
            annotations = self._with_stills(annotations, needed=writer.stills)
        seconds = annotations.results[-1].time_seconds if annotations.results else 0.0
        self.pictures.progress(name, seconds)
        return _function(writer.name)(annotations, self.folder)

    def _with_stills(self, annotations: Annotations, *, needed: bool) -> Annotations:
        """The pictures are decoded once. A format that can be written without them names those that it would have."""
        if self._stills is None:
            try:
                self._stills = _write_stills(annotations, self.folder, self.pictures)
            except StreamerError as error:
                self._stills = error
        if not isinstance(self._stills, StreamerError):
            return replace(annotations, stills=self._stills)
        self._fault(self._stills, (STILLS,))
        if needed:
            raise self._stills
        return annotations


def _with_missing(error: StreamerError, missing: Sequence[str]) -> StreamerError:
    """The same error; about a source it also says what it could not be made of."""
    if not isinstance(error, SourceError):
        return error
    reason = f"{error.reason}; so there is no {', '.join(missing)}"
    return SourceError(error.address, reason, error.remedy, frames_read=error.frames_read)


def _function(name: str) -> Write:
    module, function = name.split(":")
    found: Write = getattr(import_module(f"streamer.outputs.{module}"), function)
    return found


def _write_stills(annotations: Annotations, folder: Path, pictures: _Pictures) -> dict[int, Still]:
    with open_source(pictures.address(), sampling=pictures.sampling(), hwaccel=pictures.hwaccel) as source:
        return write_stills(source, annotations, folder, lambda seconds: pictures.progress("frames", seconds))


def _write_video(annotations: Annotations, folder: Path, pictures: _Pictures) -> Path:
    from streamer.outputs.video import even_size, write_annotated

    path = folder / f"{annotations.name}{VIDEO}"
    sampling = pictures.sampling()
    window = Sampling.all().between(sampling.start, sampling.end)
    address = pictures.address()
    with open_source(address, sampling=window, size_for=even_size, hwaccel=pictures.hwaccel) as source:
        write_annotated(
            source,
            annotations.results,
            path,
            note=annotations.caveat,
            sound=_url(address) if source.info.kind == "file" else None,
            progress=lambda seconds: pictures.progress("mp4", seconds),
        )
    return path


def _url(address: str) -> str | None:
    """For FFmpeg, which takes a name with a colon for a protocol."""
    if address.startswith(SYNTHETIC):
        return None
    return address if is_address(address) else f"file:{local_path(address)}"
