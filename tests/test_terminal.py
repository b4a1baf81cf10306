"""What the terminal shows of results."""

from __future__ import annotations

import os

import pytest
from rich.console import Console

from streamer import terminal
from streamer.geometry import Box
from streamer.results import Detection, FrameResult


def test_a_models_words_do_not_steer_the_terminal() -> None:
    assert terminal.plain("a\x1b[2Jb\x07\r\n\tc\x9bd – é") == "a\ufffd[2Jb\ufffd\ufffd\n\tc\ufffdd – é"
    result = FrameResult("clip", 0, 1.5, (10, 10), caption="[red]x\x1b[0m", answers={"caption": "[red]x\n\x1b[0m"})
    console = Console(width=80, record=True, file=open(os.devnull, "w"))  # noqa: SIM115 - closed with the console
    console.print(terminal.result_line(result))
    console.file.close()
    assert console.export_text() == "    1.50 s  [red]x \ufffd[0m\n"


def test_what_was_found_is_counted() -> None:
    found = tuple(Detection(label, Box(0.1, 0.2, 0.5, 0.8)) for label in ("car", "dog", "car"))
    result = FrameResult("clip", 0, 1.5, (100, 50), detections=found, answers={"detect": "[]", "detect-2": "[]"})
    assert "2 car, dog" in terminal.result_line(result)
    assert "[]" not in terminal.result_line(result)
    table = terminal.detection_table(result)
    assert [list(column.cells) for column in table.columns][1:] == [["10"] * 3, ["10"] * 3, ["50"] * 3, ["40"] * 3]


def test_tables_are_whole_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    found = (Detection("a label that goes on and on " * 10, Box(0, 0, 1, 1)),)
    terminal.print_table(terminal.detection_table(FrameResult("clip", 0, 0, (100, 50), detections=found)))
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["label", "x1", "y1", "x2", "y2"]
    assert row.split()[-4:] == ["0", "0", "100", "50"]
    assert ("a label that goes on and on " * 10).strip() in row
