"""``streamer annotate`` and ``streamer export`` as people call them: lists, folders, names, and what is said."""

from __future__ import annotations

import io
import os
import shutil
import socket
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.commands import Run
from tests.media import even, make_clip

TINY = ("--model", "tiny", "--budget", 70)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of two clips of one name, and a loose picture."""
    for name in ("a", "b"):
        (tmp_path / "in" / name).mkdir(parents=True)
        make_clip(tmp_path / "in" / name / "cam.mp4", even(3 + len(os.listdir(tmp_path / "in"))))
    Image.new("RGB", (32, 32)).save(tmp_path / "in" / "a" / "loose.png")
    return tmp_path / "in"


def test_a_searched_folder_keeps_its_tree(run: Run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("annotate", folder, "--recursive", "-o", out, *TINY, "--formats", "SRT")
    ended = run(*words)
    assert ended.code == 0, ended.err
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*.*")) == [
        "a/cam.jsonl", "a/cam.srt", "b/cam.jsonl", "b/cam.srt",
    ]  # fmt: skip
    assert f"note: {folder}: there are videos in it, so 1 picture left out" in ended.err
    assert f"wrote {out}/a/cam.jsonl, .srt\nwrote {out}/b/cam.jsonl, .srt\n" in ended.out
    assert [line.split()[0] for line in ended.out.splitlines()[-5:-3]] == ["a/cam.mp4", "b/cam.mp4"]
    assert ended.out.splitlines()[-3].startswith("a frame: decoding "), "what a frame took, by stage"
    (folder / "0").mkdir()
    shutil.copy(folder / "a" / "cam.mp4", folder / "0" / "cam.mp4")
    again = run(*words[:-1], "srt,csv")
    assert again.code == 0, again.err
    assert f"{folder}/a/cam.mp4: it was finished before: nothing to do but to write csv" in again.err
    assert f"wrote {out}/a/cam.csv, .detections.csv\n{out}/a/cam.jsonl, .srt: there already" in again.out
    [row] = [line for line in again.out.splitlines() if line.startswith("a/cam.mp4")]
    assert row.split()[4:] == ["–"] * 4


def test_numbers_stay_where_they_are(run: Run, folder: Path, tmp_path: Path) -> None:
    a, b, out = folder / "a" / "cam.mp4", folder / "b" / "cam.mp4", tmp_path / "out"
    asked = ("-o", out, *TINY, "--formats", "jsonl")
    assert run("annotate", b, a, folder / "b" / ".." / "a" / "cam.mp4", *asked).code == 0
    assert sorted(os.listdir(out)) == ["cam (2).jsonl", "cam.jsonl"]
    ended = run("annotate", a, b, *asked)
    assert (ended.code, ended.err.count("finished before: nothing to do\n")) == (0, 2), ended.err
    refused = run("annotate", a, "-o", tmp_path / "one", *TINY, "--formats", "jsonl")
    assert refused.code == 0
    refused = run("annotate", b, "-o", tmp_path / "one", *TINY, "--formats", "jsonl")
    assert refused.code == 1
    assert f"it was made from {a} (choose another folder)" in refused.err
    assert "blake2b" not in refused.err


def test_a_name_in_a_list_that_is_not_there_fails_alone(run: Run, folder: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_bytes(b"\xef\xbb\xbf" + f"{folder}/a/cam.mp4\r\n{folder}/none.mp4\r\n".encode())
    ended = run("annotate", "--list", listed, "-o", tmp_path / "out", *TINY, "--formats", "jsonl", "--json")
    assert ended.code == 1
    assert [row["type"] for row in ended.rows if row["type"] not in ("frame", "progress")] == ["summary", "failure"]
    assert ended.rows[-1]["source"] == f"{folder}/none.mp4"
    assert ended.err.count("none.mp4: there is no such file") == 1


def test_a_list_from_another_program(run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{folder}/b/cam.mp4\n".encode())))
    ended = run("annotate", "--list", "-", "-o", tmp_path / "out", *TINY, "--formats", "jsonl")
    assert (ended.code, os.listdir(tmp_path / "out")) == (0, ["cam.jsonl"]), ended.err


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "there is no name in this list"),
        (b"# nothing\n\n", "there is no name in this list"),
        (b"a.mp4\n\x00\x01\x02\n", "line 2 of this list is no name: it has control characters"),
    ],
)
def test_a_list_that_is_none(run: Run, tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "list.txt").write_bytes(data)
    ended = run("annotate", "--list", tmp_path / "list.txt", "-o", tmp_path / "out")
    assert (ended.code, ended.out) == (1, "")
    assert f"{tmp_path}/list.txt: {words}" in ended.err


def test_pipes_and_sockets_are_no_files(run: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    ended = run("annotate", tmp_path / "pipe.mp4", "-o", tmp_path / "out")
    assert (ended.code, "pipe.mp4: it is a pipe, no file" in ended.err) == (1, True), ended.err
    with socket.socket(socket.AF_UNIX) as listening:
        place = os.path.relpath(tmp_path / "socket.mp4")  # the whole path may be too long for one
        listening.bind(place)
        ended = run("annotate", place, "-o", tmp_path / "out")
    assert (ended.code, "socket.mp4: it is a socket, no file" in ended.err) == (1, True), ended.err


def test_words_that_cannot_be_used_are_named_as_they_were_written(run: Run, folder: Path, tmp_path: Path) -> None:
    film, to = folder / "a" / "cam.mp4", ("-o", tmp_path / "r")
    for words, said in (
        (["annotate", film, *to, "--detect", " "], "--detect: ' ' cannot be used"),
        (["annotate", film, *to, "--formats", "all,avi"], "--formats: 'avi' cannot be used; expected jsonl,"),
        (["annotate", film, *to, "--formats", ","], "voc, all"),
        (["annotate", film, *to, "--every", "blue moon"], "--every: 'blue moon' cannot be used"),
        (["annotate", film, *to, "--from", -1], "--from: -1.0 cannot be used"),
        (["annotate", film, *to, "--from", 3, "--to", 2], "--to: 2.0 cannot be used; expected a time after --from"),
        (["export", "a.jsonl", "b.jsonl", "--formats", "srt", "--source", film], "--source: "),
    ):  # fmt: skip
        ended = run(*words)
        assert (ended.code, ended.out) == (2, ""), (words, ended.err)
        assert said in ended.words, ended.err
    (tmp_path / "empty").mkdir()
    assert "or search the folders in it too (--recursive)" in run("annotate", tmp_path / "empty", *to).err


def test_what_is_in_the_way_is_said_before_a_model_is_loaded(run: Run, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cam.srt").write_text("mine")
    ended = run("annotate", folder / "a", "-o", tmp_path, "--formats", "srt")
    assert (ended.code, "loading" in ended.err, ended.err.count("cam.srt: it exists already")) == (1, False, 1)
    assert (tmp_path / "cam.srt").read_text() == "mine"


def test_journals_of_one_name_are_not_exported_into_one_folder(run: Run, folder: Path, tmp_path: Path) -> None:
    assert run("annotate", folder, "--recursive", "-o", tmp_path / "out", *TINY, "--formats", "jsonl").code == 0
    a, b = (tmp_path / "out" / name / "cam.jsonl" for name in "ab")
    ended = run("export", a, b, "--formats", "srt", "-o", tmp_path / "e")
    assert (ended.code, ended.out, (tmp_path / "e").exists()) == (2, "", False)
    assert f"{a} and {b}" in ended.err
    assert (
        run("export", a, b, "--formats", "srt").out == f"wrote {a.with_suffix('.srt')}\nwrote {b.with_suffix('.srt')}\n"
    )
    assert run("export", a, a, "--formats", "srt", "-o", tmp_path / "e").code == 0
    refused = run("export", a, "--formats", "srt", "-o", tmp_path / "e")
    assert (refused.code, "add --overwrite" in refused.err) == (1, True)
    assert run("export", a, "--formats", "srt", "-o", tmp_path / "e", "--overwrite").code == 0
