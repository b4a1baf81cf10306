"""Settings on the page: streams tried and added, changed, removed; tokens; theme; what is kept; a viewer's words."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamer.configuration import Configuration, StreamEntry
from streamer.models.scripted import ScriptedModel
from streamer.server import Server
from streamer.server.access import Tokens
from streamer.settings import StreamSettings
from streamer.station import Station
from tests.history.made import result
from tests.media import even, make_clip
from tests.server.looking import OpenPage, follow, shows
from tests.server.rig import eventually

QUIET = StreamSettings(tasks=(), budget=70, display_fps=2)
OWNER = "owner's"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    return make_clip(folder / "yard.mp4", even(30), size=(320, 180))


@pytest.fixture
def station(tmp_path: Path, clip: Path) -> Iterator[Station]:
    entry = StreamEntry("gate", "synthetic:?live=1&size=320x180&fps=4", QUIET, group="front")
    whole = Configuration(streams=(entry,), data=tmp_path / "data", allow=(str(clip.parent), "rtsp://127.0.0.1:9"))
    with ScriptedModel() as model, Station(model, whole) as station:
        yield station


@pytest.fixture
def server(station: Station) -> Iterator[Server]:
    with Server(station.monitor, port=0, station=station, token=OWNER) as server:
        yield server


def opened(server: Server, open_page: OpenPage, **options: Any) -> Any:
    page = open_page(f"{server.url}#settings", **options)
    page.get_by_role("heading", name="Settings").wait_for()
    return page


def adding(page: Any) -> Any:
    """The form that adds a stream."""
    return page.get_by_role("region", name="Add a stream")


def tab_to(page: Any, target: Any) -> None:
    """Goes there by the Tab key alone."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if target.evaluate("node => node === document.activeElement"):
            return
    pytest.fail("the Tab key does not lead there")


def test_keys_alone_try_a_source_and_add_it(server: Server, station: Station, clip: Path, open_page: OpenPage) -> None:
    page = opened(server, open_page)
    page.get_by_role("heading", name="Add a stream").wait_for()
    tab_to(page, adding(page).get_by_label("Address"))
    page.keyboard.type(str(clip))
    tab_to(page, adding(page).get_by_label("Group"))
    page.keyboard.type("back")
    tab_to(page, adding(page).get_by_label("What to do with it"))
    page.keyboard.type("Show")
    tab_to(page, adding(page).get_by_label("Loop"))
    page.keyboard.press("Space")
    assert adding(page).get_by_role("button", name="Add", exact=True).is_disabled()
    tab_to(page, adding(page).get_by_role("button", name="Test the connection"))
    page.keyboard.press("Enter")
    page.get_by_text("320×180").first.wait_for()
    shows(page, "document.querySelector('.set-look .picture').width > 100")
    assert "h264" in page.locator(".set-form .set-words").first.inner_text()
    assert "gate" in {one.name for one in station.monitor.statuses()}
    tab_to(page, adding(page).get_by_role("button", name="Add", exact=True))
    page.keyboard.press("Enter")
    page.get_by_text("yard is added.").wait_for()
    page.locator('.set-item[data-name="yard"]').wait_for()
    entry = next(one for one in station.entries() if one.name == "yard")
    assert (entry.address, entry.group, entry.loop, entry.udp, entry.settings.tasks) == (
        str(clip),
        "back",
        True,
        False,
        (),
    )


def test_a_source_without_a_picture_says_why_and_may_be_added_all_the_same(
    server: Server, station: Station, open_page: OpenPage
) -> None:
    page = opened(server, open_page)
    adding(page).get_by_label("Address").fill("rtsp://me:secret@127.0.0.1:9/live")
    adding(page).get_by_role("button", name="Test the connection").click()
    page.get_by_text("No picture: nothing listens there").wait_for()
    assert not page.locator(".set-look").is_visible()
    adding(page).get_by_label("Name").fill("later")
    adding(page).get_by_role("button", name="Add it all the same").click()
    item = page.locator('.set-item[data-name="later"]')
    item.get_by_text("rtsp://***@127.0.0.1:9/live").wait_for()
    adding(page).get_by_label("Address").fill("/etc/passwd")
    assert adding(page).get_by_role("button", name="Add", exact=True).is_disabled()
    adding(page).get_by_role("button", name="Test the connection").click()
    page.get_by_text("it may not be added here").wait_for()
    assert adding(page).get_by_role("button", name="Add", exact=True).is_disabled()
    assert "secret" not in page.content()


def test_a_guessed_name_goes_with_its_address_and_a_taken_one_is_said(
    server: Server, station: Station, clip: Path, open_page: OpenPage
) -> None:
    page = opened(server, open_page)
    form = adding(page)
    form.get_by_text("Test the connection first").wait_for()
    form.get_by_label("Address").fill("rtsp://127.0.0.1:9/first")
    form.get_by_role("button", name="Test the connection").click()
    follow(page, lambda: form.get_by_label("Name").input_value() == "first")
    assert not form.get_by_text("Test the connection first").is_visible()
    form.get_by_label("Address").fill(str(clip))
    assert form.get_by_label("Name").input_value() == ""
    form.get_by_role("button", name="Test the connection").click()
    follow(page, lambda: form.get_by_label("Name").input_value() == "yard")
    form.get_by_label("Name").fill("gate")
    form.get_by_role("button", name="Add", exact=True).click()
    form.get_by_text("There is a stream called gate already. Choose another name.").wait_for()
    form.get_by_label("Name").fill("mine")
    form.get_by_label("Address").fill("rtsp://127.0.0.1:9/other")
    assert form.get_by_label("Name").input_value() == "mine", "what somebody wrote stays"


def test_a_stream_is_changed_paused_opened_again_and_removed(
    server: Server, station: Station, open_page: OpenPage
) -> None:
    page = opened(server, open_page)
    item = page.locator('.set-item[data-name="gate"]')
    item.get_by_text("group front").wait_for()
    item.get_by_role("button", name="Change gate").click()
    item.get_by_label("Group").fill("yard")
    item.get_by_label("What to do with it").select_option("traffic")
    item.get_by_label("Frames a second").fill("2.5")
    item.get_by_role("button", name="Save").click()
    item.get_by_text("group yard").wait_for()
    assert not item.get_by_role("button", name="Save").is_visible()
    [entry] = station.entries()
    assert (entry.group, entry.settings.fps) == ("yard", 2.5)
    assert [task.name for task in entry.settings.tasks] == ["caption", "detect"]
    item.get_by_role("button", name="Pause the analysis of gate").click()
    item.get_by_role("button", name="Resume the analysis of gate").wait_for()
    assert station.monitor.status("gate").settings.paused
    before = station.monitor.status("gate").revision
    item.get_by_role("button", name="Open again: gate").click()
    eventually(lambda: station.monitor.status("gate").revision > before)
    item.get_by_role("button", name="Remove gate").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert station.entries()
    item.get_by_role("button", name="Remove gate").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    item.wait_for(state="detached")
    page.get_by_text("No stream is being watched yet").wait_for()
    assert not station.entries()


def test_a_token_is_made_shown_once_copied_and_withdrawn(server: Server, station: Station, open_page: OpenPage) -> None:
    page = opened(server, open_page, permissions=["clipboard-read", "clipboard-write"])
    tokens = page.get_by_role("region", name="Tokens")
    tokens.get_by_text("Nobody has a token yet").wait_for()
    tokens.get_by_label("Name", exact=True).fill("anna")
    tokens.get_by_role("button", name="gate", exact=True).click()
    assert tokens.get_by_label("May see").input_value() == "gate"
    tokens.get_by_role("button", name="Make a token").click()
    secret = tokens.get_by_label("Token of anna", exact=True).input_value()
    tokens.get_by_role("button", name="Copy").click()
    tokens.get_by_text("Copied.").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    found = Tokens(station.tokens_path).find(secret)
    assert found is not None
    assert (found.name, found.role, found.streams) == ("anna", "viewer", ("gate",))
    tokens.get_by_text("sees gate").wait_for()
    page.get_by_role("link", name="Wall", exact=True).click()
    page.get_by_role("link", name="Settings", exact=True).click()
    assert secret not in page.content()
    assert page.get_by_label("Token of anna", exact=True).count() == 0
    tokens.get_by_label("Name", exact=True).fill("anna")
    tokens.get_by_label("Role").select_option("admin")
    assert not tokens.get_by_label("May see").is_visible()
    tokens.get_by_role("button", name="Withdraw the token of anna").click()
    page.get_by_role("dialog").get_by_role("button", name="Withdraw").click()
    tokens.get_by_text("is good for nothing now").wait_for()
    assert Tokens(station.tokens_path).find(secret) is None


def test_what_is_kept_is_shown_and_changed(server: Server, station: Station, open_page: OpenPage) -> None:
    station.history.put(result("a dog"), time.time() - 60)
    station.history.flush(10)
    page = opened(server, open_page)
    kept = page.get_by_role("region", name="What is kept")
    kept.get_by_text("free on the disk").wait_for()
    days = kept.get_by_label("Results and their pictures")
    assert days.input_value() == "30"
    days.fill("7")
    kept.get_by_role("button", name="Save").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep less").click()
    kept.get_by_text("Saved").wait_for()
    assert (station.keep.keep_days, station.history.options.keep_days) == (7, 7)
    kept.get_by_text("changed here").wait_for()
    days.fill("60")
    kept.get_by_role("button", name="Save").click()
    eventually(lambda: station.keep.keep_days == 60)


def test_the_theme_is_chosen_and_follows_the_button_on_top(server: Server, open_page: OpenPage) -> None:
    page = opened(server, open_page, color_scheme="light")
    theme = page.get_by_role("group", name="Theme")
    theme.get_by_label("Dark").check()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.get_by_role("button", name="Switch between light and dark").click()
    follow(page, lambda: theme.get_by_label("Light").is_checked())
    page.reload()
    follow(page, lambda: theme.get_by_label("Light").is_checked())
    theme.get_by_label("As the system").check()
    assert page.evaluate("document.documentElement.dataset.theme") is None
    page.reload()
    follow(page, lambda: theme.get_by_label("As the system").is_checked())


def test_a_viewer_is_told_what_it_may_not_do(server: Server, station: Station, open_page: OpenPage) -> None:
    token = Tokens(station.tokens_path).create("anna", "viewer", ["gate"])
    page = open_page(f"{server.address}?token={token}#settings")
    page.get_by_text("You are here as anna, a viewer: you see the streams gate").wait_for()
    page.get_by_text("You may not add, change, pause or remove streams").wait_for()
    page.locator('.set-item[data-name="gate"]').wait_for()
    for words in ("Add a stream", "Tokens", "What is kept"):
        assert page.get_by_role("heading", name=words).count() == 0
    assert page.locator(".settings").get_by_role("button").count() == 0
    page.get_by_role("group", name="Theme").get_by_label("Dark").check()


def test_where_nothing_may_be_added_that_is_said(tmp_path: Path, open_page: OpenPage) -> None:
    with (
        ScriptedModel() as model,
        Station(model, Configuration(data=tmp_path / "data")) as station,
        Server(station.monitor, port=0, station=station) as server,
    ):
        page = opened(server, open_page)
        page.get_by_text("allows no sources to be added here").wait_for()
        page.get_by_text("No stream is being watched yet").wait_for()


def test_a_token_on_a_server_that_looks_at_none_makes_nobody_two_people(station: Station, open_page: OpenPage) -> None:
    """A viewer's token, opened where this machine needs none: the WebSocket and HTTP have the same person."""
    token = Tokens(station.tokens_path).create("anna", "viewer", ["nothing"])
    with Server(station.monitor, port=0, station=station) as server:
        page = open_page(f"{server.url}?token={token}#settings")
        page.get_by_text("may change everything").wait_for()
        page.locator("#settings").get_by_text("anna").first.wait_for()
        assert page.locator("#settings").get_by_text("not for you").count() == 0
