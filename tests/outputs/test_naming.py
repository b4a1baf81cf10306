"""Names of outputs: no two alike, and the same ones again whatever else is in the job."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.addresses import redact
from streamer.outputs.jsonl import JournalWriter
from streamer.outputs.naming import output_names, source_path, told_apart
from streamer.sources.finding import Found


def journal(out: Path, name: str, source: Path | str) -> None:
    with JournalWriter(out / f"{name}.jsonl", {"source": {"address": "cam.mp4", "path": source_path(str(source))}}):
        pass


def test_numbers_stay_with_their_sources(tmp_path: Path) -> None:
    out = tmp_path / "out"
    films = [tmp_path / folder / "cam.mp4" for folder in "abc"]
    first = output_names([str(films[0]), str(films[2])], out)
    assert first == ["cam", "cam (2)"]
    for name, film in zip(first, (films[0], films[2]), strict=True):
        journal(out, name, film)
    assert output_names(list(map(str, films)), out) == ["cam", "cam (3)", "cam (2)"]
    assert output_names([str(films[2])], out) == ["cam (2)"]
    assert output_names([str(films[1])], out) == ["cam"]  # refused there, with the path that it was made from
    assert output_names([str(tmp_path / "x" / ".." / "c" / "cam.mp4")], out) == ["cam (2)"]


def test_what_is_below_a_folder_keeps_its_place(tmp_path: Path) -> None:
    names = ["cam.mp4", "b/cam.mp4", "b/cam.mov", "b/deep er/cam.mp4"]
    found = [Found(str(tmp_path / "in" / name), str(tmp_path / "in")) for name in names]
    assert output_names(found) == ["cam", "b/cam", "b/cam (2)", "b/deep er/cam"]
    journal(tmp_path / "out", "b/cam (2)", tmp_path / "in" / "b/cam.mp4")
    assert output_names(found, tmp_path / "out") == ["cam", "b/cam (2)", "b/cam", "b/deep er/cam"]


def test_journals_of_other_kinds_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "cam.jsonl").write_text("not a journal")
    addresses = ["rtsp://me:secret@a/cam.mp4", str(tmp_path / "b" / "cam.mp4")]
    assert output_names(addresses, tmp_path) == ["cam (2)", "cam (3)"]
    with JournalWriter(tmp_path / "cam (2).jsonl", {"source": {"address": redact(addresses[0]), "path": None}}):
        pass
    assert output_names(addresses, tmp_path)[1] == "cam (3)"


@given(
    st.lists(st.sampled_from(["a/x.mp4", "b/x.mp4", "c/X.mov", "d/x (2).mp4", "e/y.mp4"]), unique=True), st.randoms()
)
def test_no_name_comes_twice_in_any_order(addresses: list[str], chance: random.Random) -> None:
    chance.shuffle(addresses)
    names = [name.casefold() for name in output_names(addresses)]
    assert len(set(names)) == len(addresses)


@pytest.mark.parametrize(
    ("sources", "short"),
    [
        (["/films/a/cam.mp4", "/films/b/cam.mp4", "/films/a/door.mp4"], ["a/cam.mp4", "b/cam.mp4", "door.mp4"]),
        (["cam.mp4", "b/cam.mp4"], ["cam.mp4", "b/cam.mp4"]),
        (["a/cam.mp4", "a/cam.mov"], ["cam.mp4", "cam.mov"]),
        (["synthetic:?seconds=3"], ["synthetic:?seconds=3"]),
    ],
)
def test_files_of_one_name_are_told_apart(sources: list[str], short: list[str]) -> None:
    assert told_apart(sources) == short
