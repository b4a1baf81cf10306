"""The sheet for many cameras: its document has what its script prints, and its numbers follow from those put in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def printed(*words: str) -> str:
    script = str(ROOT / "scripts" / "scaling_sheet.py")
    return subprocess.run(
        [sys.executable, script, *words], capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_the_document_has_the_tables_of_the_script() -> None:
    document = (ROOT / "docs" / "scaling.md").read_text()
    assert printed().strip() in document


def test_a_number_put_in_changes_what_depends_on_it() -> None:
    """Half of the frames: the same GPUs do, for half of the answers; the cores hardly change."""

    def row(text: str) -> list[str]:
        return next(line for line in text.splitlines() if line.startswith("| 1,000 |")).split(" | ")

    usual, half = row(printed()), row(printed("--rate", "0.5"))
    assert (usual[2], half[2]) == ("500", "250")
    assert float(usual[1]) * 0.95 < float(half[1]) < float(usual[1])
    assert usual[3] == half[3]
