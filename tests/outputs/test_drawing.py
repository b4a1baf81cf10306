"""Boxes, tags and captions lie in the picture; text is broken into lines that fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamer.geometry import Box
from streamer.outputs.drawing import colour_of, draw_caption, draw_detections, draw_label, draw_note, wrapped
from streamer.results import Detection

GREY = 128


def blank(width: int, height: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), GREY, np.uint8)


def changed(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((image != GREY).any(axis=2))


def boxes() -> st.SearchStrategy[Box]:
    part = st.floats(0, 1)
    return st.builds(lambda a, b, c, d: Box(a, b, c, d).ordered(), part, part, part, part)


@given(boxes(), st.integers(4, 300), st.integers(4, 300), st.text(max_size=30))
def test_every_box_and_tag_can_be_drawn_on_every_picture(box: Box, width: int, height: int, label: str) -> None:
    image = blank(width, height)
    drawn = draw_detections(image, [Detection(label, box, track_id=7)])
    assert drawn.shape == image.shape
    assert changed(drawn).any()
    assert not changed(image).any()


def test_the_outline_is_just_inside_the_box() -> None:
    drawn = draw_detections(blank(400, 240), [Detection("x", Box(0.25, 0.5, 0.75, 0.75))])
    colour = colour_of("x")
    rows, columns = np.nonzero((drawn == colour).all(axis=2)[120:])
    assert (rows.min() + 120, rows.max() + 120, columns.min(), columns.max()) == (120, 179, 100, 299)
    assert not changed(drawn)[124:176, 104:296].any()
    assert not changed(drawn)[181:].any()
    assert changed(drawn)[108:120, 100:112].all()  # the tag sits on the box


@pytest.mark.parametrize("box", [Box(0, 0, 0.2, 0.3), Box(0.95, 0.0, 1, 0.1), Box(0.9, 0.9, 1, 1)])
def test_a_tag_at_the_edge_is_moved_in(box: Box) -> None:
    plain = draw_detections(blank(400, 240), [Detection("", Box(0.4, 0.4, 0.6, 0.6))])
    tagged = draw_detections(blank(400, 240), [Detection("traffic light", box)])
    rows, columns = np.nonzero((tagged == colour_of("traffic light")).all(axis=2))
    assert columns.max() - columns.min() > 60  # all of the text's width is there
    assert changed(tagged).sum() > changed(plain).sum() / 4
    assert rows.min() >= 0


def test_a_labels_colour_is_always_the_same_and_strong() -> None:
    assert colour_of("car") == colour_of("car")
    assert colour_of("car") != colour_of("person")
    assert all(max(colour_of(label)) - min(colour_of(label)) > 100 for label in ("car", "person", "dog", "bird"))


def test_a_caption_darkens_a_band_at_the_lower_edge() -> None:
    drawn = draw_caption(blank(640, 360), "a dog")
    rows = np.nonzero(changed(drawn).all(axis=1))[0]
    assert rows.max() == 359
    assert 15 < len(rows) < 40
    assert drawn[rows].max() > 240
    assert np.median(drawn[rows]) < GREY / 2
    assert not changed(drawn)[: rows.min()].any()


def test_a_long_caption_leaves_most_of_the_picture() -> None:
    drawn = draw_caption(blank(320, 180), "many words " * 200)
    assert not changed(drawn)[: 180 * 6 // 10].any()
    assert changed(drawn)[-1].all()


@given(st.text(max_size=300), st.integers(2, 200), st.integers(2, 200))
def test_any_caption_on_any_picture(text: str, width: int, height: int) -> None:
    assert draw_caption(blank(width, height), text).shape == (height, width, 3)


def test_a_label_stands_above_the_picture() -> None:
    drawn = draw_label(blank(300, 100), "budget 70")
    assert drawn.shape[0] > 100
    assert (drawn[-100:] == GREY).all()
    assert drawn[:-100].max() > 240


words = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=25)


@given(st.lists(words, max_size=30), st.integers(1, 20))
def test_wrapping_loses_nothing_and_every_line_fits(parts: list[str], width: int) -> None:
    text = " ".join(" ".join(parts).split())
    lines = wrapped(text, lambda line: len(line) <= width)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(1 <= len(line) <= width for line in lines)
    assert wrapped(text, lambda line: True) == ([text] if text else [])


def test_words_stay_whole_where_they_can() -> None:
    assert wrapped("a red car and extraordinariness", lambda line: len(line) <= 8) == [
        *("a red", "car and"),
        *("extraord", "inarines", "s"),
    ]


def test_a_note_stands_in_the_corner_and_nowhere_else() -> None:
    image = blank(640, 360)
    drawn = changed(draw_note(image, "tiny knows only drawn street scenes"))
    rows, columns = np.nonzero(drawn)
    assert drawn[0, 0]
    assert rows.max() < 40
    assert columns.max() < 320
    assert not changed(image).any()
