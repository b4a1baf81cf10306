"""Alerts on the page: shown as they come, acknowledged, heard by choice; and what a viewer's token shows."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from streamer.configuration import Configuration, StreamEntry
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.rules import Rule
from streamer.server import Server
from streamer.server.access import Tokens
from streamer.settings import StreamSettings
from streamer.station import Station
from streamer.tasks import Task
from tests.history.made import alert
from tests.server.looking import follow
from tests.server.rig import eventually

NASTY = "<img src=x onerror=document.title='bad'> on it"


class Scene:
    ladder = False

    def __call__(self, request: Request) -> str:
        if "ladder" in request.prompt:
            return json.dumps({"answer": "yes" if self.ladder else "no", "reason": NASTY})
        return "a yard"


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def station(scene: Scene, tmp_path: Path) -> Iterator[Station]:
    settings = StreamSettings(tasks=(Task.caption(),), fps=5, gate=0, budget=70)
    streams = tuple(StreamEntry(name, "synthetic:?live=1&size=320x180", settings) for name in ("gate", "hall"))
    rule = Rule("ladder", "Is someone on the ladder?", streams=("gate",), release=1, cooldown_seconds=0)
    whole = Configuration(streams=streams, rules=(rule,), data=tmp_path / "data")
    with ScriptedModel(scene, structured=True) as model, Station(model, whole) as station:
        yield station


@pytest.fixture
def server(station: Station) -> Iterator[Server]:
    with Server(station.monitor, port=0, station=station) as server:
        yield server


@pytest.fixture
def serving() -> Iterator[Callable[[Station], str]]:
    """``serving(station)`` -> address of a server that begins with the alerts that are in the history by now."""
    with ExitStack() as stack:
        yield lambda station: stack.enter_context(Server(station.monitor, port=0, station=station)).url


def opened(page: Any) -> None:
    """The list of alerts, by the line that stands for it."""
    page.locator("#alerts .alerts-open").click()
    page.locator("#alerts .alerts-open[aria-expanded=true]").wait_for()


def test_an_alert_is_shown_with_its_picture_and_acknowledged(
    server: Server, station: Station, scene: Scene, open_page: Callable[..., Any]
) -> None:
    page = open_page(server.url)
    page.get_by_role("heading", name="gate").wait_for()
    assert not page.locator("#alerts").is_visible()
    scene.ladder = True
    opened(page)
    card = page.locator(".alert")
    card.get_by_text("Is someone on the ladder? Yes.").wait_for()
    card.locator("img").wait_for()
    assert page.evaluate("document.querySelector('.alert img').naturalWidth") > 100
    assert "so far" in card.inner_text()
    scene.ladder = False
    card.get_by_text("lasted").wait_for()
    card.get_by_role("button", name="Acknowledge", exact=True).click()
    card.wait_for(state="detached")
    assert not page.locator("#alerts").is_visible()
    [known] = station.history.alerts()
    assert known.acknowledged_by == "owner"
    assert page.title() != "bad"
    assert page.locator(".alert img[src=x]").count() == 0


def test_the_model_s_words_stay_words(server: Server, scene: Scene, open_page: Callable[..., Any]) -> None:
    scene.ladder = True
    page = open_page(server.url)
    opened(page)
    page.locator(".alert").wait_for()
    page.wait_for_timeout(300)
    assert page.title() == "gate · streamer"


def test_one_page_s_acknowledgement_is_seen_on_the_other(
    server: Server, scene: Scene, open_page: Callable[..., Any]
) -> None:
    scene.ladder = True
    one, other = open_page(server.url), open_page(server.url)
    for page in (one, other):
        opened(page)
        page.locator(".alert").wait_for()
    one.get_by_role("button", name="Acknowledge", exact=True).click()
    other.get_by_text("acknowledged by owner").wait_for()
    scene.ladder = False
    for page in (one, other):
        page.locator(".alert").wait_for(state="detached")


def test_sound_and_notifications_are_chosen_and_remembered(
    server: Server, scene: Scene, open_page: Callable[..., Any]
) -> None:
    page = open_page(server.url, permissions=["notifications"])
    page.evaluate(
        """() => { window.told = []; window.tones = 0;
          window.Notification = class extends EventTarget {
            static permission = "granted";
            static requestPermission = async () => "granted";
            constructor(title, options) { super(); window.told.push([title, options.body]); } };
          const start = OscillatorNode.prototype.start;
          OscillatorNode.prototype.start = function (at) { window.tones += 1; return start.call(this, at); }; }"""
    )
    for name in ("Sound for new alerts", "Notifications of new alerts"):
        page.get_by_role("button", name=name).click()
        page.locator(f"button[aria-label='{name}'][aria-pressed=true]").wait_for()
    assert page.evaluate("window.tones") == 1, "it is tried at once"
    scene.ladder = True
    page.locator("#alerts").wait_for()
    eventually(lambda: page.evaluate("window.tones === 2 && window.told.length === 1"))
    assert page.evaluate("window.told[0][0]") == "gate: Is someone on the ladder? Yes."
    page.reload()
    page.locator("button[aria-label='Sound for new alerts'][aria-pressed=true]").wait_for()
    page.locator("#alerts").wait_for()
    page.wait_for_timeout(300)
    assert page.evaluate("window.tones") is None, "nothing sounds for what was there before"


def test_a_viewer_sees_its_streams_and_changes_nothing(
    station: Station, scene: Scene, open_page: Callable[..., Any]
) -> None:
    assert station.tokens_path is not None
    token = Tokens(station.tokens_path).create("anna", "viewer", ["hall"])
    scene.ladder = True
    with Server(station.monitor, port=0, token="owner's", station=station) as server:
        eventually(lambda: station.history.alerts())
        page = open_page(f"{server.address}?token={token}")
        page.get_by_role("heading", name="hall").wait_for()
        page.wait_for_timeout(500)
        assert page.locator("#alerts").is_hidden()
        assert page.get_by_role("button", name="Pause analysis").is_hidden()
        assert page.locator("#controls").is_hidden()
        assert "gate" not in page.locator("body").inner_text()


def test_many_alerts_are_one_line_and_a_list_on_demand(
    station: Station, serving: Callable[[Station], str], open_page: Callable[..., Any]
) -> None:
    now = time.time()
    for number in range(1, 7):
        times = {"started_at": now - 60 * number, "ended_at": now - 60 * number + 5}
        station.history.put_alert(alert(number, stream="hall", title=f"Alert {number}", **times))
    page = open_page(serving(station), viewport={"width": 375, "height": 812})
    line = page.locator("#alerts .alerts-line")
    line.get_by_text("6 alerts").wait_for()
    assert "Alert 1" in line.inner_text(), "the newest"
    assert page.locator("#stage").bounding_box()["y"] < 420
    before = page.locator("#alerts").bounding_box()["height"]
    assert before < 60
    opened(page)
    more = page.locator("#alerts .alerts-more")
    more.get_by_text("more below").wait_for()
    page.locator("#alerts .alert-list").evaluate("node => { node.scrollTop = node.scrollHeight; }")
    follow(page, lambda: more.inner_text() == "")
    page.locator(".alert:has-text('Alert 2')").get_by_role("button", name="Acknowledge", exact=True).click()
    line.get_by_text("5 alerts").wait_for()
    page.evaluate("location.hash = 'settings'")
    page.locator("#alerts .alerts-open[aria-expanded=false]").wait_for()
    assert page.locator("#alerts").bounding_box()["height"] == before
    opened(page)
    page.get_by_role("button", name="Acknowledge all").click()
    page.locator("#alerts").wait_for(state="hidden")
    assert all(one.acknowledged_by == "owner" for one in station.history.alerts())


def test_acknowledged_alerts_come_last(
    station: Station, scene: Scene, serving: Callable[[Station], str], open_page: Callable[..., Any]
) -> None:
    station.history.put_alert(alert(1, stream="hall", title="An older one", started_at=time.time() - 60))
    scene.ladder = True
    page = open_page(serving(station))
    page.locator("#alerts .alerts-line").get_by_text("2 alerts").wait_for()
    opened(page)
    ladder = page.locator(".alert:has-text('on the ladder')")
    assert page.locator(".alert").first.inner_text() == ladder.inner_text()
    ladder.get_by_role("button", name="Acknowledge", exact=True).click()
    follow(page, lambda: "An older one" in page.locator(".alert").first.inner_text())
    assert "An older one" in page.locator("#alerts .alerts-newest").inner_text()


@pytest.mark.parametrize("view", ["live", "wall", "history", "rules", "settings"])
def test_an_alert_leads_to_its_stream_from_every_view(
    station: Station, serving: Callable[[Station], str], open_page: Callable[..., Any], view: str
) -> None:
    station.history.put_alert(alert(1, stream="hall", title="Somebody", started_at=time.time() - 60))
    page = open_page(f"{serving(station)}#{view}")
    page.locator(".alerts-newest .link-button:visible", has_text="hall").click()
    page.get_by_role("heading", name="hall").wait_for()
    follow(page, lambda: page.evaluate("document.body.dataset.view") == "live")
