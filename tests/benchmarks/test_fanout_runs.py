"""The benchmark of many viewers runs in its shortest form, and both ways serve everybody who reads."""

from __future__ import annotations

import pytest

from tests.benchmarks.test_benchmarks import run


@pytest.mark.slow
def test_fanout() -> None:
    printed = run("fanout.py")
    assert {"websockets", "uvicorn"} <= set(printed["versions"])
    assert [(row["viewers"], row["way"]) for row in printed["rows"]] == [(3, "streamer"), (3, "bare")]
    for row in printed["rows"]:
        assert 3 < row["worst"] < 13, "10 a second, fewer where the machine is busy"
        assert row["lost"] <= 10
        assert 0 < row["p50"] <= row["p99"] <= row["max"] < 5000
        assert row["MiB"] > 20
        assert row["KiB"] > 20
    assert printed["rows"][0]["p99 ratio"] == 1
