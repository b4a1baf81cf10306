"""What the other tests of views do by pointer, done by keys alone: history searched and looked at, frames compared, a
file handed in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamer.configuration import Configuration, StreamEntry
from streamer.display import encode_jpeg
from streamer.models.scripted import ScriptedModel
from streamer.server import Server
from streamer.sources.synthetic import draw
from streamer.station import Station
from tests.history.made import result
from tests.media import even, make_clip
from tests.server.conftest import SETTINGS, answer
from tests.server.looking import OpenPage, follow, shows


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    entry = StreamEntry("gate", "synthetic:?live=1&size=320x180", SETTINGS)
    data = tmp_path_factory.mktemp("keys") / "data"
    with (
        ScriptedModel(answer) as model,
        Station(model, Configuration(streams=(entry,), data=data)) as station,
        Server(station.monitor, port=0, station=station) as server,
    ):
        seen = result("a red bicycle", "bicycle")
        station.history.put(seen, time.time() - 60, encode_jpeg(draw(1, (640, 352))))
        station.history.flush(10)
        yield server


def tab_to(page: Any, selector: str, most: int = 80) -> None:
    """Tab by Tab, as somebody without a mouse goes there."""
    for _ in range(most):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{most} times Tab do not lead to {selector}")


def test_the_history_is_searched_and_a_picture_looked_at(server: Server, open_page: OpenPage) -> None:
    page = open_page(f"{server.url}#history")
    shows(page, "document.querySelectorAll('#past .tile').length > 0")
    tab_to(page, "#search")
    page.keyboard.type("bicycle")
    page.keyboard.press("Enter")
    shows(page, "document.querySelectorAll('#past .tile').length === 1")
    tab_to(page, "#past .tile")
    page.keyboard.press("Enter")
    page.locator("dialog[open]").wait_for()
    assert "a red bicycle" in page.locator("dialog[open]").inner_text()
    page.keyboard.press("Escape")
    page.locator("dialog[open]").wait_for(state="hidden")
    assert page.evaluate("document.activeElement.matches('#past .tile')"), "back where one was"


def test_frames_are_compared(server: Server, open_page: OpenPage) -> None:
    page = open_page(f"{server.url}#compare")
    shows(page, "document.querySelectorAll('#compare button').length > 3")
    tab_to(page, "#compare .chip")
    page.keyboard.press("Enter")
    tab_to(page, "#compare .button.primary")
    page.keyboard.press("Enter")
    follow(page, lambda: "said of" in page.inner_text("#compare"), 60)
    assert page.inner_text("#compare").count("tokens") >= 2


def test_a_file_is_handed_in(server: Server, open_page: OpenPage, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "yard.mp4", even(10), size=(320, 176))
    page = open_page(f"{server.url}#files")
    page.locator(".files-formats input").first.wait_for()
    page.on("filechooser", lambda chooser: chooser.set_files([str(clip)]))  # long before it opens
    tab_to(page, "#files-choose")
    page.wait_for_timeout(300)
    page.keyboard.press("Enter")
    follow(page, lambda: page.locator('#files .file-card[data-state="done"]').count() == 1, 60)
