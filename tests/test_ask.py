"""A question about pictures, and the same picture at every budget."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamer.errors import ModelError, OptionError, SourceError
from streamer.models.base import BUDGETS, Request
from streamer.models.scripted import ScriptedModel
from streamer.outputs.drawing import colour_of
from streamer.pictures import ask, budget_figure, compare_budgets, read_picture
from streamer.tasks import Task
from tests.media import even, make_clip

BOXES = '[{"box_2d": [250, 250, 750, 750], "label": "car"}]'


def sizes(request: Request) -> str:
    return " ".join(f"{image.shape[1]}x{image.shape[0]}" for image in request.images)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "street.png"
    Image.new("RGB", (400, 200), (128, 128, 128)).save(path)
    return path


def test_the_answer_to_one_picture(picture: Path) -> None:
    result = ask([str(picture)], ScriptedModel(sizes), Task.ask("How many cars?"), budget=70)
    assert result.answers == {"ask": "528x240"}
    assert (result.stream, result.source_size, result.budget) == ("street.png", (400, 200), 70)


def test_several_pictures_are_one_question_in_their_order(picture: Path, tmp_path: Path) -> None:
    tall = tmp_path / "tall.png"
    Image.new("RGB", (100, 400)).save(tall)
    result = ask([str(tall), str(picture)], ScriptedModel(sizes), Task.ask("What differs?"), budget=70)
    assert result.answers == {"ask": "192x768 528x240"}


def test_a_videos_first_picture_serves(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", even(5))
    assert read_picture(str(clip)).index == 0
    assert ask([str(clip)], ScriptedModel(), Task.ask("What?")).answers == {"ask": "1 picture(s): What?"}


def test_what_cannot_be_read_or_answered_is_raised(picture: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"missing\.png.*no such file"):
        ask([str(tmp_path / "missing.png")], ScriptedModel(), Task.ask("What?"))
    with pytest.raises(OptionError, match="budget: 71"):
        ask([str(picture)], ScriptedModel(), Task.ask("What?"), budget=71)

    def script(request: Request) -> str:
        raise ModelError("scripted", "no memory left", "take less")

    with pytest.raises(ModelError, match=r"^model scripted: ask: no memory left \(take less\)$"):
        ask([str(picture)], ScriptedModel(script), Task.ask("What?"))
    with pytest.raises(ModelError, match="no memory left"):
        compare_budgets(str(picture), ScriptedModel(script), Task.detect())


def test_each_budget_shows_the_model_another_size(picture: Path) -> None:
    heard: list[int] = []
    model = ScriptedModel(lambda request: BOXES)
    image, rows = compare_budgets(str(picture), model, Task.detect("car"), progress=heard.append)
    assert image.shape == (200, 400, 3)
    assert heard == [row.budget for row in rows] == list(BUDGETS)
    assert [row.result.usage.image_tokens for row in rows] == sorted(row.result.usage.image_tokens for row in rows)
    assert len({row.size for row in rows}) == len(rows)
    assert all(row.size == model.size_for((400, 200), row.budget) for row in rows)
    assert all(len(row.result.detections) == 1 and row.seconds >= 0 for row in rows)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_figure_has_a_cell_a_budget(picture: Path, count: int) -> None:
    image, rows = compare_budgets(
        str(picture), ScriptedModel(lambda request: BOXES), Task.detect("car"), BUDGETS[:count]
    )
    figure = budget_figure(image, rows, width=400)
    lines, columns = -(-count // 2), min(2, count)
    assert figure.dtype == np.uint8
    assert figure.shape[1] == 400 * columns
    height = figure.shape[0] // lines
    assert height > 200  # its label above it
    for number in range(count):
        cell = figure[number // 2 * height : (number // 2 + 1) * height, number % 2 * 400 : (number % 2 + 1) * 400]
        outline = (cell == colour_of("car")).all(axis=2)
        assert outline[height - 200 + 50, 110:290].all()  # the box's upper side, at a quarter of the picture
        assert cell[: height - 200].max() > 200  # the label's letters
