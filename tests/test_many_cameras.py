"""Sixteen cameras in one process, some of which misbehave: each one's fault stays its own."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer.configuration import Configuration, StreamEntry
from streamer.models.scripted import ScriptedModel
from streamer.results import FrameResult
from streamer.rules import Rule
from streamer.settings import StreamSettings
from streamer.station import Station
from tests.server.rig import eventually

GOOD = [f"camera {number}" for number in range(10)]
FAULTS = {
    "dies": "synthetic:?live=1&fps=10&size=320x180&fault=die@1",
    "hangs": "synthetic:?live=1&fps=10&size=320x180&fault=hang@1",
    "not there": "rtsp://127.0.0.1:9/none",
    "grows": "synthetic:?live=1&fps=10&size=320x180&fault=resize@2",
    "jumps": "synthetic:?live=1&fps=10&size=320x180&fault=jump@2",
    "floods": "synthetic:?live=1&fps=200&size=640x360",
}


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    settings = StreamSettings(fps=2, gate=0, budget=70)
    calm = [StreamEntry(name, "synthetic:?live=1&fps=10&size=320x180", settings) for name in GOOD]
    odd = [StreamEntry(name, address, settings) for name, address in FAULTS.items()]
    rule = Rule("always", "Is it so?", confirm=1, describe=False)
    model = ScriptedModel(lambda request: json.dumps({"answer": "yes", "reason": "it is"}), structured=True)
    whole = Configuration(streams=(*calm, *odd), rules=(rule,), data=tmp_path / "data")
    with model, Station(model, whole) as station:
        yield station


def test_one_camera_s_fault_stays_its_own(station: Station) -> None:
    seen: list[tuple[float, FrameResult]] = []
    station.monitor.follow(lambda result, frame: seen.append((time.monotonic(), result)))
    eventually(lambda: len({result.stream for _, result in seen}) >= len(GOOD) + 3, 20)
    begun = time.monotonic()
    time.sleep(5)
    counts = Counter(result.stream for at, result in seen if at > begun)
    for name in GOOD:
        assert counts[name] >= 6, f"{name} had {counts[name]} results in 5 s; 10 were asked for"
    assert counts["floods"] <= 12, "a camera that floods gets no more than it asked for"
    ages = [result.timings.age_ms or 0 for at, result in seen if at > begun and result.stream in GOOD]
    assert sorted(ages)[len(ages) // 2] < 1000
    states = {status.name: status.state for status in station.monitor.statuses()}
    assert {states[name] for name in GOOD} == {"live"}
    assert states["hangs"] in ("stalled", "waiting", "connecting")
    assert states["not there"] in ("waiting", "connecting")
    assert station.monitor.still("hangs") is not None, "its last good picture"
    reason = next(status.reason for status in station.monitor.statuses() if status.name == "not there")
    assert reason
    for name in ("grows", "jumps"):
        assert counts[name] >= 6
    alerts = Counter(alert.stream for alert in station.history.alerts(limit=100))
    assert all(alerts[name] == 1 for name in GOOD)
