"""The journal: what is written is read back, also after a crash in the middle of a line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import OutputError
from streamer.geometry import Box
from streamer.outputs.jsonl import JournalWriter, read_journal, result_from_json, result_to_json
from streamer.results import Detection, FrameResult, Timings, Usage

PART = st.integers(0, 100_000).map(lambda n: n / 100_000)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
COUNT = st.integers(0, 10**6)
MILLISECONDS = st.floats(0, 1e6)
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-(10**9), 10**9), TEXT)
DETECTIONS = st.builds(
    Detection,
    TEXT,
    st.builds(Box, PART, PART, PART, PART),
    st.none() | COUNT,
    st.none() | st.dictionaries(TEXT, VALUES, min_size=1, max_size=3),
)
ANSWERS = st.one_of(TEXT, st.fixed_dictionaries({"answer": st.none() | st.booleans(), "text": TEXT}))
RESULTS = st.builds(
    FrameResult,
    stream=TEXT,
    sequence=COUNT,
    time_seconds=st.floats(0, 1e6),
    source_size=st.tuples(st.integers(1, 9999), st.integers(1, 9999)),
    index=st.none() | COUNT,
    pts=st.none() | st.integers(-(10**12), 10**12),
    caption=st.none() | TEXT,
    detections=st.lists(DETECTIONS, max_size=4).map(tuple),
    answers=st.dictionaries(TEXT, ANSWERS, max_size=3),
    notes=st.dictionaries(TEXT, TEXT, max_size=2),
    usage=st.builds(Usage, COUNT, COUNT, COUNT, COUNT, COUNT, COUNT),
    timings=st.builds(
        Timings, MILLISECONDS, MILLISECONDS, MILLISECONDS, MILLISECONDS, MILLISECONDS, st.none() | MILLISECONDS
    ),
    budget=COUNT,
    model=TEXT,
    reused=st.booleans(),
    error=st.none() | TEXT,
)
ONE = FrameResult("clip", 3, 1.5, (640, 360), caption="two\nlines \u2028 and “quotes”", model="tiny", budget=70)


@given(RESULTS)
def test_every_result_survives_the_round_trip(result: FrameResult) -> None:
    line = json.dumps({"type": "frame", **result_to_json(result)})
    assert result_from_json(json.loads(line)) == result


def test_rows_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.jsonl"
    with JournalWriter(path, {"model": "tiny"}) as journal:
        journal.add(ONE)
        journal.end(frames=1)
        journal.close()
    first, row, end = read_journal(path)
    assert first == {"type": "job", "version": 2, "model": "tiny"}
    assert result_from_json(row) == ONE
    assert end == {"type": "end", "frames": 1}
    assert len(path.read_text(encoding="utf-8").split("\n")) == 4


def test_each_row_is_on_the_disk_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with JournalWriter(path, {}) as journal:
        assert len(list(read_journal(path))) == 1
        journal.add(ONE)
        assert len(list(read_journal(path))) == 2


def test_wherever_it_was_cut_off_whole_rows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with JournalWriter(path, {"model": "Modell für Straßen"}) as journal:
        journal.add(ONE)
        journal.add(ONE)
    whole = path.read_bytes()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        assert len(list(read_journal(path))) == sum(end <= length for end in ends), length


def test_what_is_no_journal_is_said(tmp_path: Path) -> None:
    for text, words in {
        "1, 2, 3\n": r"line 1 is no JSON",
        '{"type": "frame"}\n': r"line 1 is no row of a journal",
        '{"type": "job"}\n[]\n': r"line 2 is no row of a journal",
    }.items():
        (tmp_path / "a.jsonl").write_text(text)
        with pytest.raises(OutputError, match=words):
            list(read_journal(tmp_path / "a.jsonl"))
    (tmp_path / "a.jsonl").write_bytes(b"\xff\xfe\x00\x01\n" * 4)
    with pytest.raises(OutputError, match="line 1 is no JSON"):
        list(read_journal(tmp_path / "a.jsonl"))
    with pytest.raises(OutputError, match=r"missing\.jsonl: it cannot be read: No such file"):
        list(read_journal(tmp_path / "missing.jsonl"))


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match=r"taken/a\.jsonl: it cannot be written"):
        JournalWriter(tmp_path / "taken" / "a.jsonl", {})


def test_a_full_disk_is_said() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(OutputError, match="No space left"):
        JournalWriter(Path("/dev/full"), {})


def test_the_documents_examples_are_rows(tmp_path: Path) -> None:
    document = (Path(__file__).parents[2] / "docs" / "journal.md").read_text(encoding="utf-8")
    rows = [line for line in document.splitlines() if line.startswith('{"type"')]
    (tmp_path / "a.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    job, frame, end = read_journal(tmp_path / "a.jsonl")
    assert {"type": "frame", **result_to_json(result_from_json(frame))} == frame
    with JournalWriter(
        tmp_path / "b.jsonl", {key: job[key] for key in job if key not in ("type", "version")}
    ) as journal:
        journal.add(result_from_json(frame))
        journal.end(**{key: end[key] for key in end if key != "type"})
    assert list(read_journal(tmp_path / "b.jsonl")) == [job, frame, end]
