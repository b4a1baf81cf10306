"""Journals that somebody has changed: whatever stands in them, they are read or refused in words."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from streamer.annotation import AnnotateJob
from streamer.errors import OutputError, StreamerError
from streamer.exporting import export, read_annotations
from streamer.filejob import AnnotateOptions
from streamer.models.scripted import ScriptedModel
from streamer.outputs.jsonl import JournalWriter, read_journal
from streamer.tasks import Task
from tests.annotating import says_the_numbers
from tests.media import even, make_clip

FORMATS = ["srt", "vtt", "csv", "parquet", "cvat", "label-studio", "coco"]
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a clip that is gone."""
    folder = tmp_path_factory.mktemp("journal")
    clip = make_clip(folder / "clip.mp4", even(30))
    options = AnnotateOptions((Task.caption(), Task.detect("even")), formats=("jsonl",))
    list(AnnotateJob(str(clip), ScriptedModel(says_the_numbers), options, output=folder))
    clip.unlink()
    return folder / "clip.jsonl"


def first(rows: Rows) -> dict[str, Any]:
    return rows[0]["source"]  # type: ignore[no-any-return] # it is an object


def change(**values: Any) -> Callable[[Rows], object]:
    return lambda rows: rows[2].update(values)


@pytest.mark.parametrize(
    ("spoil", "line", "words"),
    [
        (change(time_seconds=-1), 3, "time_seconds must be seconds from 0"),
        (change(time_seconds="1"), 3, "time_seconds must be"),
        (change(time_seconds=0.0001), 4, None),
        (change(time_seconds=2.5), 4, "its time lies before that of the row before it"),
        (change(source_size=[0, 5]), 3, "source_size must be"),
        (change(detections=[{"label": "a", "box": {"x1": -0.5, "y1": 0, "x2": 1, "y2": 1}}]), 3, "a box in 0..1"),
        (change(detections=[{"label": "a", "box": {"x1": 0, "y1": 0, "x2": 1}}]), 3, "a box in 0..1"),
        (change(detections={}), 3, "detections must be"),
        (change(notes={"detect": 5}), 3, "notes must be"),
        (change(usage={}), 3, "usage must be"),
        (change(caption=["a"]), 3, "caption must be a text"),
        (change(more=1), 3, "'more' is no field of a frame"),
        (change(type="frames"), 3, "no rows of the type 'frames'"),
        (lambda rows: rows[2].pop("reused"), 3, "reused is missing"),
        (lambda rows: rows.insert(3, rows[2]), 4, "row 1 is there twice"),
        (lambda rows: rows.insert(1, rows.pop(2)), 2, "row 0 is missing"),
        (lambda rows: rows.append(rows[2]), 6, "it stands behind the last row"),
        (lambda rows: rows[-1].update(frames=9), 5, "it counts 9 frames, and there are 3"),
        (lambda rows: rows[0].update(version=99), 1, "it is of version 99 of the journal, and this streamer reads 2"),
        (lambda rows: rows[0].update(tasks="all"), 1, "tasks must be a list"),
        (lambda rows: rows[0].update(sampling="now and then"), 1, "sampling is none that streamer knows"),
        (lambda rows: rows[0].pop("source"), 1, "source is no object"),
        (lambda rows: first(rows).update(size="wide"), 1, r"source\.size must be"),
        (lambda rows: first(rows).update(rate=-1), 1, r"source\.rate must be"),
        (lambda rows: first(rows).pop("address"), 1, r"source\.address is missing"),
    ],
)
def test_a_wrong_row_is_named(
    journal: Path, tmp_path: Path, spoil: Callable[[Rows], object], line: int, words: str | None
) -> None:
    rows = list(read_journal(journal))
    job = {key: value for key, value in rows[0].items() if key not in ("type", "version")}
    rows = json.loads(json.dumps(rows))
    spoil(rows)
    path = tmp_path / "clip.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    if words is None:
        read_annotations(path)
        return
    said = rf"clip\.jsonl: line {line} cannot be used: .*{words}"
    with pytest.raises(OutputError, match=said + r".* \(put the line right"):
        read_annotations(path)
    if line > 1:
        with pytest.raises(OutputError, match=said + ".*begin anew with --restart"):
            JournalWriter(path, job)


NAN = b'{"type": "job", "version": 2, "a": NaN}\n'


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "it has no whole row"),
        (b"\x00\x00\x00\x20ftypisom\n\x00", "line 1 is no JSON: it is a file of bytes that are no text"),
        (b"\xff\xd8\xff\n", "line 1 is no JSON: it is no text in UTF-8"),
        (b"[" * 100_000 + b"\n", "line 1 is no JSON"),
        (b'{"type": "job", "version": ' + b"9" * 5000 + b"}\n", "line 1"),
        (NAN, "NaN is no number of JSON"),
    ],
)
def test_what_is_no_journal_is_said_in_plain_words(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "film.jsonl"
    path.write_bytes(data)
    with pytest.raises(OutputError, match=words):
        export(path, ["srt"])


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("data", [b"my own words", b'{"type": "frame"}\n', b"[1, 2]\n", b"\x00\x01"])
def test_a_file_of_somebody_else_is_never_cut_off(tmp_path: Path, data: bytes, restart: bool) -> None:
    path = tmp_path / "film.jsonl"
    path.write_bytes(data)
    with pytest.raises(OutputError, match="move it away"):
        JournalWriter(path, {}, restart=restart)
    assert path.read_bytes() == data


def test_a_finished_journal_keeps_its_time(journal: Path) -> None:
    before = journal.stat().st_mtime_ns
    rows = next(read_journal(journal))
    with JournalWriter(journal, {key: rows[key] for key in rows if key not in ("type", "version")}) as writer:
        assert writer.complete
    assert journal.stat().st_mtime_ns == before


TOKENS = [b"null", b"-1", b"NaN", b"1e999", b'"', b"}", b"[]", b"true", b"9" * 30, b'"\\ud800"', b"\xff", b"\n", b"0.5",
          b"~nobody/*", b"\\u0000"]  # fmt: skip


@st.composite
def mutations(draw: st.DrawFn) -> tuple[str, float, float, bytes]:
    kind = draw(st.sampled_from(["replace", "insert", "delete", "swap", "value"]))
    token = draw(st.sampled_from(TOKENS) | st.binary(max_size=4))
    return kind, draw(st.floats(0, 1)), draw(st.floats(0, 1)), token


def mutated(data: bytes, mutation: tuple[str, float, float, bytes]) -> bytes:
    kind, where, how, token = mutation
    place = round(where * len(data))
    if kind == "value":  # what stands behind a colon
        places = [number + 2 for number in range(len(data)) if data[number : number + 2] == b": "]
        place = places[min(len(places) - 1, round(where * len(places)))]
        ends = [found for mark in (b", ", b"}", b"\n") if (found := data.find(mark, place)) > 0]
        return data[:place] + token + data[min(ends) :]
    if kind == "swap":
        lines = data.splitlines(keepends=True)
        one, other = round(where * (len(lines) - 1)), round(how * (len(lines) - 1))
        lines[one], lines[other] = lines[other], lines[one]
        return b"".join(lines)
    length = {"replace": len(token), "insert": 0, "delete": round(how * 40)}[kind]
    return data[:place] + (b"" if kind == "delete" else token) + data[place + length :]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(mutations(), min_size=1, max_size=2))
@example([("value", 0.02, 0.0, b'"~nobody/*"')])
def test_any_change_is_read_or_refused(journal: Path, changes: list[tuple[str, float, float, bytes]]) -> None:
    data = journal.read_bytes()
    row = next(read_journal(journal))
    job = {key: row[key] for key in row if key not in ("type", "version")}
    for one in changes:
        data = mutated(data, one)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.jsonl"
        path.write_bytes(data)
        with contextlib.suppress(StreamerError):
            export(path, FORMATS, track="boxes")
        with contextlib.suppress(StreamerError):
            JournalWriter(path, job).close()
