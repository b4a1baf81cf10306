"""Pictures for viewers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.display import display_size


@given(st.integers(1, 8000), st.integers(1, 8000), st.integers(64, 3840))
def test_display_size_keeps_the_aspect(width: int, height: int, wanted: int) -> None:
    out = display_size((width, height), wanted)
    assert all(side >= 2 and side % 2 == 0 for side in out)
    assert out[0] <= max(wanted + 1, 2)
    if out[0] > 100 and out[1] > 100:
        assert out[0] / out[1] == pytest.approx(width / height, rel=0.03)
