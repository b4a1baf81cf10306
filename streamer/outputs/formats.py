"""The formats: what each is made by and which files it has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from streamer.errors import OptionError


@dataclass(frozen=True, slots=True)
class Writer:
    """A function that writes one or more of a format's files."""

    name: str
    """``module:function`` in `streamer.outputs`, a `Write`."""
    files: tuple[str, ...]
    """What the files' names have behind the source's own; ``/`` at the end of a folder's."""
    maybe: tuple[str, ...] = ()
    """Files that are only there where the source has something for them."""
    stills: bool = False
    """Whether it needs the sampled frames as pictures."""


@dataclass(frozen=True, slots=True)
class Format:
    """How a format is written."""

    writers: tuple[Writer, ...] = ()
    stills: bool = False
    """Whether the sampled frames lie beside it as pictures, `STILLS`."""
    boxes: bool = True
    """Whether it has boxes, which then have track ids."""


STILLS = ".frames/"
VIDEO = ".annotated.mp4"

FORMATS: dict[str, Format] = {
    "jsonl": Format(boxes=False),  # the journal itself, always written
    "mp4": Format(),
    "srt": Format((Writer("subtitles:write_srt", (".srt",)),), boxes=False),
    "vtt": Format((Writer("subtitles:write_vtt", (".vtt", ".boxes.vtt"), (".chapters.vtt",)),)),
    "csv": Format((Writer("tables:write_csv", (".csv", ".detections.csv")),)),
    "parquet": Format((Writer("tables:write_parquet", (".parquet", ".detections.parquet")),)),
    "coco": Format((Writer("coco:write_coco", (".coco.json",)),), stills=True),
    "cvat": Format(
        (
            Writer("cvat:write_cvat_video", (".cvat-video.xml",)),
            Writer("cvat:write_cvat_images", (".cvat-images.xml",), stills=True),
        ),
        stills=True,
    ),
    "label-studio": Format(
        (
            Writer("label_studio:write_label_studio", (".label-studio.json", ".label-studio.xml")),
            Writer(
                "label_studio:write_label_studio_images",
                (".label-studio-images.json", ".label-studio-images.xml"),
                stills=True,
            ),
        ),
        stills=True,
    ),
    "yolo": Format((Writer("yolo:write_yolo", (".yolo/",), stills=True),), stills=True),
    "voc": Format((Writer("voc:write_voc", (".voc/",), stills=True),), stills=True),
}


def check_formats(names: Iterable[str]) -> None:
    """Raises `OptionError` for one that is not known, and for none."""
    for name in tuple(names) or ("",):
        if name not in FORMATS:
            raise OptionError("format", name, ", ".join(FORMATS))


def parse_formats(text: str) -> tuple[str, ...]:
    """Names with commas between them, in either case; ``all`` among them is all. Raises `OptionError`."""
    names = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    for name in names or ("",):
        if name not in (*FORMATS, "all"):
            raise OptionError("--formats", name, ", ".join((*FORMATS, "all")))
    return tuple(FORMATS) if "all" in names else names


def files_of(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of a format: what its files' names have behind the source's own, of those always and of those sometimes there."""
    chosen = FORMATS[name]
    always = [suffix for writer in chosen.writers for suffix in writer.files]
    always += [STILLS] * chosen.stills + [VIDEO] * (name == "mp4")
    return tuple(always), tuple(suffix for writer in chosen.writers for suffix in writer.maybe)
