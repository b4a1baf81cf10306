"""CSV and Parquet, read back by Python's csv and by pyarrow."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamer.errors import MissingExtraError, OutputError
from streamer.geometry import Box
from streamer.outputs.base import Annotations
from streamer.outputs.tables import write_csv, write_parquet
from streamer.results import Detection, FrameResult, Timings, Usage

ROWS = (
    FrameResult(
        "clip",
        0,
        0.5,
        (640, 360),
        index=12,
        pts=-512,
        caption='A "red" car,\nwaiting',
        detections=(
            Detection("car", Box(0.25, 0.5, 0.75, 1), 7, {"colour": "red"}),
            Detection("=HYPERLINK(1)", Box(0, 0, 0.1, 0.1)),
        ),
        answers={
            "caption": 'A "red" car,\nwaiting',
            "detect": "```json …```",
            "ask": "+49 is a prefix",
            "check": {"answer": True, "reason": "dark", "text": "Yes: dark"},
            "doc": {"count": 2, "é": None},
            "index": "a name that is taken",
        },
        notes={"ask": "cut off at 5 tokens"},
        usage=Usage(70, 12, 5, 4, 3, 6),
        timings=Timings(1.5, 2.5, 3.5, 40.25, 50.0),
        budget=70,
        model="tiny",
        reused=True,
    ),
    FrameResult("clip", 1, 1.0, (640, 360), budget=70, model="tiny", error="caption: no memory left"),
)
FOUND = Annotations("clip", "clip.mp4", (640, 360), ROWS, model="tiny", caveat="not for use")
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＋1", "－1", "＠1"]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def captioned(*captions: str | None) -> Annotations:
    rows = tuple(FrameResult("clip", number, number, (8, 8), caption=text) for number, text in enumerate(captions))
    return Annotations("clip", "clip.mp4", (8, 8), rows)


def test_a_row_for_each_frame(tmp_path: Path) -> None:
    assert write_csv(FOUND, tmp_path) == [tmp_path / "clip.csv", tmp_path / "clip.detections.csv"]
    first, second = rows_of(tmp_path / "clip.csv")
    assert first == {
        "stream": "clip",
        "sequence": "0",
        "index": "12",
        "time_seconds": "0.5",
        "pts": "-512",
        "caption": 'A "red" car,\nwaiting',
        "answer.ask": "'+49 is a prefix",
        "answer.check": "Yes: dark",
        "yes.check": "true",
        "answer.doc": '{"count": 2, "é": null}',
        "answer.index": "a name that is taken",
        "error": "",
        "notes": '{"ask": "cut off at 5 tokens"}',
        "detections": "2",
        "reused": "true",
        "budget": "70",
        "image_tokens": "70",
        "prompt_tokens": "12",
        "output_tokens": "5",
        "drafted_tokens": "4",
        "accepted_tokens": "3",
        "forwards": "6",
        "decode_ms": "1.5",
        "queue_ms": "2.5",
        "preprocess_ms": "3.5",
        "model_ms": "40.25",
        "total_ms": "50.0",
        "model": "tiny",
        "caveat": "not for use",
    }
    assert (second["error"], second["index"], second["reused"]) == ("caption: no memory left", "", "false")
    assert {second[name] for name in ("caption", "answer.check", "yes.check", "answer.doc", "notes")} == {""}


def test_a_row_for_each_box(tmp_path: Path) -> None:
    write_csv(FOUND, tmp_path)
    first, second = rows_of(tmp_path / "clip.detections.csv")
    assert first == {
        "stream": "clip",
        "sequence": "0",
        "index": "12",
        "time_seconds": "0.5",
        "label": "car",
        "track_id": "7",
        "x1": "0.25",
        "y1": "0.5",
        "x2": "0.75",
        "y2": "1.0",
        "left": "160",
        "top": "180",
        "width": "320",
        "height": "180",
        "attributes": '{"colour": "red"}',
        "model": "tiny",
        "caveat": "not for use",
    }
    assert (second["label"], second["track_id"], second["attributes"]) == ("'=HYPERLINK(1)", "", "")
    assert [second[name] for name in ("left", "top", "width", "height")] == ["0", "0", "64", "36"]


def test_the_bytes_are_those_of_the_standard(tmp_path: Path) -> None:
    write_csv(captioned("é, “x”", None), tmp_path)
    data = (tmp_path / "clip.csv").read_bytes()
    assert data.startswith(b"stream,sequence,index,time_seconds,pts,caption,error,")
    lines = data.split(b"\r\n")
    assert lines[1].startswith('clip,0,,0.0,,"é, “x”",,'.encode())
    assert (len(lines), lines[-1]) == (4, b"")
    assert b"\n" not in b"".join(lines)


def test_numbers_have_six_digits_at_most(tmp_path: Path) -> None:
    rows = (FrameResult("clip", 0, 0.1 + 0.2, (8, 8)), FrameResult("clip", 1, 86_400 + 1 / 3, (8, 8)))
    write_csv(Annotations("clip", "clip.mp4", (8, 8), rows), tmp_path)
    assert [row["time_seconds"] for row in rows_of(tmp_path / "clip.csv")] == ["0.3", "86400.333333"]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_is_a_formula(tmp_path: Path, text: str) -> None:
    rows = (FrameResult("clip", 0, 0, (8, 8), caption=text, answers={"ask": text}, error=text, pts=-5),)
    write_csv(Annotations("clip", "clip.mp4", (8, 8), rows, caveat=text), tmp_path)
    [row] = rows_of(tmp_path / "clip.csv")
    assert [row[name] for name in ("caption", "answer.ask", "error", "caveat")] == [f"'{text}"] * 4
    assert row["pts"] == "-5"


@given(st.lists(st.none() | st.text(st.characters(), max_size=20), max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_comes_back(tmp_path: Path, captions: list[str | None]) -> None:
    write_csv(captioned(*captions), tmp_path)
    texts = [(text or "").encode(errors="replace").decode() for text in captions]
    read = [row["caption"] for row in rows_of(tmp_path / "clip.csv")]
    assert [text.removeprefix("'") for text in read] == [text.removeprefix("'") for text in texts]
    assert not any(text.startswith(tuple("=+-@\t\r\n")) for text in read)


def test_nothing_found_gives_tables_without_rows(tmp_path: Path) -> None:
    for path in write_csv(captioned(), tmp_path):
        assert rows_of(path) == []
        assert path.read_bytes().startswith(b"stream,sequence,")


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file is here")
    with pytest.raises(OutputError, match=r"clip\.csv: it cannot be written"):
        write_csv(FOUND, tmp_path / "taken")


def test_parquet_without_its_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # which is how Python marks what cannot be imported
    with pytest.raises(MissingExtraError, match=r"pyarrow: pip install 'streamer\[parquet\]'"):
        write_parquet(FOUND, tmp_path)
    assert list(tmp_path.iterdir()) == []


class TestParquet:
    @pytest.fixture(autouse=True)
    def parquet(self) -> Any:
        self.module = pytest.importorskip("pyarrow.parquet", reason="the extra parquet is not installed")

    def test_frames_have_types_and_nulls(self, tmp_path: Path) -> None:
        assert write_parquet(FOUND, tmp_path) == [tmp_path / "clip.parquet", tmp_path / "clip.detections.parquet"]
        table = self.module.read_table(tmp_path / "clip.parquet")
        types = {field.name: str(field.type) for field in table.schema}
        assert {name: types[name] for name in ("caption", "sequence", "index", "time_seconds", "yes.check")} == {
            "caption": "string",
            "sequence": "int64",
            "index": "int64",
            "time_seconds": "double",
            "yes.check": "bool",
        }
        first, second = table.to_pylist()
        assert (first["caption"], first["answer.ask"]) == ('A "red" car,\nwaiting', "+49 is a prefix")
        assert (first["index"], first["time_seconds"], first["pts"], first["yes.check"]) == (12, 0.5, -512, True)
        assert json.loads(first["answer.doc"]) == {"count": 2, "é": None}
        assert (second["index"], second["caption"], second["yes.check"]) == (None, None, None)
        assert second["error"] == "caption: no memory left"

    def test_boxes_have_types(self, tmp_path: Path) -> None:
        write_parquet(FOUND, tmp_path)
        first, second = self.module.read_table(tmp_path / "clip.detections.parquet").to_pylist()
        assert (first["label"], first["track_id"], first["x2"], first["left"]) == ("car", 7, 0.75, 160)
        assert (second["label"], second["track_id"], second["attributes"]) == ("=HYPERLINK(1)", None, None)

    def test_the_columns_are_those_of_the_csv(self, tmp_path: Path) -> None:
        for plain, typed in zip(write_csv(FOUND, tmp_path), write_parquet(FOUND, tmp_path), strict=True):
            assert list(rows_of(plain)[0]) == self.module.read_schema(typed).names

    def test_model_and_caveat_are_in_the_metadata(self, tmp_path: Path) -> None:
        for path in write_parquet(FOUND, tmp_path):
            facts = self.module.read_schema(path).metadata
            assert facts == {b"source": b"clip.mp4", b"model": b"tiny", b"caveat": b"not for use"}

    def test_nothing_found_keeps_the_types(self, tmp_path: Path) -> None:
        frames, boxes = write_parquet(captioned(), tmp_path)
        for path, name in ((frames, "pts"), (boxes, "track_id")):
            table = self.module.read_table(path)
            assert (table.num_rows, str(table.schema.field(name).type)) == (0, "int64")

    def test_halves_of_surrogate_pairs_do_not_matter(self, tmp_path: Path) -> None:
        write_parquet(captioned("cut \ud83d"), tmp_path)
        assert self.module.read_table(tmp_path / "clip.parquet").column("caption").to_pylist() == ["cut ?"]
