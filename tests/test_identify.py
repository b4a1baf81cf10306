"""Ids for a job's results, however far apart the samples are."""

from __future__ import annotations

import pytest

from streamer.geometry import Box
from streamer.identify import by_boxes
from streamer.results import Detection, FrameResult


@pytest.mark.parametrize("gap", [0.2, 1.0, 5.0, 60.0])
def test_a_thing_that_stays_keeps_its_id_and_may_be_missed_once(gap: float) -> None:
    box = Box(0.4, 0.4, 0.6, 0.6)
    seen = [FrameResult("s", n, n * gap, (100, 100), detections=(Detection("cat", box),) * (n != 2)) for n in range(5)]
    assert [[one.track_id for one in result.detections] for result in by_boxes(seen)] == [[1], [1], [], [1], [1]]
