"""Results and alerts for tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from streamer.alerts import Alert
from streamer.geometry import Box
from streamer.results import Detection, FrameResult

NOW = time.time() // 1 - 7200
"""Unix seconds, two hours ago: what is older than a month or so is removed by itself."""
JPEG = b"\xff\xd8 not really \xff\xd9"


def result(caption: str | None = None, *labels: str, stream: str = "gate", **values: Any) -> FrameResult:
    found = tuple(Detection(label, Box(0.1, 0.2, 0.3, 0.4)) for label in labels)
    return FrameResult(stream, 0, 0.0, (640, 352), caption=caption, detections=found, **values)


def alert(number: int = 1, **values: Any) -> Alert:
    given = {"started_at": NOW, "updated_at": NOW, **values}
    return Alert(
        **{
            "id": f"{number:032x}", "rule": "person", "stream": "gate", "severity": "warning", "phase": "new",
            "revision": 1, "title": "A person at the gate", **given,
        }
    )  # fmt: skip


def wait_for(true: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
