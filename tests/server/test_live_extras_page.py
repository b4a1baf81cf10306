"""Beside the live picture: ready-made settings, a question about this frame, a frame saved, the pinned timeline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from streamer.configuration import Configuration, StreamEntry
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.server import Server
from streamer.server.access import Tokens
from streamer.settings import StreamSettings
from streamer.station import Station
from streamer.tasks import Task
from tests.server.conftest import BOXES, answer
from tests.server.looking import OpenPage, follow, said, shows

SETTINGS = StreamSettings(tasks=(Task.caption(), Task.detect("car, dog")), budget=70, fps=5, display_fps=5, gate=0)
NAME = "front gate/<b>1"
OWNER = "owner's"


class Rig:
    """A job with one stream that says something else of each frame while ``talking``, and its server."""

    def __init__(self, data: Path) -> None:
        self.talking = True
        self.uploads: list[Request] = []
        self._numbers = count()
        self.model = ScriptedModel(self._say)
        entry = StreamEntry(NAME, "synthetic:?live=1&size=320x180&fps=10", SETTINGS)
        self.station = Station(self.model, Configuration(streams=(entry,), data=data))
        self.server = Server(self.station.monitor, port=0, station=self.station, token=OWNER).start()
        self.tokens = Tokens(self.station.tokens_path, owner=OWNER)

    def _say(self, request: Request) -> str:
        if "only me" in request.prompt:
            self.uploads.append(request)
            return "Two <i>lines</i> of it."
        if request.prompt == Task.caption().prompt and self.talking:
            return f"Picture {next(self._numbers)}, and words enough that the list of captions has to be scrolled soon."
        return answer(request)

    @property
    def settings(self) -> StreamSettings:
        return self.station.monitor.status(NAME).settings

    def close(self) -> None:
        for one in (self.server, self.station, self.model):
            one.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path / "data")
    yield rig
    rig.close()


def opened(rig: Rig, open_page: OpenPage, token: str = OWNER, **options: Any) -> Any:
    page = open_page(f"{rig.server.address}?token={token}", **options)
    said(page, "Picture")
    shows(page, "!document.querySelector('#save').disabled")
    return page


def test_a_preset_fills_tasks_prompt_and_budget_and_can_be_taken_back(rig: Rig, open_page: OpenPage) -> None:
    mine = Task.ask("Mine?", name="mine", schema={"type": "object", "properties": {"cars": {"type": "integer"}}})
    rig.station.change(NAME, lambda settings: settings.with_task(mine))
    page = opened(rig, open_page)
    page.get_by_role("button", name="Count people and cars").click()
    follow(page, lambda: rig.settings.budget == 560)
    assert [task.name for task in rig.settings.tasks] == ["detect", "ask", "mine"]
    assert rig.settings.tasks[0].labels == ("person", "car")
    shows(page, "document.querySelector('#task-detect').value === 'person, car'")
    assert page.locator("#budget").input_value() == "560"
    pressed = page.get_by_role("group", name="Ready-made settings").locator("[aria-pressed=true]")
    assert pressed.all_inner_texts() == ["Count people and cars"]
    page.get_by_role("button", name="What has changed").click()
    follow(page, lambda: [task.kind for task in rig.settings.tasks] == ["compare", "ask"])
    page.get_by_role("button", name="Undo").click()
    follow(page, lambda: [task.name for task in rig.settings.tasks] == ["caption", "detect", "mine"])
    assert rig.settings.tasks[-1] == mine
    assert (rig.settings.budget, rig.settings.tasks[1].labels) == (70, ("car", "dog"))
    follow(page, lambda: pressed.count() == 0)


def test_an_answer_goes_with_its_question(rig: Rig, open_page: OpenPage) -> None:
    """Also while no new one comes: the analysis is paused."""
    mine = Task.ask("Mine?", name="mine", schema={"type": "object", "properties": {"cars": {"type": "integer"}}})
    rig.station.change(NAME, lambda settings: settings.with_task(mine))
    page = opened(rig, open_page)
    said(page, "Mine?")
    page.get_by_role("button", name="Pause analysis").click()
    follow(page, lambda: rig.settings.paused)
    rig.station.change(NAME, lambda settings: settings.without_task("mine"))
    follow(page, lambda: "Mine?" not in (page.text_content("#said") or ""))
    said(page, "Picture")


def test_a_question_is_about_the_frame_that_is_shown(rig: Rig, open_page: OpenPage) -> None:
    page = opened(rig, open_page)
    page.get_by_role("button", name="Pause analysis").click()
    form = page.locator("#ask")
    form.get_by_role("button", name="Ask").click()
    form.get_by_text("Type the question first.").wait_for()
    page.get_by_label("Question about this frame").fill("For only me?")
    page.get_by_label("Budget for this frame").select_option("140")
    form.get_by_role("button", name="Ask").focus()
    page.keyboard.press("Enter")
    item = form.locator(".ask-item").first
    item.wait_for()
    words = item.inner_text()
    assert "Two <i>lines</i> of it." in words
    assert f"For only me? {NAME}" in words
    assert "140 tokens" in words
    assert " in, " in words
    [request] = rig.uploads
    shown = page.evaluate(
        """() => { const c = document.querySelector('.ask-item .picture');
                   return c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data.slice(0, 3).join(); }"""
    )
    middle = request.images[0][request.images[0].shape[0] // 2, request.images[0].shape[1] // 2]
    assert np.abs(np.array([int(value) for value in shown.split(",")]) - middle).max() < 25
    page.get_by_label("What to do with this frame").select_option("Find")
    page.get_by_label("Question about this frame").fill("car, dog")
    page.keyboard.press("Enter")
    follow(page, lambda: form.locator(".ask-item").count() == 2)
    first = form.locator(".ask-item").first
    assert all(label in first.inner_text() for label in BOXES)
    inked = "c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v, i) => i % 4 === 3 && v > 0)"
    shows(page, f"(c => {inked})(document.querySelector('.ask-item canvas.boxes'))")
    assert form.locator(".ask-item").last.inner_text() == words, "the one before stays"


def test_a_viewer_asks_too_but_changes_nothing(rig: Rig, open_page: OpenPage) -> None:
    page = opened(rig, open_page, rig.tokens.create("anna", "viewer"))
    assert not page.get_by_role("group", name="Ready-made settings").is_visible()
    page.get_by_label("Question about this frame").fill("For only me?")
    page.keyboard.press("Enter")
    page.locator(".ask-item").first.wait_for()


def saved(page: Any, button: str) -> tuple[str, bytes]:
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


@pytest.mark.parametrize("ratio", [1, 2])
def test_a_frame_is_saved_with_boxes_or_without_and_with_its_result(rig: Rig, open_page: OpenPage, ratio: int) -> None:
    page = opened(rig, open_page, device_scale_factor=ratio)
    shows(page, "document.querySelector('#stage').dataset.boxesAt !== ''")
    shows(page, "document.querySelector('.stage-badge').textContent.includes('behind')")
    page.wait_for_timeout(500)
    page.get_by_role("button", name="Save frame").click()
    dialog = page.locator("dialog.save[open]")
    title = dialog.locator("h2").inner_text()
    name, whole = saved(page, "Picture (PNG)")
    assert name.startswith("front-gate-b-1_20")
    assert name.endswith("Z.png")
    dialog.get_by_text(f"Saved as {name}").wait_for()
    dialog.get_by_label("With boxes").uncheck()
    again, plain = saved(page, "Picture (PNG)")
    assert again == name
    boxed, bare = (np.asarray(Image.open(BytesIO(data)).convert("RGB")).astype(int) for data in (whole, plain))
    assert boxed.shape == bare.shape
    tall, wide = boxed.shape[:2]
    assert wide / tall == pytest.approx(16 / 9, rel=0.01)
    changed = np.abs(boxed - bare).max(axis=2) > 40
    x1, y1, x2, y2 = BOXES["car"]
    left, bottom, row, column = (
        round(x1 * wide),
        round(y2 * tall),
        round((y1 + y2) / 2 * tall),
        round((x1 + x2) / 2 * wide),
    )
    assert changed[row, left - 2 : left + 3].any()
    assert changed[bottom - 2 : bottom + 3, column].any()
    assert not changed[row, column]
    assert not changed[:, -10:].any()
    name, document = saved(page, "Result (JSON)")
    values = json.loads(document)
    assert name.endswith("Z.json")
    assert values["picture"]["stream"] == values["result"]["stream"] == NAME
    assert {found["label"] for found in values["picture"]["detections"]} == set(BOXES)
    assert values["result"]["caption"].startswith("Picture")
    assert dialog.locator("h2").inner_text() == title, "it stays that frame"
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")


def test_boxes_that_are_older_than_the_frame_are_saved_only_by_choice_and_as_old(rig: Rig, open_page: OpenPage) -> None:
    page = opened(rig, open_page)
    shows(page, "document.querySelector('#stage').dataset.boxesAt !== ''")
    page.get_by_role("button", name="Pause analysis").click()
    shows(page, "document.querySelector('#stage').dataset.boxesOld === 'true'", 60)
    page.get_by_role("button", name="Save frame").click()
    dialog = page.locator("dialog.save[open]")
    words = dialog.get_by_text("s older than the picture")
    words.wait_for()
    assert not dialog.get_by_label("With boxes").is_checked()
    _, plain = saved(page, "Picture (PNG)")
    dialog.get_by_label("With boxes").check()
    _, whole = saved(page, "Picture (PNG)")
    boxed, bare = (np.asarray(Image.open(BytesIO(data)).convert("RGB")).astype(int) for data in (whole, plain))
    changed = np.abs(boxed - bare).max(axis=2) > 25
    tall, wide = changed.shape
    assert changed[-4:, wide // 2].any(), "the line of words along the lower edge"
    x1, y1, _, y2 = BOXES["car"]
    rows = slice(round((y1 + 0.1) * tall), round((y2 - 0.02) * tall))
    column = changed[rows, round(x1 * wide) - 2 : round(x1 * wide) + 3].any(axis=1)
    assert 0.2 < column.mean() < 0.95, "dashes"
    _, document = saved(page, "Result (JSON)")
    assert json.loads(document)["picture"]["boxes_older_seconds"] > 0.5
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    page.get_by_role("button", name="Resume analysis").click()
    shows(page, "document.querySelector('.stage-badge').textContent.includes('behind')", 60)
    page.wait_for_timeout(500)
    page.get_by_role("button", name="Save frame").click()
    dialog.wait_for()
    assert dialog.get_by_label("With boxes").is_checked()
    assert not words.is_visible()


def test_captions_stay_at_the_newest_unless_somebody_reads(rig: Rig, open_page: OpenPage) -> None:
    page = opened(rig, open_page)
    timeline = page.locator("#timeline")
    follow(page, lambda: timeline.evaluate("node => node.scrollHeight > node.clientHeight + 200"))
    assert timeline.evaluate("node => node.scrollTop") == 0
    first = timeline.locator("li").first.inner_text()
    follow(page, lambda: timeline.locator("li").first.inner_text() != first)
    assert timeline.evaluate("node => node.scrollTop") == 0, "pinned"
    timeline.evaluate("node => { node.scrollTop = 60; }")
    read = """node => { const top = node.getBoundingClientRect().top;
      const one = [...node.children].find(li => li.getBoundingClientRect().bottom > top + 5);
      return [one.innerText.split("Picture")[1], Math.round(one.getBoundingClientRect().top - top)]; }"""
    page.wait_for_timeout(100)
    place = timeline.evaluate(read)
    page.get_by_role("button", name="new ↑").wait_for()
    page.wait_for_timeout(600)
    words, top = timeline.evaluate(read)
    assert words == place[0], "the reader keeps the place"
    assert top == pytest.approx(place[1], abs=3)
    page.get_by_role("button", name="new ↑").click()
    follow(page, lambda: timeline.evaluate("node => node.scrollTop") == 0)
    newest = timeline.locator("li").first.inner_text()
    follow(page, lambda: timeline.locator("li").first.inner_text() != newest)
    assert timeline.evaluate("node => node.scrollTop") == 0, "pinned again"


def test_the_figures_of_the_stream_are_all_there(rig: Rig, open_page: OpenPage) -> None:
    page = opened(rig, open_page)
    follow(page, lambda: page.locator("#fact-screen").inner_text() != "–")
    assert page.locator("#fact-screen").inner_text().endswith(" s")
    for name in ("model", "budget", "analysed", "pictures", "age", "tokens", "forwards", "reused", "lost"):
        assert page.locator(f"#fact-{name}").inner_text() != "–", name
