"""An answer put right on the page: by the pointer, by keys alone, kept beside the model's, taken back."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from streamer.configuration import Configuration
from streamer.display import encode_jpeg
from streamer.geometry import Box
from streamer.history import Correction, Found
from streamer.models.scripted import ScriptedModel
from streamer.results import Detection, FrameResult
from streamer.server import Server
from streamer.server.access import Tokens
from streamer.sources.synthetic import draw
from streamer.station import Station
from tests.server.looking import OpenPage, follow, shows

CAR, DOG = Box(0.1, 0.2, 0.4, 0.5), Box(0.6, 0.5, 0.9, 0.9)
SAID = "A car and a dog"


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    configuration = Configuration(data=tmp_path_factory.mktemp("correct") / "data")
    with ScriptedModel() as model, Station(model, configuration) as station:
        yield station


@pytest.fixture(scope="module")
def server(station: Station) -> Iterator[Server]:
    with Server(station.monitor, port=0, station=station) as server:
        yield server


@pytest.fixture(autouse=True)
def seen(station: Station) -> None:
    """Each test has a picture of its own, which is the newest."""
    found = (Detection("car", CAR, 3, {"colour": "red"}), Detection("dog", DOG))
    result = FrameResult("gate", 0, 0.0, (640, 352), caption=SAID, detections=found)
    station.history.put(result, time.time(), encode_jpeg(draw(4, (640, 352))))
    station.history.flush(10)


def kept(station: Station) -> Found:
    """The newest result."""
    [found] = station.history.search(limit=1)
    return found


def correction(station: Station) -> Correction:
    found = kept(station).correction
    assert found is not None
    return found


def open_editor(page: Any) -> Any:
    page.locator("#past .tile").first.click()
    page.locator("dialog[open]").get_by_role("button", name="Correct").click()
    return page.locator("dialog.correct")


def saved(page: Any) -> None:
    follow(page, lambda: "Saved" in page.locator("dialog.correct .ack").inner_text())


def drag(page: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    """On the picture, from and to places in 0..1 of it."""
    box = page.locator(".correct-canvas").bounding_box()
    page.mouse.move(box["x"] + start[0] * box["width"], box["y"] + start[1] * box["height"])
    page.mouse.down()
    for part in (0.3, 0.7, 1.0):
        x, y = (start[axis] + part * (end[axis] - start[axis]) for axis in (0, 1))
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.mouse.up()


def near(box: Box, wanted: tuple[float, float, float, float]) -> bool:
    return list(box) == pytest.approx(list(wanted), abs=0.01)


def test_boxes_are_moved_resized_drawn_and_removed_by_the_pointer(
    server: Server, station: Station, open_page: OpenPage
) -> None:
    page = open_page(f"{server.url}#history")
    editor = open_editor(page)
    drag(page, (0.25, 0.35), (0.35, 0.45))  # the car, by its middle
    drag(page, (0.5, 0.6), (0.6, 0.7))  # and its lower right corner
    drag(page, (0.05, 0.7), (0.25, 0.95))  # where there is nothing
    page.keyboard.type("catn")  # typing names it: the keys of the picture do nothing now
    page.keyboard.press("Backspace")
    assert editor.get_by_label("Label of box 3").input_value() == "cat"
    assert editor.locator(".correct-row").count() == 3
    page.mouse.click(*middle(page, 0.75, 0.7))  # the dog
    page.keyboard.press("Delete")
    editor.get_by_label("Caption").fill("A car and a cat")
    editor.get_by_role("button", name="Save").click()
    saved(page)
    found = correction(station)
    assert [(one.label, one.track_id, one.attributes) for one in found.detections] == [
        ("car", 3, {"colour": "red"}), ("cat", None, None),
    ]  # fmt: skip
    assert near(found.detections[0].box, (0.2, 0.3, 0.6, 0.7))
    assert near(found.detections[1].box, (0.05, 0.7, 0.25, 0.95))
    assert (found.caption, found.by) == ("A car and a cat", "owner")
    assert kept(station).caption == SAID
    editor.get_by_role("button", name="Close").click()
    card = page.locator("#past .tile").first
    assert card.locator(".corrected").inner_text() == "Corrected"
    assert "A car and a cat" in card.inner_text()


def middle(page: Any, x: float, y: float) -> tuple[float, float]:
    box = page.locator(".correct-canvas").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def test_a_keyboard_alone_corrects_a_box(server: Server, station: Station, open_page: OpenPage) -> None:
    page = open_page(f"{server.url}#history")
    page.locator("#past .tile").first.focus()
    page.keyboard.press("Enter")
    page.locator("dialog[open]").get_by_role("button", name="Correct").focus()
    page.keyboard.press("Enter")
    said = page.locator("dialog.correct .correct-said")
    follow(page, lambda: "none in hand" in said.inner_text())
    shows(page, "document.activeElement.classList.contains('correct-canvas')")
    keys = page.keyboard.press
    keys("Tab")
    assert said.inner_text().startswith("car, box 1 of 2")
    for _ in range(4):
        keys("ArrowRight")
    for _ in range(2):
        keys("ArrowDown")
    for _ in range(6):
        keys("Shift+ArrowLeft")
    keys("Tab")
    assert said.inner_text().startswith("dog, box 2 of 2")
    keys("Delete")
    assert "1 box, none" in said.inner_text() or "box 1 of 1" in said.inner_text()
    keys("n")
    keys("Enter")
    shows(page, "document.activeElement.matches('.correct-row input')")
    page.keyboard.type("bus")
    keys("Enter")
    shows(page, "document.activeElement.classList.contains('correct-canvas')")
    assert said.inner_text().startswith("bus, box 2 of 2")
    keys("Control+s")
    saved(page)
    found = correction(station)
    assert [one.label for one in found.detections] == ["car", "bus"]
    assert near(found.detections[0].box, (0.12, 0.21, 0.39, 0.51))
    assert found.caption is None, "the model's caption stands"
    keys("Escape")
    page.locator("dialog.correct").wait_for(state="hidden")


def test_tab_leaves_the_picture_behind_the_last_box(server: Server, open_page: OpenPage) -> None:
    page = open_page(f"{server.url}#history")
    open_editor(page)
    for _ in range(2):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "correct-canvas"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "New box"


def test_changes_are_taken_back_and_made_again(server: Server, station: Station, open_page: OpenPage) -> None:
    page = open_page(f"{server.url}#history")
    editor = open_editor(page)
    for key in ("Tab", "ArrowRight", "ArrowRight", "Delete", "n"):
        page.keyboard.press(key)
    rows = editor.locator(".correct-row")
    assert rows.count() == 2
    page.keyboard.press("Control+z")
    assert rows.count() == 1
    page.keyboard.press("Control+z")
    assert rows.count() == 2
    undo, redo = (editor.get_by_role("button", name=name) for name in ("Undo", "Redo"))
    steps = 0
    while undo.is_enabled():  # the steps to the right: one change where they come soon after each other
        page.keyboard.press("Control+z")
        steps += 1
    assert steps in (1, 2)
    for _ in range(steps + 1):
        redo.click()
    assert rows.count() == 1
    editor.get_by_role("button", name="Save").click()
    saved(page)
    assert [one.label for one in correction(station).detections] == ["dog"]


def test_the_model_s_answer_comes_back(server: Server, station: Station, open_page: OpenPage) -> None:
    found = kept(station)
    station.history.correct(found.id, Correction((Detection("wolf", DOG),), "A wolf", "bert", time.time()))
    page = open_page(f"{server.url}#history")
    page.locator("#past .tile").first.locator(".corrected").wait_for()
    editor = open_editor(page)
    assert "Corrected by bert" in editor.inner_text()
    assert f"The model said: {SAID}" in editor.inner_text()
    assert editor.get_by_label("Caption").input_value() == "A wolf"
    editor.get_by_role("button", name="Back to the model's answer").click()
    saved(page)
    assert kept(station).correction is None
    assert editor.get_by_label("Caption").input_value() == SAID
    assert editor.locator(".correct-row").count() == 2
    page.keyboard.press("Escape")
    follow(page, lambda: page.locator("#past .tile").first.locator(".corrected").count() == 0)


def test_what_is_not_saved_is_only_left_by_asking_twice(server: Server, station: Station, open_page: OpenPage) -> None:
    page = open_page(f"{server.url}#history")
    editor = open_editor(page)
    page.keyboard.press("n")
    editor.get_by_label("Label of box 3").fill("")
    editor.get_by_role("button", name="Save").click()
    editor.get_by_text("A box has no label yet").wait_for()
    editor.get_by_role("button", name="Close").click()
    editor.get_by_text("changes that are not saved").wait_for()
    assert editor.is_visible()
    editor.get_by_role("button", name="Close").click()
    editor.wait_for(state="hidden")
    assert kept(station).correction is None


def test_a_viewer_corrects_nothing(station: Station, open_page: OpenPage) -> None:
    token = Tokens(station.tokens_path).create("vera", "viewer")
    with Server(station.monitor, port=0, token="owner's", station=station) as server:
        page = open_page(f"{server.address}?token={token}#history")
        page.locator("#past .tile").first.click()
        page.locator("dialog[open]").get_by_role("button", name="Close").wait_for()
        assert page.locator("dialog[open]").get_by_role("button", name="Correct").count() == 0


BOX = {"label": "a", "x1": 0.2, "y1": 0.3, "x2": 0.4, "y2": 0.6}


PLACES = {
    "moved(box, 0.1, -0.1)": (0.3, 0.2, 0.5, 0.5),
    "moved(box, 9, 9)": (0.8, 0.7, 1, 1),
    "moved(box, -9, -9)": (0, 0, 0.2, 0.3),
    "resized(box, 'se', 0.1, 0.1)": (0.2, 0.3, 0.5, 0.7),
    "resized(box, 'nw', 9, 9)": (0.396, 0.596, 0.4, 0.6),
    "resized(box, 'w', -9, 9)": (0, 0.3, 0.4, 0.6),
    "resized(box, 's', 9, -9)": (0.2, 0.3, 0.4, 0.304),
    "between('a', {x: 0.5, y: 0.9}, {x: 0.1, y: 0.2})": (0.1, 0.2, 0.5, 0.9),
    "between('a', {x: 1, y: 1}, {x: 1, y: 1})": (0.996, 0.996, 1, 1),
}


def test_where_boxes_go(server: Server, open_page: OpenPage) -> None:
    page = open_page(server.url)
    for call, corners in PLACES.items():
        names = "{ moved, resized, between }"
        script = (
            f"import('/static/correct-edit.js').then(({names}) => {{ const box = {json.dumps(BOX)}; return {call}; }})"
        )
        found = page.evaluate(script)
        assert [found[name] for name in ("x1", "y1", "x2", "y2")] == pytest.approx(corners), call
        assert found["label"] == "a"
