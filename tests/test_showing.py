"""A file job on a real terminal: answers stand above the bars, whole, and nothing of the bars is left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamer.outputs.jsonl import read_journal
from tests.media import even, make_clip

pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
pyte = pytest.importorskip("pyte")

COLUMNS, LINES = 60, 12


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One of them with a name that is longer than a line."""
    folder = tmp_path_factory.mktemp("films")
    names = ("first", "the-second-film-whose-name-is-so-long-that-no-line-of-the-terminal-has-room-for-it")
    return [make_clip(folder / f"{name}.mp4", even(25)) for name in names]


def shown(films: list[Path], out: Path, stdout: Path | None = None) -> list[str]:
    """The terminal's lines, those scrolled away included, once the job has ended; its standard output goes to a file
    where one is named."""
    ours, theirs = pty.openpty()
    sizes = {"COLUMNS": str(COLUMNS), "LINES": str(LINES), "TERM": "xterm-256color"}
    with open(stdout or os.devnull, "wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.showing", str(out), *map(str, films)],
            stdin=theirs,
            stdout=theirs if stdout is None else file,
            stderr=theirs,
            env={**os.environ, **sizes},
        )
    os.close(theirs)
    screen = pyte.HistoryScreen(COLUMNS, LINES, history=10_000)
    stream = pyte.ByteStream(screen)
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not data:
            break
        stream.feed(data)
    os.close(ours)
    assert process.wait(timeout=30) == 0
    above = ["".join(line[column].data for column in range(COLUMNS)) for line in screen.history.top]
    return [*above, *screen.display]


def bare(text: str) -> str:
    """Without the white space that wrapping adds."""
    return "".join(text.split())


def answers(out: Path) -> list[str]:
    rows = [row for path in sorted(out.glob("*.jsonl")) for row in read_journal(path)]
    return [bare(f"{row['time_seconds']:.2f} s {row['caption']}") for row in rows if row["type"] == "frame"]


def test_every_answer_is_on_the_terminal_and_nothing_else(films: list[Path], tmp_path: Path) -> None:
    lines = shown(films, tmp_path / "out")
    text, place = bare("".join(lines)), 0
    wanted = answers(tmp_path / "out")
    assert len(wanted) == 50
    for answer in wanted:
        assert answer in text[place:], answer
        place = text.index(answer, place) + len(answer)
    assert text.startswith(bare("note: this stands above the bars"))
    assert "%" not in text.replace("0%", "").replace("–", "")  # of the bars; the table has shares of tokens
    assert "\u2501" not in text
    for answer in wanted:
        text = text.replace(answer, "", 1)
    left = text.replace(bare("note: this stands above the bars"), "")
    assert left.startswith(bare(f"{films[0]}{films[1]}file"))


def test_answers_in_a_file_leave_the_terminal_to_the_bars(films: list[Path], tmp_path: Path) -> None:
    lines = shown(films, tmp_path / "out", tmp_path / "answers.txt")
    said = (tmp_path / "answers.txt").read_text().splitlines()
    got = [bare(line) for line in said]
    assert [line for line in got if line in answers(tmp_path / "out")] == answers(tmp_path / "out")
    assert not any("\x1b" in line for line in said)
    assert "".join(lines).split() == ["note:", "this", "stands", "above", "the", "bars"]
