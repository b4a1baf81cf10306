"""The benchmark of a camera's own video runs in its shortest form, and says what it is to say."""

from __future__ import annotations

import pytest

from tests.benchmarks.test_benchmarks import run


@pytest.mark.slow
def test_passthrough() -> None:
    rows = {row["way"]: row for row in run("passthrough.py")["rows"]}
    assert list(rows) == ["nobody", "JPEG 960", "JPEG 1920", "as sent"]
    assert rows["as sent"]["pictures/s"] > 15
    assert rows["as sent"]["KiB/s"] < rows["JPEG 1920"]["KiB/s"], "the camera's own video is the smaller one"
    assert rows["nobody"]["pictures/s"] == 0
