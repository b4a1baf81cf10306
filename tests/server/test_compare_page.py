"""The same live frames asked in several ways, on the page: side by side, differences marked, totals, pause and step."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamer.configuration import Configuration, StreamEntry
from streamer.errors import ModelError
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.server import Server
from streamer.settings import StreamSettings
from streamer.station import Station
from tests.server.looking import OpenPage, follow, shows

QUIET = StreamSettings(tasks=(), budget=70, display_fps=2)
NASTY = "<i>white</i>"
CAR, DOG = (100, 200, 400, 500), (600, 500, 900, 950)


def say(request: Request) -> str:
    """A dog and another word where the budget is 280 and more; one more sees no dog but another car."""
    fine = request.budget >= 280
    if "output only" in request.prompt:
        found = [("car", CAR), *([("dog", DOG)] if fine else [("car", (700, 100, 900, 300))])]
        rows = [{"box_2d": [y1, x1, y2, x2], "label": label} for label, (x1, y1, x2, y2) in found]
        return "```json\n" + json.dumps(rows) + "\n```"
    return f"A red car in the {'sunny' if fine else NASTY} street."


class Rig:
    """The job, its server, and what its model was asked."""

    def __init__(self, data: Path) -> None:
        self.asked: Counter[int] = Counter()
        self.failing = False
        self.pause = 0.0
        self.model = ScriptedModel(self._say)
        entries = tuple(StreamEntry(name, "synthetic:?live=1&size=320x180&fps=10", QUIET) for name in ("gate", "yard"))
        self.station = Station(self.model, Configuration(streams=entries, data=data))
        self.server = Server(self.station.monitor, port=0, station=self.station).start()

    def _say(self, request: Request) -> str:
        self.asked[request.budget] += 1
        time.sleep(self.pause)
        if self.failing:
            raise ModelError("scripted", "it is out of order")
        return say(request)

    def close(self) -> None:
        for one in (self.server, self.station, self.model):
            one.close()


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    rig = Rig(tmp_path_factory.mktemp("compare") / "data")
    yield rig
    rig.close()


def opened(rig: Rig, open_page: OpenPage, **options: Any) -> Any:
    page = open_page(f"{rig.server.url}#compare", **options)
    page.get_by_role("button", name="70 beside 280", exact=True).click()
    shows(page, "document.querySelectorAll('.compare-column').length === 2")
    page.get_by_role("button", name="Start").click()
    follow(page, lambda: "≠" in column(page, 1).locator(".compare-verdict").inner_text())
    return page


def column(page: Any, place: int) -> Any:
    return page.locator(".compare-column").nth(place)


def settled(page: Any, rig: Rig) -> int:
    """How often was asked, once what was under way is over."""
    asked = -1
    while asked != rig.asked.total():
        asked = rig.asked.total()
        page.wait_for_timeout(700)
    return asked


def figure(page: Any, place: int, name: str) -> str:
    return str(column(page, place).locator(f"[data-figure={name}]").inner_text())


def inked(page: Any, place: int) -> bool:
    script = """place => { const c = document.querySelectorAll('.compare-column canvas.marks')[place];
      return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v, i) => i % 4 === 3 && v > 0); }"""
    return bool(page.evaluate(script, place))


def test_two_budgets_side_by_side_with_their_differences(rig: Rig, open_page: OpenPage) -> None:
    page = opened(rig, open_page)
    first, second = column(page, 0), column(page, 1)
    assert f"A red car in the {NASTY} street." in first.locator(".compare-answer").inner_text()
    assert second.locator("ins").all_inner_texts() == ["sunny"]
    assert second.locator("del").all_inner_texts() == [NASTY]
    assert first.locator("ins, del").count() == 0
    for tag, line in (("ins", "underline"), ("del", "line-through")):
        style = second.locator(tag).evaluate("node => getComputedStyle(node).textDecorationLine")
        assert style == line, "not by colour alone"
    assert "86 % of the words as in A, 1 box more, 1 box missing" in second.locator(".compare-verdict").inner_text()
    assert second.locator(".compare-boxes").all_inner_texts() == ["+ only here: dog", "− only in A: car"]
    assert inked(page, 1)
    assert not inked(page, 0)
    assert int(figure(page, 0, "in")) < int(figure(page, 1, "in"))
    assert int(figure(page, 1, "out")) > 0
    assert figure(page, 1, "time").endswith(" ms")
    follow(page, lambda: "The last 3 frames" in page.locator(".compare-totals").inner_text())
    cells = page.locator(".compare-totals tbody tr").nth(1).locator("td").all_inner_texts()
    assert cells[3].startswith("0 of ")
    assert cells[4:] == ["86 %", "50 %"]


def test_nothing_is_asked_before_start_and_the_live_picture_is_there(rig: Rig, open_page: OpenPage) -> None:
    stood = settled(open_page(f"{rig.server.url}#rules"), rig)
    page = open_page(f"{rig.server.url}#compare")
    column(page, 0).get_by_text("Nothing is asked yet").wait_for()
    pixels = """() => { const c = document.querySelector('.compare-column canvas.picture');
      return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v, i) => i % 4 === 3 && v > 0); }"""
    follow(page, lambda: page.evaluate(pixels))
    page.wait_for_timeout(900)
    assert rig.asked.total() == stood
    rig.pause = 1.5
    page.get_by_role("button", name="One frame").click()
    column(page, 0).get_by_text("The next answer is awaited for 1 s").wait_for()
    rig.pause = 0.0
    follow(page, lambda: column(page, 0).locator(".compare-answer").count() == 1)


@pytest.mark.slow
def test_pause_step_and_leaving(rig: Rig, open_page: OpenPage) -> None:
    page = opened(rig, open_page)
    page.get_by_role("button", name="Pause").click()
    stood = settled(page, rig)
    page.wait_for_timeout(900)
    assert rig.asked.total() == stood
    where = page.locator(".compare-where").inner_text()
    page.get_by_role("button", name="One frame").click()
    follow(page, lambda: page.locator(".compare-where").inner_text() not in ("", where))
    page.wait_for_timeout(700)
    assert rig.asked.total() == stood + 4
    page.get_by_role("button", name="Go on live").click()
    follow(page, lambda: rig.asked.total() > stood + 8)
    page.get_by_role("link", name="Wall", exact=True).click()
    page.wait_for_timeout(300)
    left = rig.asked.total()
    page.wait_for_timeout(900)
    assert rig.asked.total() == left, "nobody looks"


def test_the_fields_say_what_is_asked_and_are_remembered(rig: Rig, open_page: OpenPage) -> None:
    page = opened(rig, open_page)
    second = column(page, 1)
    second.get_by_label("Ask", exact=True).select_option("Question")
    second.get_by_text("Type the question first.").wait_for()
    page.wait_for_timeout(600)
    stood = rig.asked.total()
    page.wait_for_timeout(800)
    assert rig.asked.total() == stood
    assert not second.get_by_label("Objects").is_visible()
    second.get_by_label("Question", exact=True).fill("How many?")
    page.keyboard.press("Tab")
    follow(page, lambda: "Answer" in second.locator(".compare-said").inner_text())
    page.locator("#compare-stream").select_option("yard")
    page.get_by_role("button", name="One more way").click()
    page.get_by_role("button", name="One more way").click()
    assert page.get_by_role("button", name="One more way").count() == 0
    budgets = [column(page, place).get_by_label("Budget").input_value() for place in range(4)]
    assert budgets == ["70", "280", "560", "1120"], "each one more differs"
    tops = "[...document.querySelectorAll('.compare-column')].map(one => one.getBoundingClientRect().y)"
    assert len(set(page.evaluate(tops))) == 2, "four stand 2 + 2"
    page.get_by_role("button", name="Take away B").click()
    shows(page, "document.querySelectorAll('.compare-column').length === 3")
    follow(page, lambda: "of" in page.locator(".compare-totals").inner_text())
    page.reload()
    follow(page, lambda: page.locator(".compare-column").count() == 3)
    assert column(page, 1).get_by_label("Question", exact=True).input_value() == "How many?"
    page.get_by_role("button", name="Start").click()
    follow(page, lambda: column(page, 2).locator(".compare-answer").count() == 1)


@pytest.mark.slow
def test_what_goes_wrong_is_said_and_gets_better(rig: Rig, open_page: OpenPage) -> None:
    page = opened(rig, open_page)
    slots = rig.server._uvicorn.config.app.state.api.comparisons  # type: ignore[union-attr]
    follow(page, lambda: slots.take() and slots.take())
    page.get_by_text("enough comparisons are being made").wait_for()
    slots.release()
    slots.release()
    follow(page, lambda: "No comparison" not in page.locator("#compare").inner_text())
    rig.failing = True
    column(page, 0).get_by_text("Not answered. ").wait_for()
    assert column(page, 1).locator(".compare-verdict").inner_text() == "Cannot be held against A"
    rig.failing = False
    follow(page, lambda: "≠" in column(page, 1).locator(".compare-verdict").inner_text())
    page.evaluate("() => { WebSocket.prototype.send = function () { this.close(); }; }")
    page.get_by_text("The connection is lost. The comparison goes on").wait_for()
    stood = settled(page, rig)
    page.wait_for_timeout(900)
    assert rig.asked.total() == stood


def test_without_streams_it_says_what_to_do(tmp_path: Path, open_page: OpenPage) -> None:
    with (
        ScriptedModel() as model,
        Station(model, Configuration(data=tmp_path / "data")) as station,
        Server(station.monitor, port=0, station=station) as server,
    ):
        page = open_page(f"{server.url}#compare")
        page.get_by_text("there is nothing to compare").wait_for()
        assert not page.get_by_role("button", name="One frame").is_visible()


def test_it_fits_the_screen(rig: Rig, open_page: OpenPage) -> None:
    page = opened(rig, open_page)
    page.get_by_role("button", name="70 beside 280 beside 1120").click()
    follow(page, lambda: column(page, 2).locator(".compare-answer").count() == 1)
    tops = "[...document.querySelectorAll('.compare-column')].map(one => one.getBoundingClientRect().y)"
    for width, rows in ((375, 3), (1280, 1), (2560, 1)):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width
        assert len(set(page.evaluate(tops))) == rows


CASES: list[tuple[str, str, list[list[str]]]] = [
    ("", "", []),
    ("A red car.", "a red, car", [["same", "a red, car"]]),
    ("one two three", "one four three", [["same", "one"], ["less", "two"], ["more", "four"], ["same", "three"]]),
    ("", "new words", [["more", "new words"]]),
    ("gone", "", [["less", "gone"]]),
    ("a b c", "c a b", [["more", "c"], ["same", "a b"], ["less", "c"]]),
    ("-- ?", "-- !", [["same", "--"], ["less", "?"], ["more", "!"]]),
]


def test_words_are_compared_one_by_one(rig: Rig, open_page: OpenPage) -> None:
    page = open_page(f"{rig.server.url}#rules")
    script = """async (cases) => { const { diffWords } = await import('/static/compare-diff.js');
      return cases.map(([first, other]) => diffWords(first, other).map(({ kind, words }) => [kind, words])); }"""
    assert page.evaluate(script, [case[:2] for case in CASES]) == [parts for _, _, parts in CASES]


def test_long_answers_and_crowded_pictures_are_compared_soon(rig: Rig, open_page: OpenPage) -> None:
    page = open_page(f"{rig.server.url}#rules")
    script = """async () => {
      const { diffWords, likeness, pairBoxes } = await import('/static/compare-diff.js');
      const words = [...Array(3000).keys()].map(n => `word${n}`).join(' ');
      const box = (n) => ({ label: n % 2 ? 'car' : 'Car', x1: n / 100, y1: 0.1, x2: n / 100 + 0.009, y2: 0.4 });
      const boxes = [...Array(90).keys()].map(box);
      const begun = performance.now();
      const found = pairBoxes(boxes, boxes.slice(5));
      return { long: likeness(diffWords(words, words + ' more')), some: likeness(diffWords('a b', 'a c')),
               pairs: found.pairs.length, less: found.less.length, more: found.more.length,
               soon: performance.now() - begun < 1000 }; }"""
    values = page.evaluate(script)
    assert values == {"long": 0, "some": 0.5, "pairs": 85, "less": 5, "more": 0, "soon": True}


def test_words_are_not_held_against_boxes(rig: Rig, open_page: OpenPage) -> None:
    page = opened(rig, open_page)
    page.get_by_role("button", name="Counted or found").click()
    follow(page, lambda: column(page, 1).locator(".compare-verdict").inner_text() == "Cannot be held against A")
    assert "red car" in column(page, 0).locator(".compare-answer").inner_text()
    assert page.locator("#compare ins, #compare del").filter(visible=True).count() <= 2, "the signs' own explanation"
