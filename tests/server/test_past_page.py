"""The history on the page: one search box, pictures with their boxes, one of them large."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamer.configuration import Configuration, StreamEntry
from streamer.display import encode_jpeg
from streamer.models.scripted import ScriptedModel
from streamer.server import Server
from streamer.settings import StreamSettings
from streamer.sources.synthetic import draw
from streamer.station import Station
from tests.history.made import result
from tests.server.conftest import SETTINGS, answer
from tests.server.looking import OpenPage, follow, shows
from tests.server.rig import eventually

BREAK = """() => { const send = WebSocket.prototype.send; WebSocket.prototype.send = function () {
  WebSocket.prototype.send = send; this.close(); }; }"""
"""The connection is lost once, and comes back by itself."""
NASTY = "<b>bold</b> words"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    entry = StreamEntry("gate", "synthetic:?live=1&size=320x180", StreamSettings(tasks=(), budget=70))
    with (
        ScriptedModel() as model,
        Station(model, Configuration(streams=(entry,), data=tmp_path / "data")) as station,
        Server(station.monitor, port=0, station=station) as server,
    ):
        for number in range(30):
            labels = ("dog",) if number % 3 == 0 else ("car",)
            seen = result(f"picture {number} {NASTY}", *labels)
            station.history.put(seen, time.time() - 3600 + number, encode_jpeg(draw(number, (640, 352))))
        station.history.flush(10)
        yield server


def captions(page: Any) -> list[str]:
    return [words.inner_text().split(" <")[0] for words in page.locator("#past .tile-caption").all()]


def test_what_was_seen_is_found_filtered_and_looked_at(server: Server, open_page: Callable[..., Any]) -> None:
    page = open_page(server.url)
    page.get_by_role("link", name="History", exact=True).click()
    page.locator("#past .tile").first.wait_for()
    assert not page.locator("#live").is_visible()
    assert captions(page) == [f"picture {number}" for number in range(29, 5, -1)]
    page.get_by_role("button", name="Older").click()
    eventually(lambda: page.locator("#past .tile").count() == 30)
    page.get_by_role("button", name="label: dog").click()
    eventually(lambda: page.locator("#past .tile").count() == 10)
    assert page.locator("#search").input_value() == "label:dog"
    page.locator("#search").fill('label:dog "picture 27"')
    page.keyboard.press("Enter")
    eventually(lambda: page.locator("#past .tile").count() == 1)
    assert captions(page) == ["picture 27"]
    page.locator("#past .tile").click()
    dialog = page.locator("dialog[open]")
    assert f"picture 27 {NASTY}" in dialog.inner_text()
    inked = "c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v, i) => i % 4 === 3 && v > 0)"
    assert page.evaluate(f"(c => {inked})(document.querySelector('dialog canvas.boxes'))")
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")


def test_what_cannot_be_found_or_understood_is_said(server: Server, open_page: Callable[..., Any]) -> None:
    page = open_page(f"{server.url}#history")
    page.locator("#past .tile").first.wait_for()
    page.locator("#search").fill("zebra")
    page.keyboard.press("Enter")
    page.get_by_text("Nothing was found").wait_for()
    page.locator("#search").fill("since:soon")
    page.keyboard.press("Enter")
    page.get_by_text("since:soon is no time").wait_for()


def test_a_search_that_failed_leaves_no_old_cards_and_is_tried_again(server: Server, open_page: OpenPage) -> None:
    page = open_page(f"{server.url}#history")
    page.locator("#past .tile").first.wait_for()
    page.route("**/api/v1/history?*", lambda route: route.abort("connectionrefused"))
    page.locator("#search").fill("picture 7")
    page.keyboard.press("Enter")
    page.get_by_text("The search did not work").wait_for()
    assert page.locator("#past .tile").count() == 0
    page.unroute("**/api/v1/history?*")
    page.evaluate(BREAK)
    follow(page, lambda: captions(page) == ["picture 7"])


def test_from_picture_to_picture_and_a_file_of_it(server: Server, open_page: OpenPage) -> None:
    page = open_page(f"{server.url}#history")
    page.locator("#past .tile").first.click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_role("heading", name="gate").wait_for()
    page.keyboard.press("ArrowRight")
    dialog.get_by_text("picture 28").wait_for()
    dialog.get_by_role("button", name="Next").click()
    dialog.get_by_text("picture 27").wait_for()
    page.keyboard.press("ArrowLeft")
    dialog.get_by_text("picture 28").wait_for()
    with page.expect_download() as kept:
        dialog.get_by_role("link", name="Download the picture").click()
    assert kept.value.suggested_filename.startswith("gate 20")
    for number in range(27, 3, -1):  # over the end of the first page
        page.keyboard.press("ArrowRight")
        dialog.get_by_text(f"picture {number} ").wait_for()
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    shows(page, "document.activeElement.closest('li').matches(':nth-child(26)')")


def test_a_long_name_hides_no_time(server: Server, open_page: OpenPage) -> None:
    page = open_page(f"{server.url}#history")
    page.locator("#past .tile").first.wait_for()
    for width in (375, 1280, 2560):
        page.set_viewport_size({"width": width, "height": 800})
        page.evaluate("document.querySelector('#past .tile-name').textContent = 'the loading dock of the north gate'")
        whole = "(t => t.scrollWidth <= t.clientWidth && t.getBoundingClientRect().right <= t.closest('.tile')"
        shows(page, f"{whole}.getBoundingClientRect().right)(document.querySelector('#past .past-when'))")


def test_what_is_newer_is_said_and_there_when_one_comes_back(tmp_path: Path, open_page: OpenPage) -> None:
    entry = StreamEntry("gate", "synthetic:?live=1&size=320x180", SETTINGS)
    whole = Configuration(streams=(entry,), data=tmp_path / "data")
    with ScriptedModel(answer) as model, Station(model, whole) as station:
        eventually(lambda: station.history.search(limit=1), 20)
        with Server(station.monitor, port=0, station=station) as server:
            page = open_page(f"{server.url}#history")
            when = page.locator("#past .past-when").first
            when.wait_for()
            first = "document.querySelector('#past li').card.found.id"
            before = page.evaluate(first)
            newer = page.get_by_role("button", name="newer: show")
            newer.wait_for()
            assert page.evaluate(first) == before, "nothing jumps"
            newer.click()
            shows(page, f"{first} > {before}")
            before = page.evaluate(first)
            page.evaluate("location.hash = 'rules'")
            page.locator("#rules").get_by_text("No rule yet").wait_for()
            follow(page, lambda: station.history.search(limit=1)[0].id > before)
            page.evaluate("location.hash = 'history'")
            shows(page, f"{first} > {before}")


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("", []),
        ("red car", [["text", "red car"]]),
        ('red stream:gate label:"traffic light"', [["text", "red"], ["stream", "gate"], ["label", "traffic light"]]),
        ('"red car" since:2h', [["text", '"red car"'], ["since", "92800"]]),
        ("UNTIL:1.5d", [["until", "-29600"]]),
        ("http://x", [["text", "http://x"]]),
    ],
)
def test_the_words_of_the_search_box(
    text: str, params: list[list[str]], server: Server, open_page: Callable[..., Any]
) -> None:
    page = open_page(server.url)
    read = f"import('/static/query.js').then(m => m.parseQuery({json.dumps(text)}, 100000))"
    assert page.evaluate(read) == {"params": params, "faults": []}


def test_what_the_search_box_does_not_understand_is_said(server: Server, open_page: Callable[..., Any]) -> None:
    page = open_page(server.url)
    page.evaluate("location.hash = 'history'")
    page.get_by_role("searchbox").fill("car label: -dog xlabel:cat")
    page.keyboard.press("Enter")
    page.get_by_text("label: has no value").wait_for()
    page.get_by_text("-dog: words can be looked for, not left out").wait_for()
