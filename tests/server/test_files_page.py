"""Files on the page: handed in, watched, looked through by keys alone, taken away, removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from streamer.configuration import Configuration
from streamer.display import encode_jpeg
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.server import Server
from streamer.server.access import Tokens
from streamer.sources.synthetic import draw, read_counter
from streamer.station import Station
from tests.media import even, make_clip
from tests.server.looking import OpenPage, follow, shows

NASTY = "<b>bold</b>"


def say(request: Request) -> str:
    number = read_counter(request.images[-1])
    if "output only" not in request.prompt:
        return f"picture {number} {NASTY}"
    return json.dumps([{"box_2d": [200, 100, 500, 400], "label": "dog" if number % 2 else "car"}])


@pytest.fixture(scope="module")
def model() -> ScriptedModel:
    return ScriptedModel(say)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory, model: ScriptedModel) -> Iterator[Station]:
    configuration = Configuration(data=tmp_path_factory.mktemp("files") / "data", upload_gib=1 / 1024)
    with Station(model, configuration) as station:
        yield station


@pytest.fixture
def station(job: Station) -> Iterator[Station]:
    """Without any file before and after."""
    yield job
    for status in job.jobs.statuses():
        job.jobs.remove(status.record.id)


@pytest.fixture(scope="module")
def server(job: Station) -> Iterator[Server]:
    with Server(job.monitor, port=0, station=job) as server:
        yield server


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds, a number in each picture."""
    return make_clip(tmp_path_factory.mktemp("media") / f"yard {NASTY.replace('/', '')}.mp4", even(30), size=(640, 352))


def hand_in(page: Any, *files: str | Path) -> None:
    page.locator(".files-formats input").first.wait_for()
    page.locator("#files-choose").set_input_files([str(file) for file in files])


def finished(page: Any, count: int = 1) -> None:
    follow(page, lambda: page.locator('#files .file-card[data-state="done"]').count() == count, 20)


def says(words: Any, text: str) -> bool:
    return text in words.inner_text()


def test_a_video_is_handed_in_looked_through_and_taken_away(
    server: Server, station: Station, clip: Path, open_page: OpenPage
) -> None:
    page = open_page(f"{server.url}#files", accept_downloads=True)
    page.get_by_text("Nothing yet").wait_for()
    before = "document.querySelector('.files-formats').compareDocumentPosition(document.querySelector('.files-drop'))"
    shows(page, f"{before} & Node.DOCUMENT_POSITION_FOLLOWING")  # what is chosen counts when files are dropped
    page.locator("#files").get_by_label("Objects to find").fill("dog, car")
    page.get_by_label("Which pictures").select_option("2 fps")
    page.get_by_role("checkbox", name="Tables (CSV)").check()
    hand_in(page, clip)
    finished(page)
    [status] = station.jobs.statuses()
    order = status.record.order
    assert [(task.kind, task.labels) for task in order.tasks] == [("caption", ()), ("detect", ("dog", "car"))]
    assert (order.every, order.formats, status.frames) == ("2 fps", ("jsonl", "mp4", "csv"), 6)
    card = page.locator("#files .file-card")
    assert clip.name in card.inner_text()
    assert "6 frames" in card.inner_text()
    card.get_by_text("Downloads").click()
    with page.expect_download() as download:
        card.get_by_text("Tables (CSV)").first.click()
    assert "picture 25" in Path(download.value.path()).read_text()
    assert download.value.suggested_filename.endswith(".csv")
    card.get_by_role("button", name="Look through").click()
    dialog = page.locator("dialog.look")
    follow(page, lambda: f"picture 0 {NASTY}" in dialog.locator(".look-said").inner_text())
    assert dialog.locator(".look-entry").count() == 6
    painted = "(c => c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data[3] === 255)"
    shows(page, f"{painted}(document.querySelector('dialog.look canvas.picture'))")
    inked = "(c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v, i) => i % 4 === 3 && v > 0))"
    shows(page, f"{inked}(document.querySelector('dialog.look canvas.boxes'))")


def test_keys_the_slider_and_the_list_step_through_it(
    server: Server, station: Station, clip: Path, open_page: OpenPage
) -> None:
    page = open_page(f"{server.url}#files")
    page.get_by_label("Which pictures").select_option("2 fps")
    hand_in(page, clip)
    finished(page)
    page.get_by_role("button", name="Look through").focus()
    page.keyboard.press("Enter")
    said = page.locator("dialog.look .look-said")
    at = "document.querySelector('dialog.look .stage').dataset.boxesAt"
    follow(page, lambda: "picture 0 " in said.inner_text())
    for key, number in (("ArrowRight", 5), ("ArrowRight", 10), ("ArrowLeft", 5), ("End", 25), ("Home", 0)):
        page.keyboard.press(key)
        follow(page, partial(says, said, f"picture {number} "))
        shows(page, f"Number({at}) === {number / 10}")
    page.locator("dialog.look .look-entry").nth(3).click()
    follow(page, lambda: "picture 15 " in said.inner_text())
    assert page.locator('dialog.look .look-entry[aria-current="true"]').count() == 1
    page.keyboard.press("PageDown")
    follow(page, lambda: "6 of 6" in page.locator(".look-where").inner_text())
    page.keyboard.press("Escape")
    page.locator("dialog.look").wait_for(state="hidden")


def test_progress_is_shown_and_a_job_removed_by_pressing_twice(
    server: Server,
    station: Station,
    model: ScriptedModel,
    clip: Path,
    open_page: OpenPage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(model, "_seconds", 0.4)
    page = open_page(f"{server.url}#files")
    page.get_by_label("Which pictures").select_option("all")
    hand_in(page, clip, clip)
    follow(page, lambda: "Waits behind another file" in page.locator("#files").inner_text())
    follow(page, lambda: "frames/s" in page.locator("#files").inner_text())
    removing = page.locator('.file-card[data-state="running"] .file-buttons .quiet')
    removing.click()
    assert removing.inner_text() == "Press again to remove it"
    assert len(station.jobs.statuses()) == 2
    removing.click()
    follow(page, lambda: len(station.jobs.statuses()) == 1)
    follow(page, lambda: page.locator("#files .file-card").count() == 1)


def test_what_cannot_be_taken_is_said(server: Server, station: Station, tmp_path: Path, open_page: OpenPage) -> None:
    (tmp_path / "words.mp4").write_text("these are words")
    (tmp_path / "large.mp4").write_bytes(bytes(2**20 + 1))
    page = open_page(f"{server.url}#files")
    hand_in(page, tmp_path / "words.mp4", tmp_path / "large.mp4")
    page.get_by_text("no picture or video that can be read here").wait_for()
    page.get_by_text("this server takes 1.0 MB at most").wait_for()
    page.get_by_role("button", name="Dismiss words.mp4").click()
    page.get_by_role("button", name="Dismiss large.mp4").click()
    assert page.locator("#files .file-card").count() == 0
    for name in ("Captions", "Objects with labels"):
        page.get_by_role("checkbox", name=name).uncheck()
    page.locator("#files-choose").set_input_files(str(tmp_path / "words.mp4"))
    page.get_by_text("Tick at least one thing").wait_for()
    page.get_by_role("checkbox", name="A question").check()
    page.locator("#files-choose").set_input_files(str(tmp_path / "words.mp4"))
    page.get_by_text("Write the question first").wait_for()


def test_a_picture_dropped_with_a_question(
    server: Server, station: Station, tmp_path: Path, open_page: OpenPage
) -> None:
    page = open_page(f"{server.url}#files")
    page.locator(".files-formats input").first.wait_for()
    for name in ("Captions", "Objects with labels", "Video with boxes"):
        page.get_by_role("checkbox", name=name).uncheck()
    page.get_by_label("The question").fill("Which number is it?")
    jpeg = list(encode_jpeg(draw(7, (640, 352))))
    page.evaluate(
        """(bytes) => {
          const sent = new DataTransfer();
          sent.items.add(new File([new Uint8Array(bytes)], "seven.bin"));
          const area = document.querySelector(".files-drop");
          for (const kind of ["dragenter", "dragover", "drop"])
            area.dispatchEvent(new DragEvent(kind, { dataTransfer: sent, bubbles: true, cancelable: true }));
        }""",
        jpeg,
    )
    finished(page)
    [status] = station.jobs.statuses()
    assert [(task.kind, task.prompt) for task in status.record.order.tasks] == [("ask", "Which number is it?")]
    page.get_by_role("button", name="Look through").click()
    follow(page, lambda: "Which number is it? picture 7" in page.locator("dialog.look .look-said").inner_text())


def test_a_viewer_is_told_whom_to_ask_and_an_admin_by_token_does_all(
    station: Station, clip: Path, open_page: OpenPage
) -> None:
    tokens = Tokens(station.tokens_path)
    viewer, admin = tokens.create("vera", "viewer"), tokens.create("anna", "admin")
    with Server(station.monitor, port=0, token="owner's", station=station) as server:
        page = open_page(f"{server.address}?token={viewer}#files")
        page.get_by_text("Files are handed in by an admin").wait_for()
        assert not page.locator("#files-choose").is_visible()
        page = open_page(f"{server.address}?token={admin}#files", accept_downloads=True)
        page.get_by_role("checkbox", name="Video with boxes").uncheck()
        hand_in(page, clip)
        finished(page)
        page.get_by_text("Downloads").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Journal").click()
        assert Path(download.value.path()).read_text().startswith('{"type": "job"')
        assert station.jobs.statuses()[0].record.order.by == "anna"


@pytest.mark.slow
def test_a_file_waits_where_others_are_taken(server: Server, station: Station, clip: Path, open_page: OpenPage) -> None:
    page = open_page(f"{server.url}#files")
    page.get_by_role("checkbox", name="Video with boxes").uncheck()
    app: Any = server._uvicorn.config.app
    slots = app.state.api.uploads
    for _ in range(2):
        assert slots.take()
    hand_in(page, clip)
    page.get_by_text("takes other files first").wait_for()
    for _ in range(2):
        slots.release()
    finished(page)
