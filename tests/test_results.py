"""What a frame cost, added up."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.results import FrameResult, Usage

USAGES = st.builds(Usage, *[st.integers(0, 10**9)] * 6)


@given(USAGES, USAGES)
def test_usage_adds_up_field_by_field(a: Usage, b: Usage) -> None:
    assert astuple(a + b) == tuple(x + y for x, y in zip(astuple(a), astuple(b), strict=True))
    assert a + Usage() == a
    assert a + b == b + a


def test_a_result_is_not_changed_afterwards() -> None:
    result = FrameResult("clip", 0, 0.0, (640, 360))
    with pytest.raises(FrozenInstanceError):
        result.caption = "another"  # type: ignore[misc]
    assert (result.caption, result.error, result.detections, result.answers) == (None, None, (), {})
