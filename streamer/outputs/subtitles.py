"""Subtitles: SRT for players, WebVTT for browsers, with the boxes and the chapters as tracks of their own.

Their times are those of a player: they count from the container's start, not from the first picture as the journal's.

All are UTF-8 with LF. Written here, not with a library: those at hand (pysubs2) keep text in the notation of
SubStation, where a model's ``{``, ``\\n`` and ``\\h`` are commands, and know neither WebVTT's escapes nor its comments.
"""

from __future__ import annotations

import html
import json
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from streamer.outputs.atomic import replacing
from streamer.outputs.base import Annotations
from streamer.outputs.cues import Cue, chapters_of, cues_of, later, plain, spans_of, with_caveat
from streamer.outputs.drawing import wrapped
from streamer.results import Detection, FrameResult

WIDEST = 42
"""Columns of a line; a letter of Chinese, Japanese or Korean takes two."""

_LIKENESSES = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")", "\\": "∖"})
"""SRT has no escapes, and players take for commands what begins with one of these."""
_JSON_ESCAPES = str.maketrans({character: f"\\u{ord(character):04x}" for character in "<>&"})


def write_srt(annotations: Annotations, folder: Path) -> list[Path]:
    """``NAME.srt``: the captions. A caveat is said by the first cues (`with_caveat`), as SRT has no comments.

    Without any caption the file is empty.
    """
    cues = later(with_caveat(annotations, cues_of(annotations)), annotations.start_seconds)
    blocks = [f"{number}\n{_timing(cue, ',')}\n{_srt_text(cue.text)}" for number, cue in enumerate(cues, 1)]
    return [_write(folder / f"{annotations.name}.srt", blocks)]


def write_vtt(annotations: Annotations, folder: Path) -> list[Path]:
    """``NAME.vtt``: the captions, ``NAME.boxes.vtt``: the boxes, and ``NAME.chapters.vtt`` where there are segments.

    Each begins with a NOTE of source, model and caveat, which no viewer sees; so the captions say the caveat as well.
    The boxes are for ``<track kind="metadata">``: a cue for each result without an error, also where nothing was
    found, whose text is one line of JSON: ``{"time": seconds, "index": …, "boxes": [{"x1": …, "y1": …, "x2": …, "y2":
    …, "label": …, "track_id": …}]}``, corners in 0..1, index and track_id null where not known.
    """
    captions = [_captioned(cue) for cue in with_caveat(annotations, cues_of(annotations))]
    tracks = {"": ("captions", captions), ".boxes": ("metadata", _boxes(annotations))}
    if chapters := chapters_of(annotations):
        tracks[".chapters"] = ("chapters", [Cue(c.start_ms, c.end_ms, _escaped(c.text)) for c in chapters])
    return [
        _write(
            folder / f"{annotations.name}{suffix}.vtt", _vtt(annotations, kind, later(cues, annotations.start_seconds))
        )
        for suffix, (kind, cues) in tracks.items()
    ]


def _vtt(annotations: Annotations, kind: str, cues: Iterable[Cue]) -> Iterator[str]:
    """The file's blocks; the cues' texts are what stands in the file."""
    yield "WEBVTT"
    yield "\n".join(["NOTE", f"kind: {kind}", *_facts(annotations)])
    for cue in cues:
        yield f"{_timing(cue, '.')}\n{cue.text}"


def _facts(annotations: Annotations) -> Iterator[str]:
    """Lines for a comment, which knows no escapes."""
    facts = {"source": annotations.address, "model": annotations.model, "caveat": annotations.caveat}
    for name, value in facts.items():
        if value:
            yield f"{name}: {plain(value).replace('-->', '→')}"


def _boxes(annotations: Annotations) -> list[Cue]:
    return [
        Cue(start, end, _boxes_line(result))
        for result, (start, end) in zip(annotations.results, spans_of(annotations), strict=True)
        if result.error is None
    ]


def _boxes_line(result: FrameResult) -> str:
    """ASCII without any character that a reader of captions would take for markup."""
    values = {
        "time": round(result.time_seconds, 6),
        "index": result.index,
        "boxes": [_box(detection) for detection in result.detections],
    }
    return json.dumps(values).translate(_JSON_ESCAPES)


def _box(detection: Detection) -> dict[str, Any]:
    corners = {name: round(value, 5) for name, value in detection.box._asdict().items()}
    return {**corners, "label": detection.label, "track_id": detection.track_id}


def _captioned(cue: Cue) -> Cue:
    return Cue(cue.start_ms, cue.end_ms, "\n".join(_escaped(line) for line in _lines(cue.text)))


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)


def _srt_text(text: str) -> str:
    return "\n".join(line.translate(_LIKENESSES) for line in _lines(text.replace("-->", "→")))


def _lines(text: str) -> list[str]:
    return wrapped(text, lambda line: _columns(line) <= WIDEST)


def _columns(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _timing(cue: Cue, point: str) -> str:
    return f"{_clock(cue.start_ms, point)} --> {_clock(cue.end_ms, point)}"


def _clock(time_ms: int, point: str) -> str:
    seconds, rest = divmod(time_ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"


def _write(path: Path, blocks: Iterable[str]) -> Path:
    """The blocks with an empty line between them."""
    text = "\n\n".join(blocks)
    with replacing(path) as temporary:
        temporary.write_text(f"{text}\n" if text else "", encoding="utf-8", newline="\n")
    return path
