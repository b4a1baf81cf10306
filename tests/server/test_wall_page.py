"""The wall: sixteen streams seen at once, arranged by keys and by the pointer, alerts, dead cameras, full screen."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamer.configuration import Configuration, StreamEntry
from streamer.models.scripted import ScriptedModel
from streamer.server import Server
from streamer.server.access import Tokens
from streamer.settings import StreamSettings
from streamer.station import Station
from streamer.tasks import Task
from tests.history.made import alert
from tests.server.looking import OpenPage, follow, shows
from tests.server.rig import eventually

SIZES = ("320x180", "320x180", "320x240", "180x320")
QUIET = StreamSettings(tasks=(), budget=70, display_fps=4)
NAMES = [f"cam {number:02}" for number in range(1, 17)]


def camera(name: str, size: str = "320x180", group: str = "", more: str = "live=1") -> StreamEntry:
    return StreamEntry(name, f"synthetic:?{more}&size={size}&fps=4", QUIET, group=group)


@pytest.fixture(scope="module")
def sixteen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Sixteen cameras of three aspects, two of them in a group."""
    entries = tuple(camera(name, SIZES[place % 4]) for place, name in enumerate(NAMES))
    data = tmp_path_factory.mktemp("wall") / "data"
    with ScriptedModel() as model, Station(model, Configuration(streams=entries, data=data)) as station:
        station.history.put_alert(alert(1, stream="cam 02", title="A person in the yard", ended_at=time.time()))
        with Server(station.monitor, port=0, station=station) as server:
            yield server


@pytest.fixture
def few(tmp_path: Path) -> Iterator[Callable[..., tuple[Station, Server]]]:
    """``few(*entries)`` -> their job and its server."""
    opened: list[Any] = []

    def run(*entries: StreamEntry, token: str | None = None) -> tuple[Station, Server]:
        model = ScriptedModel()
        station = Station(model, Configuration(streams=entries, data=tmp_path / "data"))
        server = Server(station.monitor, port=0, station=station, token=token).start()
        opened.extend((server, station, model))
        return station, server

    yield run
    for one in opened:
        one.close()


def tiles(page: Any, count: int) -> list[dict[str, Any]]:
    """Places of the tiles in the order of the page, once all of them show a picture."""
    follow(page, lambda: page.locator(".wall-tile").count() == count)
    shows(page, "[...document.querySelectorAll('.wall-tile .picture')].every(one => one.width > 20)")
    found: list[dict[str, Any]] = page.evaluate(
        """() => [...document.querySelectorAll('.wall-tile')].map(tile => {
             const { x, y, width, height } = tile.getBoundingClientRect();
             return { name: tile.dataset.name, x, y, width, height }; })"""
    )
    return found


def order(page: Any) -> list[str]:
    names: list[str] = page.evaluate("[...document.querySelectorAll('.wall-tile')].map(tile => tile.dataset.name)")
    return names


def lit(page: Any, name: str) -> bool:
    """Whether its canvas shows more than one colour."""
    script = """name => {
      const canvas = document.querySelector(`.wall-tile[data-name="${name}"] .picture`);
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return new Set(new Uint32Array(data.buffer)).size > 3; }"""
    return bool(page.evaluate(script, name))


def apart(places: list[dict[str, Any]]) -> bool:
    return all(
        one["x"] + one["width"] <= other["x"] + 0.5
        or other["x"] + other["width"] <= one["x"] + 0.5
        or one["y"] + one["height"] <= other["y"] + 0.5
        or other["y"] + other["height"] <= one["y"] + 0.5
        for place, one in enumerate(places)
        for other in places[:place]
    )


@pytest.mark.parametrize("size", [(1280, 800), (2560, 1440)])
def test_sixteen_are_seen_at_once_each_in_its_aspect(
    sixteen: Server, open_page: OpenPage, size: tuple[int, int]
) -> None:
    page = open_page(f"{sixteen.url}#wall", viewport={"width": size[0], "height": size[1]})
    follow(page, lambda: "16 of 16 live" in page.locator(".wall-count").inner_text())
    follow(page, lambda: all(lit(page, name) for name in NAMES))
    places = tiles(page, 16)
    assert apart(places)
    assert page.evaluate("document.scrollingElement.scrollHeight") <= size[1]
    assert all(one["x"] >= 0 and one["x"] + one["width"] <= size[0] for one in places)
    assert all(one["y"] + one["height"] <= size[1] for one in places)
    aspects = {name: SIZES[place % 4].split("x") for place, name in enumerate(NAMES)}
    for one in places:
        width, height = map(int, aspects[str(one["name"])])
        assert one["width"] / one["height"] == pytest.approx(width / height, rel=0.03)
    assert sum(one["width"] * one["height"] for one in places) > 0.45 * size[0] * size[1]


def test_a_narrow_window_has_one_column(sixteen: Server, open_page: OpenPage) -> None:
    page = open_page(f"{sixteen.url}#wall", viewport={"width": 375, "height": 800})
    places = tiles(page, 16)
    assert len({(one["x"], one["width"]) for one in places}) == 1
    assert places[0]["width"] > 330
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 375


def test_keys_alone_arrange_tiles_and_open_one(sixteen: Server, open_page: OpenPage) -> None:
    page = open_page(f"{sixteen.url}#wall")
    before = tiles(page, 16)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('.wall-tile')?.dataset.name") == "cam 01":
            break
    page.keyboard.press("Shift+ArrowRight")
    follow(page, lambda: order(page)[:3] == ["cam 02", "cam 01", "cam 03"])
    follow(page, lambda: "cam 01 is number 2 of 16" in page.locator(".wall-said").inner_text())
    page.keyboard.press("l")

    def size(name: str) -> float:
        return float(next(one["height"] for one in tiles(page, 16) if one["name"] == name))

    follow(page, lambda: size("cam 01") > 1.9 * size("cam 02"))
    assert apart(tiles(page, 16))
    follow(page, lambda: page.locator(".wall-said").inner_text() == "")  # it is no news any more
    page.reload()
    assert [one["name"] for one in tiles(page, 16)][:2] == ["cam 02", "cam 01"]
    follow(page, lambda: size("cam 01") > 1.9 * size("cam 02"))
    page.locator('.wall-tile[data-name="cam 01"] .wall-open').focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.closest('.wall-tile').dataset.name") == "cam 02"
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="cam 02").wait_for()
    page.get_by_role("link", name="Wall", exact=True).click()
    page.get_by_role("button", name="Arrange").click()
    page.get_by_role("button", name="As at first").click()
    follow(page, lambda: order(page) == NAMES)
    assert {one["height"] for one in tiles(page, 16)} == {before[0]["height"]} or size("cam 01") < before[0][
        "height"
    ] + 1


def test_a_tile_is_dragged_into_the_place_of_another(sixteen: Server, open_page: OpenPage) -> None:
    page = open_page(f"{sixteen.url}#wall")
    places = {str(one["name"]): one for one in tiles(page, 16)}

    def over(name: str) -> tuple[float, float]:
        return places[name]["x"] + places[name]["width"] / 2, places[name]["y"] + places[name]["height"] / 2

    page.mouse.move(*over("cam 05"))
    page.mouse.down()
    page.mouse.move(*over("cam 03"), steps=5)
    page.mouse.move(*over("cam 02"), steps=5)
    assert page.locator(".wall-tile.aim").get_attribute("data-name") == "cam 02"
    page.mouse.up()
    follow(page, lambda: order(page)[:4] == ["cam 01", "cam 05", "cam 02", "cam 03"])
    assert "#wall" in page.url, "what ends a drag is no press"
    page.reload()
    tiles(page, 16)
    assert order(page)[:3] == ["cam 01", "cam 05", "cam 02"]
    page.locator('.wall-tile[data-name="cam 05"] .wall-open').click()
    page.get_by_role("heading", name="cam 05").wait_for()


def test_nothing_is_written_to_the_page_while_nothing_changes(sixteen: Server, open_page: OpenPage) -> None:
    page = open_page(f"{sixteen.url}#wall")
    tiles(page, 16)
    page.wait_for_timeout(700)
    page.evaluate(
        """() => { window.written = []; window.drawn = 0;
          const pens = CanvasRenderingContext2D.prototype, draw = pens.drawImage;
          pens.drawImage = function (...given) { window.drawn += 1; return draw.apply(this, given); };
          const words = one => `${one.type} ${one.attributeName} ${one.target.className}`;
          const seen = new MutationObserver(all => all.forEach(one => window.written.push(words(one))));
          const all = { attributes: true, childList: true, characterData: true, subtree: true };
          seen.observe(document.querySelector('.wall-tiles'), all); }"""
    )
    follow(page, lambda: page.evaluate("window.drawn") > 60)
    assert page.evaluate("window.written") == []


def test_alerts_that_nobody_has_handled_stand_on_top(sixteen: Server, open_page: OpenPage) -> None:
    page = open_page(f"{sixteen.url}#wall")
    line = page.locator(".wall-alerts .alerts-line")
    line.get_by_text("A person in the yard").wait_for()
    page.locator(".wall-alerts .alerts-open").click()
    card = page.locator(".wall-alerts .alert")
    card.get_by_text("A person in the yard").wait_for()
    assert not page.locator("#alerts").is_visible()
    places = tiles(page, 16)
    assert max(one["y"] + one["height"] for one in places) <= 800
    card.get_by_role("button", name="cam 02").click()
    page.get_by_role("heading", name="cam 02").wait_for()
    assert page.locator("#alerts").is_visible()
    page.get_by_role("link", name="Wall", exact=True).click()
    card.get_by_role("button", name="Acknowledge", exact=True).click()
    card.wait_for(state="detached")
    assert not page.locator(".wall-alerts").is_visible()


def test_a_dead_camera_shows_its_last_picture_and_what_is_tried(few: Any, open_page: OpenPage) -> None:
    dies = replace(camera("gate", more="live=1&fault=gone@1.5"), settings=replace(QUIET, tasks=(Task.caption(),)))
    station, server = few(dies, camera("file", more="seconds=1"))
    page = open_page(f"{server.url}#wall")
    gate = page.locator('.wall-tile[data-name="gate"]')
    gate.get_by_text("No picture for").wait_for()
    gate.get_by_text("Next try in").first.wait_for()
    assert station.monitor.status("gate").reason in gate.locator(".wall-note").inner_text()
    assert ", since " in gate.locator(".wall-note-title").inner_text()
    follow(page, lambda: lit(page, "gate"))
    ended = page.locator('.wall-tile[data-name="file"]')
    ended.get_by_text("The video has ended").wait_for()
    ended.get_by_role("button", name="Play again").click()
    eventually(lambda: station.monitor.status("file").state != "ended")
    follow(page, lambda: "0 of 2 live" in page.locator(".wall-count").inner_text())


def test_a_viewer_sees_the_wall_and_restarts_nothing(few: Any, open_page: OpenPage) -> None:
    station, server = few(camera("hall"), camera("file", more="seconds=1"), token="owner's")
    token = Tokens(station.tokens_path).create("anna", "viewer", ["file"])
    page = open_page(f"{server.address}?token={token}#wall")
    page.locator(".wall-note").get_by_text("The video has ended").wait_for()
    assert order(page) == ["file"]
    assert not page.locator(".wall-restart").is_visible()


def test_groups_stand_together_and_one_can_be_chosen(few: Any, open_page: OpenPage) -> None:
    station, server = few(camera("a", group="yard"), camera("b"), camera("c", group="hall"), camera("d", group="yard"))
    page = open_page(f"{server.url}#wall")
    tiles(page, 4)
    assert page.locator(".wall-group").all_inner_texts() == ["hall", "yard", "Without a group"]
    assert order(page) == ["c", "a", "d", "b"]
    places = {str(one["name"]): one for one in tiles(page, 4)}
    for name, press in (("c", page.mouse.down), ("a", page.mouse.up)):
        middle = (places[name]["x"] + places[name]["width"] / 2, places[name]["y"] + places[name]["height"] / 2)
        page.mouse.move(*middle, steps=5)
        press()
    follow(page, lambda: "c stays in its place" in page.locator(".wall-said").inner_text())
    assert "a is in yard" in page.locator(".wall-said").inner_text()
    assert order(page) == ["c", "a", "d", "b"]
    page.get_by_label("Group").select_option("yard")
    follow(page, lambda: order(page) == ["a", "d"])
    follow(page, lambda: page.locator(".wall-count").inner_text() == "2 of 2 live")
    assert page.locator(".wall-group").count() == 0
    page.reload()
    tiles(page, 2)
    page.get_by_label("Group").select_option("")
    station.change("b", lambda now: now, group="hall")
    follow(page, lambda: order(page) == ["c", "b", "a", "d"] or order(page) == ["b", "c", "a", "d"])
    station.remove("a")
    follow(page, lambda: "a" not in order(page))


def test_the_last_stream_leaves_words_and_a_lost_connection_too(few: Any, open_page: OpenPage) -> None:
    station, server = few(camera("a"))
    page = open_page(f"{server.url}#wall")
    tiles(page, 1)
    station.remove("a")
    page.locator("#wall").get_by_text("No stream is being watched").wait_for()
    assert page.locator(".wall-tile").count() == 0
    server.close()
    page.get_by_role("alert").get_by_text("connection to the server is lost").wait_for()


def test_full_screen_of_one_tile_and_of_the_wall(sixteen: Server, open_page: OpenPage) -> None:
    page = open_page(f"{sixteen.url}#wall")
    tiles(page, 16)
    page.locator('.wall-tile[data-name="cam 03"] .wall-open').focus()
    page.keyboard.press("f")
    shows(page, "document.fullscreenElement?.dataset.name === 'cam 03'")
    assert "scripted" in page.evaluate("getComputedStyle(document.fullscreenElement, '::after').content")
    page.keyboard.press("f")
    shows(page, "document.fullscreenElement === null")
    page.get_by_role("button", name="Full screen", exact=True).click()
    shows(page, "document.fullscreenElement?.id === 'wall'")
    page.locator(".wall-caveat").wait_for()
    page.get_by_role("button", name="Leave full screen").click()
    shows(page, "document.fullscreenElement === null")
    page.evaluate("() => { Element.prototype.requestFullscreen = () => Promise.reject(new TypeError('no')); }")
    page.get_by_role("button", name="Full screen", exact=True).click()
    page.get_by_text("does not allow the full screen").wait_for()


tile = st.builds(lambda aspect, large: {"aspect": aspect, "large": large}, st.floats(0.4, 3.0), st.booleans())
sections = st.lists(st.lists(tile, min_size=1, max_size=12), min_size=1, max_size=3)


def test_whatever_the_aspects_no_tile_covers_another(sixteen: Server, open_page: OpenPage) -> None:
    page = open_page(sixteen.url)

    @given(found=sections, width=st.integers(320, 2600), height=st.integers(200, 1400))
    @settings(max_examples=40, deadline=None)
    def packed(found: list[list[dict[str, Any]]], width: int, height: int) -> None:
        named = [
            {
                "title": f"group {place}",
                "tiles": [{**one, "name": f"{place} {number}"} for number, one in enumerate(some)],
            }
            for place, some in enumerate(found)
        ]
        script = f"""import('/static/wallpack.js').then(({{ pack }}) => {{
          const {{ places, height }} = pack({json.dumps(named)}, {width}, {height});
          return {{ places: [...places].map(([name, place]) => ({{ name, ...place }})), height }} }})"""
        laid = page.evaluate(script)
        assert len(laid["places"]) == sum(map(len, found))
        assert apart(laid["places"])
        assert all(one["x"] >= 0 and one["x"] + one["width"] <= width for one in laid["places"])
        assert all(one["y"] + one["height"] <= laid["height"] + 1 for one in laid["places"])
        least = min(one["height"] for one in laid["places"])
        assert laid["height"] <= height or width < 560 or least <= 2 * 88 + 8, (
            "as large as fits, or a large one at its least"
        )

    packed()
