"""The soak runs in its shortest form, and its verdict can tell growth from noise."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
sys.path.insert(0, str(SCRIPTS))

from soak_plan import toml  # noqa: E402
from soak_verdict import (  # noqa: E402
    growth_finding,
    live_finding,
    log_findings,
    memory_finding,
    slope,
)


@pytest.mark.slow
def test_a_short_soak_holds(tmp_path: Path) -> None:
    words = ["--minutes", "0.08", "--cameras", "3", "--quiet", "0.5", "--every", "0.5", "--say", "2"]
    told = tmp_path / "told.json"
    command = [sys.executable, str(SCRIPTS / "soak.py"), *words, "--json", str(told), "--folder", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL)
    assert told.exists(), done.stdout + done.stderr
    found = json.loads(told.read_text())
    failed = {one["what"]: one["words"] for one in found["findings"] if not one["holds"]}
    # Memory is not flat in the first seconds, and such a short run is no soak.
    assert {name for name in failed if "memory" not in name} == set(), failed
    assert done.returncode == int(bool(failed))
    assert set(found["samples"][-1]["states"].values()) == {"live"}
    assert set(found["samples"][-1]["states"]) == {"mjpeg", "played", "drawn"}
    assert found["samples"][-1]["rows"] > 0
    assert len(found["insides"]) == 2
    assert found["counts"]["faults"]
    assert "flat" in done.stdout


@given(st.floats(-50, 50), st.floats(0, 500), st.integers(6, 60), st.data())
def test_the_slope_is_that_of_most_points(rise: float, start: float, count: int, data: st.DataObject) -> None:
    points = [(float(at), start + rise * at) for at in range(count)]
    for place in data.draw(st.sets(st.integers(0, count - 1), max_size=count // 8)):
        points[place] = (points[place][0], data.draw(st.floats(-1e6, 1e6)))
    assert slope(points) == pytest.approx(rise, abs=1e-6)


def test_a_slope_needs_two_moments() -> None:
    assert slope([]) == slope([(1.0, 5.0)]) == slope([(1.0, 5.0), (1.0, 9.0)]) == 0.0


def test_memory_that_rises_for_long_does_not_hold() -> None:
    def after(minutes: int, mib_per_hour: float) -> bool:
        points = [(60.0 * at, 300 + mib_per_hour * at / 60 + (at % 3)) for at in range(minutes)]
        return memory_finding("memory", points, 30).holds

    assert after(60, 20)
    assert after(60, -100)
    assert not after(60, 40)
    assert after(5, 100), "within the noise of a short run"
    assert not after(5, 400)


def test_quiet_moments_are_compared_with_some_slack() -> None:
    assert growth_finding("threads", 100, 102, 2).holds
    assert not growth_finding("threads", 100, 103, 2).holds


def test_streams_that_are_missing_left_over_or_not_live_are_told() -> None:
    finding = live_finding({"a": "live", "b": "waiting", "extra": "live"}, ["a", "b", "c"])
    assert not finding.holds
    for words in ("b: waiting", "c: missing", "extra: should be gone"):
        assert words in finding.words
    assert live_finding({"a": "live"}, ["a"]).holds


def test_errors_in_the_log_are_found_and_warnings_are_counted() -> None:
    warning = "2026-01-02 03:04:05,678 WARNING streamer.notify: alert 01a2130582cc4448496c4a8815bb4f7f again in {} s\n"
    finding, warnings = log_findings(warning.format(1) + warning.format(2.5))
    assert finding.holds
    assert warnings == {"streamer.notify: alert N again in N s": 2}
    error = "2026-01-02 03:04:05,678 ERROR asyncio: it broke\nTraceback (most recent call last):\nValueError: it\n"
    finding, warnings = log_findings(error + warning.format(3))
    assert not finding.holds
    assert "ValueError: it" in finding.words
    assert "again" not in finding.words
    for line in ("Exception in thread decode:", "2026-01-02 03:04:05,678 WARNING py.warnings: ResourceWarning: x"):
        assert not log_findings(line)[0].holds


@pytest.mark.parametrize("value", ['a "b" \\ ü', True, 3, 0.5, ["x", "y"], {"labels": ["car"], "at_least": 1}])
def test_the_plan_writes_toml(value: object) -> None:
    import tomllib

    assert tomllib.loads(f"key = {toml(value)}")["key"] == value
