"""A part of the history as a file job leaves it: a folder of pictures and a journal, which every format is made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from streamer.errors import HistoryError, OptionError
from streamer.outputs.atomic import replacing_folder
from streamer.outputs.formats import FORMATS
from streamer.outputs.jsonl import JournalWriter
from streamer.outputs.naming import stem_of

if TYPE_CHECKING:
    from streamer.history.search import Corrected, Found
    from streamer.history.store import History

POSSIBLE = tuple(name for name in FORMATS if name != "mp4")
"""Formats of an excerpt: kept pictures make no video."""
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Excerpt:
    """What was written."""

    journal: Path
    rows: int
    left_out: int
    """Results without a picture, or with a fault."""


def excerpt_formats(text: str) -> tuple[str, ...]:
    """Names with commas between them, in either case; ``all`` is all. Raises `OptionError` for others, and for none."""
    names = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    for name in names or ("",):
        if name not in (*POSSIBLE, "all"):
            raise OptionError("formats", name, ", ".join((*POSSIBLE, "all")) + ": kept pictures make no video")
    return POSSIBLE if "all" in names else names


def write_excerpt(
    history: History,
    stream: str,
    folder: Path,
    *,
    since: float | None = None,
    until: float | None = None,
    caveats: Mapping[str, str] = MappingProxyType({}),
    corrected: Corrected = "no",
    most: int | None = None,
    wrote: Callable[[], None] = lambda: None,
) -> Excerpt:
    """``NAME.pictures/000000.jpg…`` and ``NAME.jsonl`` in ``folder``, for `streamer.export`.

    A row a kept picture, in order of time; ``time_seconds`` counts from the first one. ``caveats``: what has to be said
    of a model's answers, by its name. ``corrected``: whose answers, and whether only pictures that somebody corrected.
    ``wrote`` is called for each result, and may raise to call it off. Raises `OptionError` where there is none
    (``stream``), and where there are more than ``most`` (``since``), `HistoryError` and `OutputError`.
    """
    name = stem_of(stream, "stream")
    pictures = folder / f"{name}.pictures"
    kept: list[Found] = []
    left_out = 0
    with replacing_folder(pictures) as temporary:
        for found in _in_order(history, stream, since, until, corrected, most):
            wrote()
            try:
                jpeg = None if found.picture is None or found.result.error else history.picture(found.picture)
            except (OptionError, HistoryError):  # removed meanwhile
                jpeg = None
            if jpeg is None:
                left_out += 1
                continue
            (temporary / f"{len(kept):06d}.jpg").write_bytes(jpeg)
            kept.append(found)
        if not kept:
            what = "corrected pictures" if corrected == "only" else "pictures"
            raise OptionError("stream", stream, f"one with {what} in that time")
    journal = folder / f"{name}.jsonl"
    _write_journal(journal, pictures, kept, caveats.get(kept[-1].result.model))
    return Excerpt(journal, len(kept), left_out)


def _in_order(
    history: History,
    stream: str,
    since: float | None,
    until: float | None,
    corrected: Corrected,
    most: int | None,
) -> Iterator[Found]:
    """Pages come newest first; only the rows are held, not the pictures."""
    pages: list[Found] = []
    cursor = None
    only = True if corrected == "only" else None
    while page := history.search(
        streams=(stream,), since=since, until=until, corrected=only, limit=_PAGE, before=cursor
    ):
        pages += page if corrected == "no" else [replace(found, result=found.corrected) for found in page]
        cursor = page[-1].cursor
        if most is not None and len(pages) > most:
            raise OptionError("since", since, f"a shorter time: at most {most} results fit in one excerpt")
    return reversed(pages)


def _write_journal(path: Path, pictures: Path, kept: list[Found], caveat: str | None) -> None:
    first, newest = kept[0], kept[-1].result
    job: dict[str, Any] = {
        "streamer": version("streamer"),
        "source": {
            "address": pictures.name,
            "kind": "images",
            "size": list(newest.source_size),
            "duration_seconds": None,
            "rate": None,
            "picture_count": len(kept),
            "codec": "mjpeg",
        },
        "content": None,
        "model": newest.model,
        "revision": None,
        "quantize": None,
        "caveat": caveat,
        "tasks": [],
        "sampling": "all",
        "budget": newest.budget,
        "gate": 0.0,
        "box_grid": 1000,
    }
    with JournalWriter(path, job, restart=True) as journal:
        for number, found in enumerate(kept):
            seconds = round(found.at - first.at, 3)
            journal.add(replace(found.result, sequence=number, index=number, pts=None, time_seconds=seconds))
        journal.end(frames=len(kept), failed=0, fault=None)
