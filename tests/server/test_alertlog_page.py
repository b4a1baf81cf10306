"""Alerts of the past on the page: found, paged, followed as they change, looked at large."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer.configuration import Configuration, StreamEntry
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.rules import Rule
from streamer.server import Server
from streamer.server.access import Tokens
from streamer.settings import StreamSettings
from streamer.station import Station
from tests.history.made import alert
from tests.server.looking import OpenPage, follow, shows

LADDER = Rule("ladder", "Is someone on the ladder?", streams=("gate",), release=1, cooldown_seconds=0)


class Scene:
    ladder = False

    def __call__(self, request: Request) -> str:
        if "ladder" in request.prompt:
            return json.dumps({"answer": "yes" if self.ladder else "no", "reason": "He stands on the third rung"})
        return "a yard"


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def station(scene: Scene, tmp_path: Path) -> Iterator[Station]:
    entry = StreamEntry("gate", "synthetic:?live=1&size=320x180", StreamSettings(tasks=(), fps=5, gate=0, budget=70))
    whole = Configuration(streams=(entry,), rules=(LADDER,), data=tmp_path / "data")
    with ScriptedModel(scene, structured=True) as model, Station(model, whole) as station:
        yield station


def past(station: Station, count: int) -> None:
    """Alerts that ended, the newest last; every second one is of the yard and acknowledged."""
    for number in range(1, count + 1):
        at = time.time() - 7200 + number
        yard = number % 2 == 0
        ended = alert(
            number, rule="dogs" if yard else "cats", stream="yard" if yard else "gate", phase="end", started_at=at,
            updated_at=at + 9, ended_at=at + 9, title=f"Alert {number}", acknowledged_at=at + 20 if yard else None,
            acknowledged_by="anna" if yard else None,
        )  # fmt: skip
        station.history.put_alert(ended)


def test_past_alerts_are_found_page_by_page(station: Station, open_page: OpenPage) -> None:
    past(station, 25)
    with Server(station.monitor, port=0, station=station) as server:
        page = open_page(f"{server.url}#rules")
        cards = page.locator(".log-item")
        follow(page, lambda: cards.count() == 20)
        assert cards.first.locator("strong").inner_text() == "Alert 25"
        assert "warning · cats · gate ·" in cards.first.inner_text()
        assert "for 9.0 s" in cards.first.inner_text()
        assert "Acknowledged by anna" in cards.nth(1).inner_text()
        page.get_by_role("button", name="More").click()
        follow(page, lambda: cards.count() == 25)
        log = page.locator(".log")
        log.get_by_label("Rule").select_option("dogs")
        follow(page, lambda: cards.count() == 12)
        log.get_by_label("Only unacknowledged").check()
        log.get_by_text("No alert is like that").wait_for()
        assert cards.count() == 0
        log.get_by_label("Rule").select_option("")
        log.get_by_label("Stream").select_option("gate")
        follow(page, lambda: cards.count() == 13)


def test_a_new_alert_comes_on_top_and_is_acknowledged_there(
    station: Station, scene: Scene, open_page: OpenPage
) -> None:
    past(station, 1)
    with Server(station.monitor, port=0, station=station) as server:
        page = open_page(f"{server.url}#rules")
        cards = page.locator(".log-item")
        follow(page, lambda: cards.count() == 1)
        scene.ladder = True
        follow(page, lambda: cards.count() >= 2)
        newest = cards.first
        newest.get_by_text("He stands on the third rung").wait_for()
        newest.get_by_role("button", name="Show the picture large").click()
        shows(page, "document.querySelector('dialog[open] .log-large').naturalWidth > 100")
        page.keyboard.press("Escape")
        newest.get_by_role("button", name="Acknowledge").click()
        newest.get_by_text("Acknowledged by").wait_for()
        scene.ladder = False
        newest.get_by_text(" · for ").wait_for()


def test_none_yet_and_what_failed_are_said(station: Station, open_page: OpenPage) -> None:
    token = Tokens(station.tokens_path).create("anna", "viewer", ("gate",))
    with Server(station.monitor, port=0, token="owner's", station=station) as server:
        page = open_page(f"{server.address}?token={token}#rules")
        page.get_by_text("No alert yet").wait_for()
        page.route("**/api/v1/alerts?*", lambda route: route.abort("connectionrefused"))
        page.locator(".log").get_by_label("Only unacknowledged").check()
        page.get_by_text("The alerts cannot be had: the server does not answer.").wait_for()
        page.unroute("**/api/v1/alerts?*")
        page.locator(".log").get_by_role("button", name="Try again").click()
        page.get_by_text("No alert is like that").wait_for()
