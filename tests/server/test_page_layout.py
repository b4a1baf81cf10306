"""Where things stand on Live: what comes first on a phone, what a wide screen shows at once, and that feedback moves
nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamer.monitor import Monitor
from streamer.server import Server
from tests.server.conftest import SETTINGS
from tests.server.looking import OpenPage, follow, said, shows
from tests.server.rig import Camera

PLACES = """() => JSON.stringify([...document.querySelectorAll('#live :is(button, input, select, textarea, #stage)')]
  .filter(one => !one.closest('#timeline, .stage-note') && one.offsetParent)
  .map(one => { const { x, y, width, height } = one.getBoundingClientRect();
                return [one.id || one.textContent, ...[x, y + scrollY, width, height].map(Math.round)].join(" "); }))"""
"""Of all that can be pressed or filled in, and of the picture."""


@pytest.fixture
def three(monitor: Monitor) -> Monitor:
    for name in ("yard", "hall"):
        monitor.add(name, lambda: Camera(fps=5), SETTINGS)
    return monitor


def box(page: Any, selector: str) -> dict[str, float]:
    found: dict[str, float] = page.locator(selector).bounding_box()
    return found


def moved(page: Any, before: str) -> set[str]:
    return set(json.loads(page.evaluate(PLACES))) ^ set(json.loads(before))


@pytest.mark.parametrize("width", [375, 1280])
def test_feedback_moves_nothing(server: Server, monitor: Monitor, open_page: OpenPage, width: int) -> None:
    page = open_page(server.url, viewport={"width": width, "height": 900})
    said(page, "Describe")
    shows(page, "!document.querySelector('#save').disabled")
    page.wait_for_timeout(500)
    before = page.evaluate(PLACES)
    page.click("#pause")
    page.wait_for_selector(".view-head .ack:has-text('Paused')")
    assert moved(page, before) == set()
    page.click("#pause")
    page.wait_for_selector(".view-head .ack:has-text('Goes on')")
    assert moved(page, before) == set()
    page.fill("#fps", "4")
    page.press("#fps", "Enter")
    page.wait_for_selector(".hint-or-ack .ack:has-text('Saved ✓')")
    assert moved(page, before) == set()
    page.get_by_role("button", name="Read text").click()
    page.wait_for_selector(".presets-said .ack:has-text('Saved ✓')")
    follow(page, lambda: monitor.status("gate").settings.budget == 1120)
    page.get_by_role("button", name="Undo").wait_for()
    shows(page, "document.querySelector('#controls').textContent.includes('Take off')")
    controls = {one for one in moved(page, before) if not one.startswith(("Undo", "Take off"))}
    assert {one.split()[0] for one in controls} <= {"ask-way", "ask-words", "ask-budget", "Ask"} or width == 375, (
        controls
    )


def test_a_phone_has_the_captions_right_behind_what_the_model_says(three: Monitor, open_page: OpenPage) -> None:
    with Server(three, port=0) as server:
        page = open_page(server.url, viewport={"width": 375, "height": 812})
        said(page, "Describe")
        assert box(page, "#stage")["y"] < 420
        words = box(page, "#said")
        gap = box(page, ".timeline")["y"] - words["y"] - words["height"]
        assert 0 <= gap < 30
        assert box(page, "#controls")["y"] > box(page, ".timeline")["y"]


def test_a_wide_screen_shows_picture_captions_and_tiles_at_once(three: Monitor, open_page: OpenPage) -> None:
    with Server(three, port=0) as server:
        page = open_page(server.url, viewport={"width": 2560, "height": 1440})
        said(page, "Describe")
        page.wait_for_timeout(300)
        picture, captions, tiles = (box(page, one) for one in ("#stage", ".timeline", "#tiles"))
        assert picture["width"] > 1500
        assert picture["height"] > 800
        assert captions["x"] >= picture["x"] + picture["width"], "beside it"
        assert captions["y"] < 700
        assert tiles["y"] + tiles["height"] <= 1440
        edges = {(box(page, one)["x"], box(page, one)["x"] + box(page, one)["width"]) for one in ("#caveat",)}
        assert edges == {(box(page, "#controls")["x"], captions["x"] + captions["width"])}
