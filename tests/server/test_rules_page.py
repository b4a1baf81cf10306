"""Rules on the page: written, with a zone, tried over the past, switched off, removed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamer.configuration import Configuration, StreamEntry
from streamer.models.scripted import ScriptedModel
from streamer.rules import Rule
from streamer.server import Server
from streamer.server.access import Tokens
from streamer.settings import StreamSettings
from streamer.station import Station
from tests.history.made import result
from tests.server.looking import follow
from tests.server.rig import eventually

PHONE = {"phone": {"type": "webhook", "url": "http://127.0.0.1:9/never"}}


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    entry = StreamEntry("gate", "synthetic:?live=1&size=320x180", StreamSettings(fps=2, budget=70))
    with (
        ScriptedModel() as model,
        Station(model, Configuration(streams=(entry,), data=tmp_path / "data", channels=PHONE)) as station,
    ):
        yield station


@pytest.fixture
def server(station: Station) -> Iterator[Server]:
    eventually(lambda: station.monitor.still("gate"))
    with Server(station.monitor, port=0, station=station) as server:
        yield server


def test_a_question_is_written_changed_switched_off_and_removed(
    server: Server, station: Station, open_page: Callable[..., Any]
) -> None:
    page = open_page(f"{server.url}#rules")
    page.get_by_text("No rule yet").wait_for()
    page.get_by_role("button", name="New rule").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("ladder")
    page.locator(".rule-form").get_by_placeholder("Is someone on the ladder?").fill("Is someone on the ladder?")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Is someone on the ladder? Yes.").wait_for()
    assert station.rules == (Rule("ladder", "Is someone on the ladder?"),)
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Frames in a row").fill("5")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("5 in a row").wait_for()
    page.get_by_role("button", name="Switch off").click()
    page.get_by_text("switched off").wait_for()
    assert [(rule.confirm, rule.enabled) for rule in station.rules] == [(5, False)]
    page.get_by_role("button", name="Remove").click()
    asking = page.locator("dialog[open]")
    asking.get_by_role("button", name="Cancel").click()
    asking.wait_for(state="detached")
    assert station.rules, "nothing is removed by one press"
    page.get_by_role("button", name="Remove").click()
    asking.get_by_role("button", name="Remove").click()
    page.get_by_text("No rule yet").wait_for()
    assert not station.rules


def test_objects_in_a_zone_drawn_on_the_picture(
    server: Server, station: Station, open_page: Callable[..., Any]
) -> None:
    page = open_page(f"{server.url}#rules")
    page.get_by_role("button", name="New rule").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("dogs")
    page.locator(".rule-form select").first.select_option("when")
    page.locator(".rule-form").get_by_placeholder("person, car").fill("dog, cat")
    canvas = page.locator(".zone-canvas[aria-busy=false]")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    for x, y in ((0.1, 0.5), (0.9, 0.5), (0.9, 0.95)):
        canvas.click(position={"x": x * box["width"], "y": y * box["height"]})
    canvas.press("Enter")  # the cross stands in the middle
    page.get_by_text("4 corners").wait_for()
    canvas.press("Backspace")
    page.get_by_text("3 corners").wait_for()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 0.95 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.85 * box["height"], steps=3)
    page.mouse.up()
    page.get_by_text("3 corners").wait_for()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("dog or cat in the zone").wait_for()
    [rule] = station.rules
    assert rule.when is not None
    assert rule.when.labels == ("dog", "cat")
    assert rule.when.zone is not None
    drawn = [value for point in rule.when.zone.points for value in point]
    assert drawn == pytest.approx([0.1, 0.5, 0.9, 0.5, 0.8, 0.85], abs=0.01)


def test_a_rule_for_no_has_its_times_and_channels(
    server: Server, station: Station, open_page: Callable[..., Any]
) -> None:
    page = open_page(f"{server.url}#rules")
    page.get_by_role("button", name="New rule").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("helmet")
    form = page.locator(".rule-form")
    form.get_by_label("Fires when").select_option("no")
    form.get_by_placeholder("Is someone on the ladder?").fill("Does everybody wear a helmet?")
    form.get_by_label("Mon").check()
    form.get_by_label("From").fill("22:00")
    form.get_by_label("To", exact=True).fill("06:00")
    form.get_by_label("phone").check()
    form.get_by_role("button", name="Save").click()
    page.get_by_text("Does everybody wear a helmet? No.").wait_for()
    page.get_by_text("on duty Mon 22:00 to 06:00 · tells phone").wait_for()
    page.get_by_role("button", name="Edit").click()
    assert form.get_by_label("Fires when").input_value() == "no"
    assert form.get_by_label("Mon").is_checked()
    assert form.get_by_label("From").input_value() == "22:00"
    form.get_by_label("Mon").uncheck()
    form.get_by_label("From").fill("")
    form.get_by_label("To", exact=True).fill("")
    form.get_by_role("button", name="Save").click()
    page.get_by_text("always on duty").wait_for()
    [rule] = station.rules
    assert rule.answer is False
    assert rule.channels == ("phone",)
    assert rule.schedule is None


def test_what_the_form_cannot_set_stays_and_is_said(
    server: Server, station: Station, open_page: Callable[..., Any]
) -> None:
    given: dict[str, Any] = {
        "name": "fence",
        "when": {"labels": ["person"], "line": {"points": [[0.1, 0.5], [0.9, 0.5]], "direction": "left"}},
        "schedule": {"ranges": [{"from": "22:00", "to": "23:00"}, {"days": ["sun"]}], "zone": "Europe/Berlin"},
        "channels": ["phone"],
        "describe": False,
    }
    before = Rule.from_mapping(given, "rule")
    station.set_rule(before)
    page = open_page(f"{server.url}#rules")
    page.get_by_text("person crosses the line to the left").wait_for()
    page.get_by_text("on duty every day 22:00 to 23:00 and Sun, Europe/Berlin · tells phone").wait_for()
    page.get_by_role("button", name="Edit").click()
    stays = page.locator(".rule-stays")
    assert "its line, from 10 % across and 50 % down to 90 % across and 50 % down" in stays.inner_text()
    assert "its times" in stays.inner_text()
    page.get_by_label("phone").wait_for()
    page.get_by_label("Frames in a row").fill("5")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("5 in a row").wait_for()
    assert station.rules == (replace(before, confirm=5),)


def test_what_cannot_be_is_said_in_the_form(server: Server, station: Station, open_page: Callable[..., Any]) -> None:
    page = open_page(f"{server.url}#rules")
    page.get_by_role("button", name="New rule").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("never")
    page.locator(".rule-form select").first.select_option("when")
    page.get_by_label("For seconds").fill("5")
    page.locator(".rule-form select").nth(1).select_option("leaves")
    page.get_by_role("button", name="Save").click()
    fault = page.locator("#rules .rule-fault")
    eventually(lambda: "in a moment" in fault.inner_text())
    page.get_by_label("For seconds").fill("")
    assert fault.inner_text() == "", "it goes when put right"
    canvas = page.locator(".zone-canvas[aria-busy=false]")
    for place in ({"x": 50, "y": 50}, {"x": 200, "y": 50}):
        canvas.click(position=place)
    page.get_by_text("1 more corner makes a zone").wait_for()
    page.get_by_role("button", name="Save").click()
    page.get_by_text("A zone needs 3 corners at least").wait_for()
    page.get_by_role("button", name="Undo the last corner").click()
    assert fault.inner_text() == ""
    page.get_by_text("2 more corners make a zone").wait_for()
    assert not station.rules


def test_the_zone_is_drawn_on_a_picture_of_the_rules_streams(station: Station, open_page: Callable[..., Any]) -> None:
    station.add(
        StreamEntry("yard-2", "synthetic:?live=1&size=320x180", StreamSettings(tasks=(), budget=70)), trusted=True
    )
    eventually(lambda: station.monitor.still("yard-2"))
    with Server(station.monitor, port=0, station=station) as server:
        page = open_page(f"{server.url}#rules")
        page.get_by_role("button", name="New rule").click()
        form = page.locator(".rule-form")
        form.get_by_label("Fires when").select_option("when")
        assert form.get_by_label("Picture of").input_value() == "gate"
        form.get_by_label("Streams").fill("yard-*")
        form.get_by_label("Streams").press("Tab")
        follow(page, lambda: form.get_by_label("Picture of").input_value() == "yard-2")


def test_a_new_rule_takes_no_other_ones_place(server: Server, station: Station, open_page: Callable[..., Any]) -> None:
    station.set_rule(Rule("dogs", "Is there a dog?"))
    page = open_page(f"{server.url}#rules")
    page.locator("#rules").get_by_text("Is there a dog?").wait_for()
    page.get_by_role("button", name="New rule").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("dogs")
    page.locator(".rule-form").get_by_placeholder("Is someone on the ladder?").fill("Is there a cat?")
    page.get_by_role("button", name="Save").click()
    eventually(lambda: "of that name already" in page.locator("#rules .rule-fault").inner_text())
    assert [rule.question for rule in station.rules] == ["Is there a dog?"]


def test_a_rule_is_tried_over_the_past(server: Server, station: Station, open_page: Callable[..., Any]) -> None:
    for number in range(6):
        labels = ("dog",) if number < 3 else ()
        station.history.put(result(f"{number}", *labels, answers={"detect": "[]"}), time.time() - 600 + number)
    station.history.flush(10)
    page = open_page(f"{server.url}#rules")
    page.get_by_role("button", name="New rule").click()
    page.get_by_role("textbox", name="Name", exact=True).fill("dogs")
    page.locator(".rule-form select").first.select_option("when")
    page.locator(".rule-form").get_by_placeholder("person, car").fill("dog")
    page.get_by_role("button", name="Try on the last day").click()
    trial = page.locator(".rule-form .trial")
    trial.get_by_text("would have fired once").wait_for()
    assert trial.inner_text().startswith("dogs, over the last day:")
    trial.get_by_role("link").click()
    first = page.locator("#past .tile-caption").first
    follow(page, lambda: first.inner_text() in ("1", "2"))
    assert page.locator("#search").input_value().startswith('stream:"gate" until:')
    assert not station.rules


def test_a_rule_that_would_not_have_fired_says_never_on_its_card(
    server: Server, station: Station, open_page: Callable[..., Any]
) -> None:
    station.set_rule(Rule.from_mapping({"name": "cats", "when": {"labels": ["cat"]}}, "rule"))
    station.history.put(result("a dog", "dog", answers={"detect": "[]"}), time.time() - 600)
    station.history.flush(10)
    page = open_page(f"{server.url}#rules")
    page.get_by_role("button", name="Try").click()
    page.locator(".rule-card .trial").get_by_text("gate: would never have fired in").wait_for()


def test_a_viewer_sees_rules_and_changes_none(station: Station, open_page: Callable[..., Any]) -> None:
    station.set_rule(Rule("ladder", "Is someone on the ladder?"))
    token = Tokens(station.tokens_path).create("anna", "viewer")
    with Server(station.monitor, port=0, token="owner's", station=station) as server:
        page = open_page(f"{server.address}?token={token}#rules")
        page.get_by_text("Is someone on the ladder? Yes.").wait_for()
        for name in ("New rule", "Edit", "Remove", "Switch off"):
            assert (
                page.get_by_role("button", name=name).count() == 0 or page.get_by_role("button", name=name).is_hidden()
            )
