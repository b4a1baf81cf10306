"""What every part's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

CLIPS = Path(__file__).resolve().parents[2] / "shared" / "clips"


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of real and odd clips; they are not part of the project, so their tests are skipped without them."""
    if not CLIPS.is_dir():
        pytest.skip(f"the test clips are not here ({CLIPS.name} beside the checkout)")
    return CLIPS
