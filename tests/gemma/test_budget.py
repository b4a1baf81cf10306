"""Sizes and token counts are those of the checkpoint's own image processor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import OptionError
from streamer.gemma.budget import is_target_size, size_for, token_count
from streamer.models.base import BUDGETS

sides = st.integers(1, 8000)
budgets = st.sampled_from(BUDGETS)


@given(sides, sides, budgets)
def test_the_size_is_transformers_own(width: int, height: int, budget: int) -> None:
    from transformers.models.gemma4.image_processing_pil_gemma4 import get_aspect_ratio_preserving_size

    expected = get_aspect_ratio_preserving_size(height, width, 16, budget * 9, 3)
    assert size_for((width, height), budget) == expected[::-1]


@given(sides, sides, budgets)
def test_the_budget_is_kept_and_the_size_needs_no_other_resize(width: int, height: int, budget: int) -> None:
    size = size_for((width, height), budget)
    assert 1 <= token_count((width, height), budget) <= budget
    assert is_target_size(size, budget)
    assert not is_target_size((size[0] + 1, size[1]), budget)


@pytest.mark.parametrize(
    ("source", "budget", "size", "tokens"),
    [
        ((1920, 1080), 70, (528, 288), 66),
        ((1920, 1080), 140, (720, 384), 120),
        ((1280, 720), 280, (1056, 576), 264),
        ((1280, 720), 560, (1488, 816), 527),
        ((3840, 2160), 1120, (2112, 1200), 1100),
        ((640, 480), 70, (432, 336), 63),
        ((640, 480), 1120, (1824, 1344), 1064),
        ((10, 10_000), 70, (48, 3360), 70),
    ],
)
def test_known_sizes(source: tuple[int, int], budget: int, size: tuple[int, int], tokens: int) -> None:
    assert size_for(source, budget) == size
    assert token_count(source, budget) == tokens


def test_the_notebooks_square_picture() -> None:
    assert [token_count((800, 800), budget) for budget in (70, 140, 280, 560)] == [64, 121, 256, 529]


def test_a_picture_of_another_size_is_no_target() -> None:
    assert not is_target_size((1920, 1080), 280)
    assert not is_target_size((48, 48), 70)
    assert not is_target_size((0, 48), 70)
    assert not is_target_size((1056, 576), 140)


@pytest.mark.parametrize("budget", [0, -70, 71, 100, 2240])
def test_another_budget_is_refused_by_name(budget: int) -> None:
    with pytest.raises(OptionError, match="70, 140, 280, 560, 1120"):
        size_for((640, 480), budget)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 5)])
def test_a_picture_without_an_area_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(OptionError, match="picture size"):
        size_for(size, 70)
