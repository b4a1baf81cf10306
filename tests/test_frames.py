"""Frames refuse what is not a picture."""

from __future__ import annotations

import numpy as np
import pytest

from streamer.errors import OptionError
from streamer.frames import Frame


def test_a_frame_knows_its_size_and_shows_no_pixels() -> None:
    frame = Frame(np.zeros((20, 30, 3), np.uint8), (60, 40), "door", 3, 1.5)
    assert frame.size == (30, 20)
    assert repr(frame) == "<Frame door #3 t=1.500 s 30x20>"


@pytest.mark.parametrize(
    "image", [np.zeros((20, 30), np.uint8), np.zeros((20, 30, 4), np.uint8), np.zeros((20, 30, 3)), None, "x"]
)
def test_a_frame_takes_rgb_bytes_only(image: object) -> None:
    with pytest.raises(OptionError, match="RGB"):
        Frame(image, (60, 40), "door", 0, 0.0)  # type: ignore[arg-type]


def test_the_display_image_is_checked_too() -> None:
    with pytest.raises(OptionError, match="display"):
        Frame(np.zeros((2, 3, 3), np.uint8), (3, 2), "door", 0, 0.0, display=np.zeros((2, 3), np.uint8))
