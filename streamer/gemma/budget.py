"""How large a picture is shown to the model, and how many soft tokens that costs. Pure."""

from __future__ import annotations

import math

from streamer.errors import OptionError
from streamer.models.base import BUDGETS

PATCH_PIXELS = 16
"""Side of the square patches that Gemma 4's image processors cut, in pixels."""
POOLING = 3
"""Patches along each side of the square that becomes one soft token."""


def check_budget(budget: int) -> int:
    """``budget`` itself; raises `OptionError` for one that Gemma 4 was not trained with."""
    if budget not in BUDGETS:
        raise OptionError("budget", budget, "one of " + ", ".join(map(str, BUDGETS)))
    return budget


def size_for(
    source_size: tuple[int, int], budget: int, *, patch_pixels: int = PATCH_PIXELS, pooling: int = POOLING
) -> tuple[int, int]:
    """``(width, height)`` in pixels to which the checkpoint's image processor resizes a picture.

    The largest size of nearly the same aspect whose sides are multiples of ``patch_pixels * pooling`` (48) and
    that costs at most ``budget`` soft tokens; smaller pictures grow to it. ``source_size`` is ``(width, height)``.
    Raises `OptionError` for an unknown budget or a size below 1.
    """
    width, height = source_size
    if width < 1 or height < 1:
        raise OptionError("picture size", source_size, "a width and a height of at least 1")
    unit = patch_pixels * pooling
    factor = math.sqrt(check_budget(budget) * pooling**2 * patch_pixels**2 / (width * height))
    columns, rows = math.floor(factor * width / unit), math.floor(factor * height / unit)
    if rows == 0:
        columns, rows = min(width // height, budget), 1
    elif columns == 0:
        columns, rows = 1, min(height // width, budget)
    return columns * unit, rows * unit


def token_count(
    source_size: tuple[int, int], budget: int, *, patch_pixels: int = PATCH_PIXELS, pooling: int = POOLING
) -> int:
    """Soft tokens that a picture of ``source_size`` costs at ``budget``. Raises as `size_for`."""
    width, height = size_for(source_size, budget, patch_pixels=patch_pixels, pooling=pooling)
    return (width // (patch_pixels * pooling)) * (height // (patch_pixels * pooling))


def is_target_size(
    size: tuple[int, int], budget: int, *, patch_pixels: int = PATCH_PIXELS, pooling: int = POOLING
) -> bool:
    """Whether `size_for` gives ``size`` ``(width, height)`` for some source, so that it needs no resize any more.

    Rounding down changes the aspect a little, so `size_for` of a target size may be another one (720x384 is the
    target of 16:9 at 140, and would grow to 768x384 if it were taken for a source again).
    """
    unit = patch_pixels * pooling
    columns, rows = size[0] // unit, size[1] // unit
    if size != (columns * unit, rows * unit) or not (columns and rows):
        return False
    return columns * rows <= check_budget(budget) <= (columns + 1) * (rows + 1)
