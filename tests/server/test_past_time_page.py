"""The history on the page over time: strips to jump by, and clips with their boxes in step."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from streamer.alerts import Alert
from streamer.configuration import Configuration
from streamer.geometry import Box
from streamer.models.scripted import ScriptedModel
from streamer.results import Detection, FrameResult
from streamer.server import Server
from streamer.station import Station
from tests.media import even, make_clip
from tests.server.looking import OpenPage, follow, shows

FIRST = float(round(time.time()) - 3600)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Sixty seconds of two streams; an alert with a clip, which begins at the twentieth second."""
    folder = tmp_path_factory.mktemp("past")
    with ScriptedModel() as model, Station(model, Configuration(data=folder / "data")) as station:
        history = station.history
        for second in range(60):
            x = second / 100
            found = (Detection("dog", Box(x, 0.2, x + 0.3, 0.6)),) if second >= 20 else ()
            seen = FrameResult("gate", second, float(second), (320, 192), caption=f"second {second}", detections=found)
            history.put(seen, FIRST + second)
            if second % 10 == 0:
                history.put(FrameResult("yard", second, float(second), (320, 192), caption="empty"), FIRST + second)
        history.flush(10)
        name, path = history.new_clip_path("gate", FIRST + 22)
        make_clip(path, even(100), size=(320, 192), b_frames=0)

        os.utime(path, (FIRST + 20, FIRST + 20))
        alert = Alert(
            "1" * 32,
            "dog",
            "gate",
            "warning",
            "end",
            1,
            title="A dog",
            clip=name,
            started_at=FIRST + 22,
            updated_at=FIRST + 28,
            ended_at=FIRST + 28,
        )
        history.put_alert(alert)
        with Server(station.monitor, port=0, station=station) as server:
            yield server


def test_a_press_on_a_strip_goes_there(server: Server, open_page: OpenPage) -> None:
    page = open_page(f"{server.url}#history")
    strip = page.get_by_role("group", name="gate", exact=True)
    strip.locator(".line-bin").first.wait_for()
    assert page.locator(".line-row").count() == 2
    assert strip.locator('.line-bin[data-alerts="true"]').count() == 1
    boxes = [bin.get_attribute("data-boxes") for bin in strip.locator(".line-bin").all()]
    assert boxes[0] == "false"
    assert boxes[-1] == "true"
    strip.locator('.line-bin[data-alerts="true"]').click()
    first = page.locator("#past .tile-caption").first
    follow(page, lambda: first.inner_text() in ("second 22", "second 23", "second 24"))
    assert page.locator("#search").input_value().startswith("stream:gate until:")
    assert page.locator(".line-row").count() == 2, "the strips stay"
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    follow(page, lambda: first.inner_text() == "second 59")
    page.locator("#search").fill("empty")
    page.keyboard.press("Enter")
    follow(page, lambda: page.locator(".line-row").count() == 1)
    page.locator("#search").fill("zebra")
    page.keyboard.press("Enter")
    follow(page, lambda: not page.locator(".line").is_visible())


def reads(words: Any, text: str) -> bool:
    return bool(words.inner_text() == text)


def test_a_clip_is_played_with_its_boxes_and_words_in_step(server: Server, open_page: OpenPage) -> None:
    page = open_page(f"{server.url}#history")
    page.locator("#search").fill('"second 24"')
    page.keyboard.press("Enter")
    follow(page, lambda: page.locator("#past .tile").count() == 1)
    page.locator("#past .tile").click()
    page.get_by_role("button", name="Play the clip: dog, ").click()
    download = page.get_by_role("link", name="Download the clip")
    download.wait_for()
    with page.expect_download() as kept:
        download.click()
    assert kept.value.suggested_filename.startswith("gate dog 20")
    assert kept.value.suggested_filename.endswith(".mp4")
    video = "document.querySelector('#past dialog.clip video')"
    if page.evaluate("document.createElement('video').canPlayType('video/mp4; codecs=\"avc1.42E01E\"')") == "":
        pytest.skip("this Chromium has no H.264")
    shows(page, f"{video}.readyState >= 2")
    shows(page, f"{video}.currentTime > 0.3")
    page.evaluate(f"{video}.pause()")
    words = page.locator("#past dialog.clip .said-caption")
    at = "Number(document.querySelector('dialog.clip .stage').dataset.boxesAt)"
    for seconds in (1.0, 4.5, 8.0):
        page.evaluate(f"{video}.currentTime = {seconds}")
        follow(page, partial(reads, words, f"second {20 + int(seconds)}"))
        shows(page, f"Math.abs({at} - {FIRST + 20 + seconds}) < 0.05")
    page.keyboard.press("Escape")
    page.locator("#past dialog.clip").wait_for(state="hidden")
    shows(page, f"!{video}.hasAttribute('src')")
