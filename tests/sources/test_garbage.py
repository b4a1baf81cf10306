"""Pictures that are done with are gone at once, and do not wait until Python looks for cycles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from av import VideoFrame

from streamer.sources import open_source
from tests.media import even, make_clip


@pytest.fixture
def kept_garbage() -> Iterator[list[object]]:
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    yield gc.garbage
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


def test_decoded_pictures_are_no_garbage(tmp_path: Path, kept_garbage: list[object]) -> None:
    clip = make_clip(tmp_path / "clip.mp4", even(60), gop=20)
    with open_source(str(clip), size_for=lambda size: (64, 48)) as source:
        assert sum(1 for _ in source.frames()) == 60
    gc.collect()
    left = sum(isinstance(one, VideoFrame) for one in kept_garbage)
    assert left <= 6, f"{left} of 60 pictures were left in cycles; key frames may be"
