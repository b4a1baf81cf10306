"""The measures of the tracking benchmark, and the benchmark itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from streamer.results import Detection
from tests.squares import at

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_the_benchmarks_measures_on_a_case_done_by_hand() -> None:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        # Found by the path above, which mypy does not know when it looks at this file alone.
        from tracking import idf1, switches  # type: ignore[import-not-found,unused-ignore]
    finally:
        sys.path.remove(str(BENCHMARKS))

    def frame(*objects: tuple[float, int]) -> tuple[Detection, ...]:
        return tuple(Detection("car", at(x).box, number) for x, number in objects)

    truth = [frame((0.2, 1), (0.8, 2))] * 5
    found = [frame((0.2, 7), (0.8, 8))] * 3 + [frame((0.2, 8))] + [frame((0.2, 7), (0.5, 9))]
    # 1 with 7: four pictures; 2 with 8: three. 10 objects, 9 boxes: 2 * 7 / 19. Object 1 goes 7, 8, 7.
    assert idf1(truth, found) == pytest.approx(14 / 19)
    assert switches(truth, found) == 2
    assert idf1(truth, truth) == 1.0
    assert switches(truth, truth) == 0


@pytest.mark.skipif(
    not Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf").exists(), reason="needs fonts-noto-color-emoji"
)
@pytest.mark.slow
def test_the_benchmark_runs_and_tracking_beats_the_plain_matcher() -> None:
    command = [sys.executable, str(BENCHMARKS / "tracking.py"), "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    of = {(row["measure"], row["clips"], row["boxes"], row["way"]): row for row in rows}
    assert of["IDF1", "crowd", "exact", "flow"]["2/s"] > of["IDF1", "crowd", "exact", "plain IoU"]["2/s"]
    assert of["drawn IoU", "crowd", "exact", "both"]["1/s"] > of["drawn IoU", "crowd", "exact", "hold"]["1/s"]
