"""The formats that are written from a journal, by the job itself or later, without the model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamer.errors import OptionError, OutputError, SourceError, StreamerError
from streamer.identify import TRACKS, Track, by_boxes, by_flow, flow_size
from streamer.outputs.base import Annotations, Still
from streamer.outputs.jsonl import read_journal, result_from_json, segment_from_json
from streamer.outputs.stills import write_stills
from streamer.sampling import Sampling
from streamer.sources import open_source
from streamer.sources.finding import is_address, local_path
from streamer.sources.synthetic import SYNTHETIC

if TYPE_CHECKING:
    from streamer.outputs.base import Write
    from streamer.results import FrameResult

log = logging.getLogger(__name__)

Progress = Callable[[str, float], None]
"""Hears the format and the media time reached in seconds. May raise, to call it off."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a format is written."""

    writers: tuple[str, ...] = ()
    """``module:function`` in `streamer.outputs`, each a `Write`."""
    stills: bool = False
    """Whether it needs the sampled frames as pictures."""
    boxes: bool = True
    """Whether it has boxes, which then have track ids."""


FORMATS: dict[str, Format] = {
    "jsonl": Format(boxes=False),  # the journal itself, always written
    "mp4": Format(),
    "srt": Format(("subtitles:write_srt",), boxes=False),
    "vtt": Format(("subtitles:write_vtt",)),
    "csv": Format(("tables:write_csv",)),
    "parquet": Format(("tables:write_parquet",)),
    "coco": Format(("coco:write_coco",), stills=True),
    "cvat": Format(("cvat:write_cvat_video", "cvat:write_cvat_images"), stills=True),
    "label-studio": Format(("label_studio:write_label_studio", "label_studio:write_label_studio_images"), stills=True),
    "yolo": Format(("yolo:write_yolo",), stills=True),
    "voc": Format(("voc:write_voc",), stills=True),
}


def check_formats(names: Iterable[str]) -> None:
    """Raises `OptionError` for one that is not known, and for none."""
    for name in tuple(names) or ("",):
        if name not in FORMATS:
            raise OptionError("format", name, ", ".join(FORMATS))


def export(
    journal: Path,
    formats: Sequence[str],
    *,
    output: Path | None = None,
    source: str | None = None,
    track: Track = "flow",
    hwaccel: str | None = None,
    progress: Progress = lambda name, seconds: None,
    wrote: Callable[[Path], None] = lambda path: None,
) -> list[Path]:
    """Writes the formats from a journal, into its own folder by default; what was written.

    ``source``: where the video is now; where the journal says, by default. It is needed for pictures alone (``mp4``,
    and the formats with frames) and for ``track="flow"``, which follows boxes from frame to frame to give those of the
    same thing the same id; ``boxes`` does so by the boxes alone, ``off`` gives none. All formats are tried, ``wrote``
    hears of each file; then the first `StreamerError` of them is raised, others are logged. Raises `OptionError` for
    an unknown format and `OutputError` for what is no journal.
    """
    check_formats(formats)
    if track not in TRACKS:
        raise OptionError("track", track, ", ".join(TRACKS))
    annotations, job = read_annotations(journal)
    folder = output or journal.parent
    pictures = _Pictures(journal, job, source, hwaccel, progress)
    if any(FORMATS[name].boxes for name in formats):
        annotations = replace(annotations, results=_tracked(annotations, track, pictures))
    written: list[Path] = []
    faults: list[StreamerError] = []
    for name in formats:
        try:
            for path in _write(name, annotations, folder, pictures):
                written.append(path)
                wrote(path)
        except StreamerError as error:
            faults.append(error)
    for fault in faults[1:]:
        if str(fault) != str(faults[0]):
            log.warning("%s", fault)
    if faults:
        raise faults[0]
    return written


def read_annotations(journal: Path) -> tuple[Annotations, dict[str, Any]]:
    """What a journal says, and its first row. Raises `OutputError` where it is none, or of another version."""
    job, *rows = read_journal(journal)
    try:
        segments = tuple(segment_from_json(row) for row in rows if row["type"] == "segment")
        results = tuple(result_from_json(row) for row in rows if row["type"] == "frame")
        source = job["source"]
        annotations = Annotations(
            name=journal.stem,
            address=source["address"],
            size=tuple(source["size"]),
            results=results,
            rate=source["rate"],
            duration_seconds=source["duration_seconds"],
            picture_count=source["picture_count"],
            model=job["model"],
            caveat=job["caveat"],
            segments=tuple(segment for segment in segments if segment.text),
        )
    except (KeyError, TypeError) as error:
        raise OutputError(journal, f"it cannot be read ({error!r})", "was it written by this version?") from error
    return annotations, job


@dataclass(slots=True)
class _Pictures:
    """Where the pictures of the source are to be had; they are decoded when a format asks for them."""

    journal: Path
    job: dict[str, Any]
    source: str | None
    hwaccel: str | None
    progress: Progress
    stills: dict[int, Still] | None = None

    def address(self) -> str:
        """Raises `SourceError` where the source is not found."""
        if self.source is not None:
            return self.source
        address: str = self.job["source"]["address"]
        beside = self.journal.parent / local_path(address)
        if is_address(address) or local_path(address).exists() or not beside.exists():
            return address
        return str(beside)

    def sampling(self) -> Sampling:
        return Sampling.parse(self.job["sampling"])


def _tracked(annotations: Annotations, track: Track, pictures: _Pictures) -> tuple[FrameResult, ...]:
    """Pictures that lie in a folder have nothing between them that could be followed."""
    results = annotations.good
    if track == "off" or not annotations.labels:
        return annotations.results
    if track == "boxes" or pictures.job["source"]["kind"] != "file":
        return by_boxes(annotations.results)
    first, last = results[0].time_seconds, results[-1].time_seconds
    window = Sampling.all().between(max(0.0, first - 0.001), last + 0.001)  # these times are rounded
    try:
        with open_source(pictures.address(), sampling=window, size_for=flow_size, hwaccel=pictures.hwaccel) as source:
            return by_flow(annotations.results, source, lambda seconds: pictures.progress("tracking", seconds))
    except SourceError as error:
        log.warning("tracking by the boxes alone: %s", error)
        return by_boxes(annotations.results)


def _write(name: str, annotations: Annotations, folder: Path, pictures: _Pictures) -> list[Path]:
    if name == "jsonl":
        return []
    if name == "mp4":
        return [_write_video(annotations, folder, pictures)]
    chosen = FORMATS[name]
    if chosen.stills:
        annotations = replace(annotations, stills=_stills(annotations, folder, pictures))
    pictures.progress(name, annotations.results[-1].time_seconds if annotations.results else 0.0)
    return [path for writer in chosen.writers for path in _writer(writer)(annotations, folder)]


def _writer(name: str) -> Write:
    module, function = name.split(":")
    found: Write = getattr(import_module(f"streamer.outputs.{module}"), function)
    return found


def _stills(annotations: Annotations, folder: Path, pictures: _Pictures) -> dict[int, Still]:
    """Decoded once for all formats."""
    if pictures.stills is None:
        with open_source(pictures.address(), sampling=pictures.sampling(), hwaccel=pictures.hwaccel) as source:
            pictures.stills = write_stills(
                source, annotations, folder, lambda seconds: pictures.progress("frames", seconds)
            )
    return pictures.stills


def _write_video(annotations: Annotations, folder: Path, pictures: _Pictures) -> Path:
    from streamer.outputs.video import even_size, write_annotated

    path = folder / f"{annotations.name}.annotated.mp4"
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
