"""What holds for each view of the page: no serious fault for people who cannot see or use a mouse, no sideways
scrolling on any screen, in both themes, for admins and viewers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamer.configuration import Configuration, StreamEntry
from streamer.display import encode_jpeg
from streamer.models.scripted import ScriptedModel
from streamer.server import Server
from streamer.server.access import Tokens
from streamer.settings import StreamSettings
from streamer.sources.synthetic import draw
from streamer.station import Station
from tests.history.made import result
from tests.server.conftest import SETTINGS, answer
from tests.server.looking import shows

AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
VIEWS = ("live", "wall", "compare", "history", "rules", "files", "settings")
WIDTHS = (375, 1280, 2560)
JUDGE = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .filter((one) => ["serious", "critical"].includes(one.impact))
  .flatMap((one) => one.nodes.map((node) => `${one.id}: ${node.target.join(" ")}: ${node.failureSummary}`))"""
TOO_WIDE = """() => document.scrollingElement.scrollWidth - innerWidth > 1
  ? [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
    .slice(-3).map((one) => one.outerHTML.slice(0, 120)) : []"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two streams, one that cannot be opened, and some history."""
    entries = (
        StreamEntry("gate", "synthetic:?live=1&size=320x180", SETTINGS),
        StreamEntry("yard", "synthetic:?live=1&size=180x320", SETTINGS),
        StreamEntry("gone", "/nowhere/at/all.mp4", StreamSettings()),
    )
    data = tmp_path_factory.mktemp("views") / "data"
    with (
        ScriptedModel(answer) as model,
        Station(model, Configuration(streams=entries, data=data)) as station,
        Server(station.monitor, port=0, station=station) as server,
    ):
        for number in range(6):
            seen = result(f"picture {number}", "dog")
            station.history.put(seen, time.time() - 60 + number, encode_jpeg(draw(number, (640, 352))))
        station.history.flush(10)
        yield server


@pytest.fixture
def looking(server: Server, open_page: Callable[..., Any]) -> Callable[..., Any]:
    def look(view: str, **options: Any) -> Any:
        page = open_page(f"{server.url}#{view}", **options)
        shows(page, "document.querySelector('#link').dataset.state === 'open'")
        page.wait_for_timeout(600)
        return page

    return look


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_no_serious_fault_and_nothing_is_wider_than_the_screen(
    looking: Callable[..., Any], view: str
) -> None:
    page = looking(view)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_timeout(150)
        assert page.evaluate(TOO_WIDE) == [], width
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm install --no-save axe-core")
    page.evaluate(AXE.read_text())
    for width, theme in ((1280, "light"), (2560, "light"), (1280, "dark"), (375, "dark")):
        assert judged(page, width, theme) == [], (width, theme)


def judged(page: Any, width: int, theme: str) -> list[str]:
    """What axe says of the page."""
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=theme)
    page.wait_for_timeout(300)  # colours change slowly
    faults: list[str] = page.evaluate(JUDGE)
    return faults


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: npm install --no-save axe-core")
def test_correcting_by_hand_has_no_serious_fault(looking: Callable[..., Any]) -> None:
    page = looking("history")
    page.locator(".past-list button").first.click()
    page.get_by_role("button", name="Correct", exact=True).click()
    page.wait_for_selector("dialog.correct[open]")
    page.evaluate(AXE.read_text())
    for width, theme in ((1280, "light"), (375, "dark")):
        assert judged(page, width, theme) == [], (width, theme)
        assert page.evaluate(TOO_WIDE) == [], width


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: npm install --no-save axe-core")
def test_what_a_viewer_sees_has_no_serious_fault(tmp_path: Path, open_page: Callable[..., Any]) -> None:
    entries = (StreamEntry("gate", "synthetic:?live=1&size=320x180", SETTINGS),)
    with (
        ScriptedModel(answer) as model,
        Station(model, Configuration(streams=entries, data=tmp_path)) as station,
        Server(station.monitor, port=0, station=station, token="the-owners-token-0123456789") as server,
    ):
        token = Tokens(tmp_path / "tokens.json").create("guard", "viewer")
        page = open_page(f"{server.address}?token={token}")
        shows(page, "document.querySelector('#link').dataset.state === 'open'")
        page.evaluate(AXE.read_text())
        for view in VIEWS:
            page.evaluate(f"location.hash = '#{view}'")
            shows(page, f"document.querySelector('[aria-current=page]').hash === '#{view}'")
            assert judged(page, 1280, "light") == [], view


def test_every_view_is_reached_by_keys_and_says_where_one_is(looking: Callable[..., Any]) -> None:
    page = looking("live")
    for view in VIEWS[1:]:
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.hash") == f"#{view}":
                break
        assert page.evaluate("document.activeElement.hash") == f"#{view}"
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", "focus is to be seen"
        page.keyboard.press("Enter")
        shows(page, f"document.querySelector('[aria-current=page]').hash === '#{view}'")


@pytest.mark.parametrize("view", VIEWS)
def test_a_lost_connection_is_said_in_every_view(looking: Callable[..., Any], view: str) -> None:
    page = looking(view)
    page.evaluate("() => { WebSocket.prototype.send = function () { this.close(); }; }")
    shows(page, "!document.querySelector('#banner').hidden")
    assert "connection" in page.inner_text("#banner").lower()


@pytest.mark.parametrize("view", VIEWS)
def test_the_skip_link_goes_to_the_main_part_and_stays_in_the_view(looking: Callable[..., Any], view: str) -> None:
    page = looking(view)
    part = {"live": "view", "history": "past"}.get(view, view)
    page.locator("#skip").focus()
    words = {"live": "picture", "compare": "comparison"}.get(view, view)
    assert page.inner_text("#skip") == f"Skip to the {words}"
    page.keyboard.press("Enter")
    shows(page, f"document.activeElement.id === '{part}'")
    assert page.is_visible(f"#{part}")
    assert page.evaluate("document.body.dataset.view") == view
