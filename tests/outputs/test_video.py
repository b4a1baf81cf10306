"""What is drawn on the annotated video. (Its pictures and times are proved in ``tests/test_annotate.py``.)"""

from __future__ import annotations

import os
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.errors import OutputError
from streamer.outputs.cues import caption_of
from streamer.outputs.video import LARGEST_SIDE, even_size, write_annotated
from streamer.results import FrameResult
from streamer.sources import open_source
from tests.media import even, make_clip


def result(seconds: float = 0.0, **fields: object) -> FrameResult:
    return FrameResult("clip", 0, seconds, (160, 96), **fields)  # type: ignore[arg-type]


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_sizes_are_even_bounded_and_of_nearly_the_same_aspect(width: int, height: int) -> None:
    new_width, new_height = even_size((width, height))
    assert new_width % 2 == new_height % 2 == 0
    assert 2 <= max(new_width, new_height) <= max(2, LARGEST_SIDE)
    if max(width, height) <= LARGEST_SIDE:
        assert abs(new_width - width) <= 1
        assert abs(new_height - height) <= 1


def test_the_words_of_all_tasks_in_one_line_and_no_boxes() -> None:
    answers = {
        "caption": "A car\nwaits.",
        "detect": "no list",
        "detect-2": "```json\n[]\n```",
        "ask": "Two. ",
        "check": {"answer": True, "text": "Yes"},
        "read": "",
    }
    assert caption_of(result(caption="A car\nwaits.", answers=answers)) == "A car waits.  ·  Two.  ·  Yes"
    assert caption_of(result(answers={"detect": "nothing here"})) == ""


def test_pictures_have_the_newest_answer_before_them(tmp_path: Path) -> None:
    """The first three have none, then one with words, then one that failed and is passed over."""
    clip = make_clip(tmp_path / "clip.mp4", even(10), size=(320, 180))
    results = [result(0.3, caption="words " * 9), result(0.6, error="caption: no memory left")]
    with open_source(str(clip), size_for=even_size) as source:
        assert write_annotated(source, results, tmp_path / "out.mp4") == 10
    with av.open(str(tmp_path / "out.mp4")) as container:
        dark = [frame.to_ndarray(format="gray")[-4:].mean() < 70 for frame in container.decode(video=0)]
    assert dark == [False] * 3 + [True] * 7


def test_a_source_without_pictures_leaves_no_file(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", even(10))
    with open_source(str(clip), start=5) as source, pytest.raises(OutputError, match="no pictures"):
        write_annotated(source, [], tmp_path / "out.mp4")
    assert os.listdir(tmp_path) == ["clip.mp4"]
