"""Files appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from streamer.errors import OutputError
from streamer.outputs.atomic import check_folder, replacing


def test_it_appears_at_the_end_and_makes_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == ".txt"
        assert not path.exists()
    assert path.read_text() == "whole"
    assert os.listdir(path.parent) == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError("wrong"), KeyboardInterrupt(), GeneratorExit()])
def test_on_any_error_the_old_one_stays_and_the_temporary_goes(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with contextlib.suppress(type(error)), replacing(path) as temporary:
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_disk_error_is_said_with_the_final_name(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"a\.txt: it cannot be written: No space left"),
        replacing(tmp_path / "a.txt"),
    ):
        raise OSError(28, "No space left on device")
    assert os.listdir(tmp_path) == []


def test_a_file_in_the_folders_place(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="cannot be written"), replacing(tmp_path / "taken" / "a.txt") as temporary:
        temporary.write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        check_folder(tmp_path / "taken")


def test_checking_a_folder_makes_it_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b")
    check_folder(tmp_path / "a" / "b")
    assert os.listdir(tmp_path / "a" / "b") == []
