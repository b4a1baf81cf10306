"""The same live frames shown to several models, on the page."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamer.configuration import Configuration, StreamEntry
from streamer.errors import ModelError
from streamer.further import FurtherModel
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.server import Server
from streamer.settings import StreamSettings
from streamer.station import Station
from tests.server.looking import OpenPage, follow, shows

GATE = StreamEntry("gate", "synthetic:?live=1&size=320x180&fps=10", StreamSettings(tasks=(), display_fps=2))


def saying(colour: str) -> Any:
    def say(request: Request) -> str:
        if "output only" in request.prompt:
            return '```json\n[{"box_2d": [100, 200, 400, 500], "label": "car"}]\n```'
        return f"A {colour} car in the street."

    return say


class Large(ScriptedModel):
    """Slower, and says something else of itself."""

    def __init__(self) -> None:
        super().__init__(saying("blue"), seconds=0.05)
        self.caveat = "large answers late"


def broken() -> ScriptedModel:
    raise ModelError("broken", "its weights are damaged")


def with_models(folder: Path, *further: FurtherModel) -> tuple[Station, Server]:
    station = Station(
        ScriptedModel(saying("red"), name="small"), Configuration(streams=(GATE,), data=folder), further=further
    )
    return station, Server(station.monitor, port=0, station=station)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    models = (FurtherModel("large", Large), FurtherModel("broken", broken))
    station, server = with_models(tmp_path_factory.mktemp("models") / "data", *models)
    with station, server:
        yield server.url


def column(page: Any, place: int) -> Any:
    return page.locator(".compare-column").nth(place)


def opened(url: str, open_page: OpenPage, **options: Any) -> Any:
    page = open_page(f"{url}#compare", **options)
    page.get_by_role("button", name="3 models", exact=True).click()
    shows(page, "document.querySelectorAll('.compare-column').length === 3")
    page.get_by_role("button", name="Start").click()
    follow(page, lambda: "≠" in column(page, 1).locator(".compare-verdict").inner_text())
    return page


def test_models_side_by_side(url: str, open_page: OpenPage) -> None:
    page = opened(url, open_page)
    names = [column(page, place).get_by_label("Model", exact=True).locator("option:checked") for place in range(3)]
    assert [one.inner_text() for one in names] == ["small", "large", "broken"]
    second, third = column(page, 1), column(page, 2)
    assert second.locator("ins").all_inner_texts() == ["blue"]
    assert second.locator("del").all_inner_texts() == ["red"]
    assert second.locator(".compare-caveat").inner_text() == "large answers late"
    assert not column(page, 0).locator(".compare-caveat").is_visible(), "the page's head has it"
    assert "Not answered. its weights are damaged" in third.locator(".compare-said").inner_text()
    assert third.locator(".compare-verdict").inner_text() == "Cannot be held against A"
    follow(page, lambda: "The last 2 frames" in page.locator(".compare-totals").inner_text())
    heads = page.locator(".compare-totals tbody th").all_inner_texts()
    assert heads == ["A, 280 tokens, small", "B, 280 tokens, large", "C, 280 tokens, broken"]
    times = page.locator(".compare-totals tbody td:nth-of-type(1)").all_inner_texts()
    assert float(times[1].split()[0]) >= 50
    assert times[2] == "–"


def test_a_model_is_chosen_by_keyboard_and_remembered(url: str, open_page: OpenPage) -> None:
    page = open_page(f"{url}#compare")
    page.get_by_role("button", name="Two prompts", exact=True).click()
    page.get_by_role("button", name="Start").click()
    follow(page, lambda: "The same as A" in column(page, 1).locator(".compare-verdict").inner_text())
    assert "small" not in page.locator(".compare-totals").inner_text(), "one model needs no name there"
    second = column(page, 1).get_by_label("Model", exact=True)
    second.focus()
    page.keyboard.press("ArrowDown")
    follow(page, lambda: column(page, 1).locator("ins").all_inner_texts() == ["blue"])
    assert page.evaluate("JSON.parse(localStorage.getItem('streamer-compare')).map(way => way.model)") == ["", "large"]
    page.reload()
    page.get_by_role("button", name="Start").click()
    follow(page, lambda: column(page, 1).locator("ins").all_inner_texts() == ["blue"])
    assert column(page, 1).get_by_label("Model", exact=True).input_value() == "large"
    assert column(page, 0).get_by_label("Model", exact=True).input_value() == ""


def test_with_one_model_there_is_nothing_to_choose_and_what_is_gone_is_forgotten(
    tmp_path: Path, open_page: OpenPage
) -> None:
    station, server = with_models(tmp_path / "data")
    with station, server:
        page = open_page(f"{server.url}#live")
        ways = [{"kind": "caption", "budget": 70, "prompt": "", "labels": "", **more} for more in ({}, {"model": "x"})]
        page.evaluate("ways => localStorage.setItem('streamer-compare', ways)", json.dumps(ways))
        page.goto(f"{server.url}#compare")
        page.reload()
        page.get_by_role("button", name="Start").click()
        follow(page, lambda: "The same as A" in column(page, 1).locator(".compare-verdict").inner_text())
        assert not column(page, 1).get_by_label("Model", exact=True).is_visible()
        assert not page.get_by_role("button", name="models").is_visible()


def test_another_programs_models_are_learnt_when_the_connection_is_back(tmp_path: Path, open_page: OpenPage) -> None:
    station, server = with_models(tmp_path / "data")
    with station, server:
        page = open_page(f"{server.url}#compare")
        page.get_by_role("button", name="Start").click()
        follow(page, lambda: column(page, 1).locator(".compare-answer").count() == 1)
        page.get_by_role("button", name="Pause").click()  # no request may meet a server that has ended
        page.wait_for_timeout(500)
    page.get_by_text("The connection is lost").first.wait_for()
    configuration = Configuration(streams=(GATE,), data=tmp_path / "data")
    models = (FurtherModel("large", Large),)
    with (
        Station(ScriptedModel(saying("red"), name="small"), configuration, further=models) as again,
        Server(again.monitor, port=server.port, station=again),
    ):
        page.get_by_role("button", name="Two models", exact=True).click()
        follow(page, lambda: "blue" in column(page, 1).locator(".compare-said").inner_text())


def test_it_fits_the_screen(url: str, open_page: OpenPage) -> None:
    page = opened(url, open_page)
    for width, rows in ((375, 3), (1280, 1), (2560, 1)):
        page.set_viewport_size({"width": width, "height": 900})
        time.sleep(0.2)
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
        tops = page.evaluate(
            "[...document.querySelectorAll('.compare-column')].map(one => one.getBoundingClientRect().y)"
        )
        assert len(set(tops)) == rows
