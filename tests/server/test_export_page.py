"""A dataset taken away from the page: of what is searched, of what was corrected; by keys alone, in words where not."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamer.configuration import Configuration, StreamEntry
from streamer.display import encode_jpeg
from streamer.geometry import Box
from streamer.history import Correction
from streamer.history.excerpt import POSSIBLE
from streamer.models.scripted import ScriptedModel
from streamer.results import Detection
from streamer.server import Server
from streamer.server.access import Tokens
from streamer.settings import StreamSettings
from streamer.sources.synthetic import draw
from streamer.station import Station
from tests.history.made import result
from tests.server.looking import OpenPage, follow

NAMES = ("gate", "yard <b>north</b>")


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """Ten pictures of either stream an hour ago, and the newest of the gate corrected; two without a picture."""
    settings = StreamSettings(tasks=(), budget=70)
    streams = tuple(StreamEntry(name, "synthetic:?live=1&size=320x180", settings) for name in NAMES)
    data = tmp_path_factory.mktemp("export") / "data"
    with ScriptedModel() as model, Station(model, Configuration(streams=streams, data=data)) as station:
        history, now = station.history, time.time()
        for number in range(10):
            for stream in NAMES:
                seen = result(f"picture {number}", "dog", stream=stream)
                history.put(seen, now - 3600 + number, encode_jpeg(draw(number, (640, 352))))
        for number in range(2):
            history.put(result("nothing to see", stream="gate"), now - 3590 + number)
        history.flush(10)
        [newest] = history.search("picture 9", streams=("gate",))
        history.correct(newest.id, Correction((Detection("wolf", Box(0, 0, 0.5, 0.5)),), "A wolf", "anna", now))
        yield station


@pytest.fixture(scope="module")
def server(station: Station) -> Iterator[Server]:
    with Server(station.monitor, port=0, station=station) as server:
        yield server


@pytest.fixture
def history_of(server: Server, open_page: OpenPage) -> Callable[..., Any]:
    """``history_of(words, **options)``: the page with these words searched."""

    def opened(words: str, **options: Any) -> Any:
        page = open_page(f"{server.url}#history", accept_downloads=True, **options)
        page.locator("#past .tile").first.wait_for()
        page.locator("#search").fill(words)
        page.keyboard.press("Enter")
        return page

    return opened


def export(page: Any) -> Any:
    page.get_by_role("button", name="Export…").click()
    return page.locator("dialog.export")


def downloaded(page: Any, press: Callable[[], None]) -> tuple[str, dict[str, bytes]]:
    """What the file is called, and what is in it by name."""
    with page.expect_download() as download:
        press()
    with zipfile.ZipFile(Path(download.value.path())) as archive:
        return download.value.suggested_filename, {name: archive.read(name) for name in archive.namelist()}


def labels(journal: bytes) -> list[str]:
    rows = [json.loads(line) for line in journal.splitlines()]
    return [row["detections"][0]["label"] for row in rows if row["type"] == "frame"]


def says(page: Any, words: str) -> None:
    follow(page, lambda: words in page.locator(".export-words").inner_text())


def test_what_is_searched_is_taken_away_by_keys_alone(history_of: Callable[..., Any]) -> None:
    page = history_of("stream:gate since:2h picture")
    for _ in range(2):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Export…"
    page.keyboard.press("Enter")
    dialog = page.locator("dialog.export")
    dialog.wait_for()
    assert dialog.get_by_label("Stream", exact=True).input_value() == "gate"
    assert "From " in dialog.inner_text()
    assert "Words, labels and rules of the search do not count here" in dialog.inner_text()
    dialog.get_by_role("checkbox", name="YOLO").focus()
    page.keyboard.press("Space")
    dialog.get_by_role("button", name="Export").focus()
    name, files = downloaded(page, lambda: page.keyboard.press("Enter"))
    assert name == "gate.zip"
    assert {one.partition("/")[0] for one in files} == {
        "gate.jsonl", "gate.pictures", "gate.frames", "gate.coco.json", "gate.yolo",
    }  # fmt: skip
    assert labels(files["gate.jsonl"]) == ["dog"] * 9 + ["wolf"], "as corrected, unless it is asked otherwise"
    says(page, "Saved as gate.zip: 10 pictures")
    says(page, "2 results have no picture or no answer, and are left out")
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")


def test_every_format_can_be_ticked(history_of: Callable[..., Any]) -> None:
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    page = history_of("stream:gate since:2h")
    dialog = export(page)
    boxes = dialog.get_by_role("checkbox").all()
    assert len(boxes) == len(POSSIBLE)
    for box in boxes:
        box.check() if box.is_enabled() else None
    dialog.get_by_label("Answers").select_option("The model's own")
    _, files = downloaded(page, dialog.get_by_role("button", name="Export").click)
    for ending in ("srt", "boxes.vtt", "csv", "parquet", "coco.json", "label-studio.json", "cvat-images.xml"):
        assert f"gate.{ending}" in files
    assert labels(files["gate.jsonl"]) == ["dog"] * 10


def test_a_stream_has_to_be_chosen_and_may_be_called_anything(history_of: Callable[..., Any]) -> None:
    page = history_of("")
    dialog = export(page)
    assert "All that is kept" in dialog.inner_text()
    dialog.get_by_role("button", name="Export").click()
    says(page, "No stream is chosen")
    assert page.evaluate("document.activeElement.id") == "export-stream"
    dialog.get_by_label("Stream", exact=True).select_option(NAMES[1])
    name, files = downloaded(page, dialog.get_by_role("button", name="Export").click)
    assert name == "yard -b-north-b.zip"
    assert labels(files["yard -b-north-b.jsonl"]) == ["dog"] * 10


def test_what_cannot_be_had_is_said(
    history_of: Callable[..., Any], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = history_of("stream:gate until:2h")
    dialog = export(page)
    go = dialog.get_by_role("button", name="Export")
    go.click()
    says(page, "No picture of that stream is kept from that time")
    dialog.get_by_label("Answers").select_option("Only corrected pictures")
    go.click()
    says(page, "Nobody has corrected a picture of that stream in that time")
    dialog.get_by_role("button", name="Close").click()
    page.locator("#search").fill("stream:gate since:soon")
    page.get_by_role("button", name="Export…").click()
    page.get_by_text("since:soon is no time").wait_for()
    page.locator("#search").fill("stream:gate")
    app: Any = server._uvicorn.config.app
    api = app.state.api
    places = [api.excerpts.take() for _ in range(api.limits.excerpts)]
    assert all(places)
    export(page)
    go.click()
    says(page, "The server makes other datasets now")
    for _ in places:
        api.excerpts.release()
    monkeypatch.setattr(api, "limits", type(api.limits)(excerpt_results=3))
    go.click()
    says(page, "That is too much at once; expected a shorter time: at most 3 results fit in one excerpt")


def test_one_under_way_is_said_and_stopped(history_of: Callable[..., Any]) -> None:
    page = history_of("stream:gate")
    dialog = export(page)
    page.route("**/history/excerpt?*", lambda route: None)  # a server that takes its time
    dialog.get_by_role("button", name="Export").click()
    says(page, "It is made now")
    assert dialog.get_by_role("button", name="Export").is_disabled()
    page.keyboard.press("Enter")  # Stop has the keyboard
    says(page, "Stopped.")
    assert dialog.get_by_role("button", name="Export").is_enabled()
    page.unroute("**/history/excerpt?*")
    assert downloaded(page, dialog.get_by_role("button", name="Export").click)[0] == "gate.zip"


def test_what_was_corrected_is_taken_away_from_where_it_is_corrected(history_of: Callable[..., Any]) -> None:
    page = history_of('stream:gate "picture 5"')
    follow(page, lambda: page.locator("#past .tile").count() == 1)
    page.locator("#past .tile").first.click()
    page.locator("dialog[open]").get_by_role("button", name="Correct").click()
    page.keyboard.press("n")
    page.get_by_role("button", name="Export corrections").click()
    dialog = page.locator("dialog.export")
    assert "What is not saved yet is not in it" in dialog.inner_text()
    _, files = downloaded(page, dialog.get_by_role("button", name="Export").click)
    assert labels(files["gate.jsonl"]) == ["wolf"]
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert page.locator("dialog.correct").is_visible(), "what is drawn there is not lost"


def test_a_viewer_takes_away_what_he_sees(station: Station, open_page: OpenPage) -> None:
    token = Tokens(station.tokens_path).create("vera", "viewer", ["gate"])
    with Server(station.monitor, port=0, token="owner's", station=station) as server:
        page = open_page(f"{server.address}?token={token}#history", accept_downloads=True)
        page.locator("#past .tile").first.wait_for()
        dialog = export(page)
        assert dialog.get_by_label("Stream", exact=True).input_value() == "gate", "the only one"
        name, files = downloaded(page, dialog.get_by_role("button", name="Export").click)
        assert (name, len(labels(files["gate.jsonl"]))) == ("gate.zip", 10)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_it_fits_the_screen(history_of: Callable[..., Any], width: int, scheme: str, tmp_path: Path) -> None:
    page = history_of("stream:gate since:2h dog", viewport={"width": width, "height": 800}, color_scheme=scheme)
    export(page)
    wide = "document.scrollingElement.scrollWidth <= innerWidth + 1"
    inside = "(d => d.scrollWidth <= d.clientWidth && d.getBoundingClientRect().right <= innerWidth)"
    assert page.evaluate(f"{wide} && {inside}(document.querySelector('dialog.export'))")
