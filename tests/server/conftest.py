"""A live job, its server, and a real browser."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.monitor import Monitor
from streamer.server import Server
from streamer.settings import StreamSettings
from streamer.tasks import Task
from tests.server.rig import Camera

CHROMIUM = shutil.which("chromium")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
SETTINGS = StreamSettings(tasks=(Task.caption(), Task.detect("car, dog")), fps=5, display_fps=5, gate=0)
BOXES = {"car": (0.1, 0.2, 0.4, 0.5), "dog": (0.6, 0.5, 0.9, 0.95)}
"""Label -> x1, y1, x2, y2 of what the scripted model finds."""


def answer(request: Request) -> str:
    if "output only" not in request.prompt:
        return f"said of: {request.prompt}"
    found = [
        {"box_2d": [round(1000 * y1), round(1000 * x1), round(1000 * y2), round(1000 * x2)], "label": label}
        for label, (x1, y1, x2, y2) in BOXES.items()
    ]
    return "```json\n" + json.dumps(found) + "\n```"


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel(answer)


@pytest.fixture
def camera() -> Camera:
    return Camera(fps=10)


@pytest.fixture
def monitor(model: ScriptedModel, camera: Camera) -> Iterator[Monitor]:
    with Monitor(model) as monitor:
        monitor.add("gate", lambda: camera, SETTINGS, address="rtsp://me:secret@10.0.0.5/live")
        yield monitor


@pytest.fixture
def server(monitor: Monitor) -> Iterator[Server]:
    with Server(monitor, port=0) as server:
        yield server


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """``open_page(url, **context options)`` -> playwright's page; a fault in any page's console fails the test."""
    contexts: list[Any] = []
    faults: list[str] = []

    def hear(message: Any) -> None:
        # A server that ends, pixels that a test reads, and what was refused.
        expected = (
            "WebSocket connection",
            "ERR_CONNECTION_REFUSED",
            "willReadFrequently",
            "status of 422",
            "status of 429",
        )
        if message.type in ("error", "warning") and not any(words in message.text for words in expected):
            faults.append(message.text)

    def opener(url: str, **options: Any) -> Any:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", hear)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(url)
        return page

    yield opener
    for context in contexts:
        context.close()
    assert faults == []
