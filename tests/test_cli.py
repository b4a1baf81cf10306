"""The command line as people and programs meet it: words, exit codes, JSON."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from streamer.outputs.jsonl import read_journal, result_from_json
from tests.commands import Ended, Run, start
from tests.families import build
from tests.media import even, make_clip


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("E2B", tmp_path_factory.mktemp("model") / "my-e2b")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", even(20))


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.new("RGB", (320, 180), (90, 120, 90)).save(tmp_path / "street.png")
    return tmp_path / "street.png"


# -- annotate


def test_a_folder_with_a_checkpoint_annotates_a_file(run: Run, model: Path, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "results"
    ended = run(
        "annotate", clip, "-o", out, "--model", model, "--budget", 70, "--every", "0.5s", "--detect", "car, person"
    )
    assert ended.code == 0, ended.err
    job, *rows, last = read_journal(out / "clip.jsonl")
    assert (job["model"], job["sampling"], job["tasks"][0]["labels"]) == ("my-e2b", "every 0.5 s", ["car", "person"])
    assert [result_from_json(row).time_seconds for row in rows] == [0, 0.5, 1, 1.5]
    assert last["frames"] == 4
    assert f"wrote {out / 'clip.jsonl'}, .annotated.mp4\n" in ended.out
    assert "clip.mp4" in ended.out
    assert "loading" in ended.err
    assert (out / "clip.annotated.mp4").stat().st_size > 1000


def test_json_is_all_there_is_on_standard_output(
    run: Run, model: Path, clip: Path, clips: Path, tmp_path: Path
) -> None:
    wrong, broken = clips / "not_a_video.mp4", clips / "truncated_faststart.mp4"
    ended = run(
        "annotate", clip, wrong, broken, "-o", tmp_path / "r", "--model", model, "--budget", 70,
        "--formats", "jsonl", "--every", "all to 0.3", "--prompt", "Say it", "--json",
    )  # fmt: skip
    assert ended.code == 1
    frames = [row for row in ended.rows if row["type"] == "frame"]
    assert [frame["stream"] for frame in frames[:3]] == ["clip.mp4"] * 3
    first, second = (row for row in ended.rows if row["type"] == "summary")
    assert (first["frames"], first["fault"], first["files"]) == (3, None, [str(tmp_path / "r" / "clip.jsonl")])
    assert second["source"] == str(broken)
    [failure] = [row for row in ended.rows if row["type"] == "failure"]
    assert "not_a_video.mp4: it cannot be read as a video" in failure["error"]
    assert failure["source"] == str(wrong)
    assert "failed:" in ended.err


def test_sources_of_one_name_do_not_overwrite_each_other(run: Run, model: Path, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    other = make_clip(tmp_path / "b" / "clip.mp4", even(3))
    out = tmp_path / "r"
    ended = run("annotate", clip, other, "-o", out, "--model", model, "--budget", 70, "--prompt", "x",
                "--formats", "jsonl")  # fmt: skip
    assert ended.code == 0, ended.err
    assert sorted(os.listdir(out)) == ["clip (2).jsonl", "clip.jsonl"]


def test_the_same_question_twice_gets_two_names(run: Run, model: Path, picture: Path, tmp_path: Path) -> None:
    words = ["--task", "check:A dog?", "--task", "check:A cat?", "--task", "read"]
    ended = run("annotate", picture, "-o", tmp_path, "--model", model, "--budget", 70, *words, "--json")
    assert ended.code == 0, ended.err
    [frame] = [row for row in ended.rows if row["type"] == "frame"]
    assert list(frame["answers"]) == ["check", "check-2", "read"]


# -- ask, budgets, doctor


def test_ask_answers_and_detects(run: Run, model: Path, picture: Path) -> None:
    told = run("ask", picture, picture, "What differs?", "--model", model, "--budget", 70, "--json")
    assert told.code == 0, told.err
    [row] = told.rows
    assert row["answers"]["ask"]
    assert row["budget"] == 70
    shown = run("ask", picture, "--detect", "car", "--model", model, "--budget", 70)
    assert (shown.code, shown.out) == (0, "nothing found\n")


def test_budgets_gives_a_table_and_a_figure(run: Run, model: Path, picture: Path, tmp_path: Path) -> None:
    figure = tmp_path / "figures" / "budgets.png"
    words = ["budgets", picture, "--model", model, "--budget", 70, "--budget", 140, "-o", figure]
    shown = run(*words)
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    assert lines[0].split() == ["budget", "size", "image", "tokens", "seconds", "boxes", "answer"]
    assert [line.split()[:2] for line in lines[1:3]] == [["70", "528x288"], ["140", "720x384"]]
    assert lines[-1] == f"figure: {figure}"
    with Image.open(figure) as drawn:
        assert drawn.size[0] == 1600
    told = run(*words, "--json")
    assert [row.get("budget") for row in told.rows] == [70, 140, None]
    assert told.rows[-1] == {"figure": str(figure)}


def test_the_doctor_says_a_line_for_each_thing(run: Run) -> None:
    told = run("doctor", "--json")
    assert {"python", "codecs", "model cache"} <= {row["subject"] for row in told.rows}
    assert told.code == int(any(row["verdict"] == "missing" for row in told.rows))


def test_the_version(run: Run) -> None:
    assert run("version").out == run("--version").out
    assert run("--version").out.startswith("streamer 0.")


# -- words that cannot be used


def test_wrong_words_are_said_with_what_can_be_used(run: Run, clip: Path, picture: Path, tmp_path: Path) -> None:
    """Exit code 2, and before any model is loaded."""
    to = ("-o", tmp_path / "r")
    for words, said in (
        (["annotate", clip, *to, "--task", "dance[/]"], "task: 'dance[/]' cannot be used; expected caption, read"),
        (["annotate", clip, *to, "--budget", 71], "budget: 71 cannot be used; expected one of 70, 140, 280"),
        (["annotate", clip, *to, "--budget", "many"], "Invalid value for '--budget'"),
        (["annotate", clip, *to, "--every", "blue moon"], "'blue moon' cannot be used"),
        (["annotate", clip, *to, "--formats", "avi"], "--formats: 'avi' cannot be used; expected jsonl, mp4, srt, vtt"),
        (["annotate", clip, *to, "--from", 3, "--to", 2], "--to: 2.0 cannot be used; expected a time after --from"),
        (["annotate", clip], "Missing option '--output'"),
        (["annotat"], "No such command 'annotat'"),
        (["annotate", clip, *to, "--bugdet", 70], "No such option: --bugdet"),
        (["ask", "How many cars?"], 'expected one picture or more, then a question: streamer ask a.jpg "How many'),
        (["ask", picture, picture], "then a question"),
        (["ask", picture, "What", "is", "this"], "pictures, then the question in quotation marks"),
        (["ask", picture, "What?", "--budget", 71], "budget: 71"),
        (["budgets", picture, "--budget", 70, "--budget", 71], "budget: 71"),
        (["watch", clip, "--budget", 71], "budget: 71"),
        (["watch", clip, "--fps", 0], "fps: 0.0 cannot be used; expected a number from"),
        (["ask", picture, "A car?", "--detect", "car"], "expected pictures alone beside --detect"),
        (["budgets", picture, "--detect", "car", "--prompt", "Say it"], "expected one of the two"),
        (["budgets", picture, "-o", tmp_path], "expected a file's name that ends in .png"),
        (["annotate", clip, *to, "--hwaccel", "abacus"], "hwaccel: 'abacus' cannot be used"),
    ):  # fmt: skip
        ended = run(*words)
        assert (ended.code, ended.out) == (2, ""), words
        assert said in ended.words, ended.err
        assert "loading" not in ended.err
    assert not (tmp_path / "r").exists()


def test_what_is_not_there_is_said(run: Run, picture: Path, tmp_path: Path) -> None:
    """Exit code 1, and before any model is loaded."""
    missing = tmp_path / "missing.mp4"
    for words in (
        ["annotate", missing, "-o", tmp_path],
        ["ask", missing, "What?"],
        ["budgets", missing],
        ["watch", missing],
        ["demo", "--video", missing],
    ):
        ended = run(*words)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err == f"error: {missing}: there is no such file or folder (check the name)\n"
    (tmp_path / "model").mkdir()
    ended = run("ask", picture, "What?", "--model", tmp_path / "model")
    assert ended.code == 1
    assert str(tmp_path / "model") in ended.err


def test_an_empty_name_is_not_the_current_folder(run: Run, tmp_path: Path) -> None:
    """As a shell's unset variable gives it."""
    for words in (["annotate", "", "-o", tmp_path], ["ask", "", "What?"], ["budgets", ""], ["watch", ""]):
        assert run(*words) == Ended(1, "", "error: '': this name is empty (name a file, folder or camera)\n")


def test_what_cannot_be_read_or_written_is_said_before_a_model_is_loaded(
    run: Run, clip: Path, picture: Path, tmp_path: Path
) -> None:
    text, empty = tmp_path / "text.mp4", tmp_path / "empty.png"
    text.write_text("no film\n" * 100)
    empty.touch()
    refused = "it cannot be written: it is a file, no folder (choose a folder that is yours)"
    for words, said in (
        (["annotate", text, empty, "-o", tmp_path], f"failed: {empty}: the file is empty"),
        (["annotate", clip, "-o", clip], f"error: {clip}: {refused}"),
        (["ask", picture, empty, "What?"], f"error: {empty}: the file is empty"),
        (["budgets", text], f"error: {text}: it cannot be read as a video"),
        (["budgets", picture, "-o", clip / "figure.png"], f"error: {clip}: {refused}"),
    ):
        ended = run(*words)
        assert (ended.code, ended.out) == (1, ""), words
        assert said in ended.err
        assert "loading" not in ended.err


def test_files_behind_one_that_cannot_be_read_have_their_turn(
    run: Run, model: Path, picture: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.mp4").touch()
    words = ["annotate", tmp_path / "empty.mp4", picture, "-o", tmp_path / "r", "--model", model, "--budget", 70]
    ended = run(*words, "--formats", "jsonl", "--json")
    assert ended.code == 1
    assert [row["type"] for row in ended.rows if row["type"] != "progress"] == ["frame", "summary", "failure"]


def test_ask_holds_the_answer_to_a_schema(run: Run, picture: Path, tmp_path: Path) -> None:
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "object", "properties": {"cars": {"type": "integer", "minimum": 0, "maximum": 9}}, '
                      '"required": ["cars"], "additionalProperties": false}')  # fmt: skip
    held = run("ask", picture, "How many cars?", "--model", "tiny", "--schema", schema, "--budget", 70)
    assert held.code == 0, held.err
    assert held.rows[0]["cars"] in range(10)
    schema.write_text("[1]")
    refused = run("ask", picture, "How many cars?", "--model", "tiny", "--schema", schema)
    assert (refused.code, refused.out) == (2, "")
    assert "a JSON schema that can be followed: it is no object" in refused.words


def test_no_picture_in_the_asked_time_is_said(run: Run, model: Path, picture: Path, tmp_path: Path) -> None:
    ended = run("annotate", picture, "-o", tmp_path / "r", "--model", model, "--budget", 70, "--from", 30)
    assert ended.code == 1
    assert f"failed: {picture}: it ends at 1.00 s, before the first picture asked for (30 s)" in ended.err
    assert "see --every, --from and --to" in ended.err
    assert os.listdir(tmp_path / "r") == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_utf_8(model: Path, clip: Path, tmp_path: Path) -> None:
    odd = clip.rename(tmp_path / os.fsdecode(b"odd \xff \xfe.mp4"))
    process = start("annotate", odd, "-o", tmp_path / "r", "--model", model, "--budget", 70, "--to", 0.1, "--json")
    out, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    frame, summary = [row for row in map(json.loads, out.splitlines()) if row["type"] != "progress"]
    assert (frame["stream"], summary["source"]) == (odd.name, str(odd))
    [journal] = [name for name in summary["files"] if name.endswith(".jsonl")]
    assert next(read_journal(Path(journal)))["source"]["address"] == str(odd)


def test_help_names_every_command(run: Run) -> None:
    said = run("--help")
    assert said.code == 0
    for command in ("demo", "watch", "annotate", "export", "ask", "budgets", "doctor"):
        assert f" {command} " in said.out
        assert run(command, "--help").code == 0


# -- export


def test_export_writes_from_the_journal_alone(run: Run, model: Path, clip: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(f"# what to look at\n\n{clip}\n")
    out = tmp_path / "r"
    ended = run("annotate", "--list", listed, "-o", out, "--model", model, "--budget", 70, "--formats", "jsonl")
    assert ended.code == 0, ended.err
    ended = run("export", out / "clip.jsonl", "--formats", "srt,csv", "-o", tmp_path / "e")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"wrote {tmp_path / 'e' / 'clip.srt'}, .csv, .detections.csv\n"
    missing = run("export", tmp_path / "none.jsonl", "--formats", "srt")
    assert (missing.code, "none.jsonl: it cannot be read" in missing.err) == (1, True)
    assert run("export", out / "clip.jsonl", "--formats", "avi").code == 2
