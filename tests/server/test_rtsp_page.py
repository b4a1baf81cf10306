"""A real camera on the page: its own video in the browser, what is shown while it is away, and that it comes back."""

from __future__ import annotations

import pytest

from streamer.models.scripted import ScriptedModel
from streamer.monitor import Monitor
from streamer.server import Server
from streamer.sources import LiveOptions, open_source
from tests.server.conftest import SETTINGS
from tests.server.looking import OpenPage, shows
from tests.sources.cameras import RtspCamera, need_gstreamer

INKED = """(() => {
  const canvas = document.querySelector("SELECTOR canvas.picture");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return data.some((value, place) => place % 4 !== 3 && value > 60);
})()"""
AS_SENT = "document.querySelector('#fact-pictures').textContent.includes('as sent')"


def inked(selector: str) -> str:
    return INKED.replace("SELECTOR", selector)


def test_a_camera_is_seen_goes_away_and_comes_back(model: ScriptedModel, open_page: OpenPage) -> None:
    """H.264 with start codes, as RTSP brings it, decoded by the browser; the last picture stays while it is away."""
    need_gstreamer()
    live = LiveOptions(keep_seconds=0.5, stall_seconds=2)
    with RtspCamera(size="640x360") as camera, Monitor(model) as monitor, Server(monitor, port=0) as server:
        monitor.add("gate", lambda: open_source(camera.url, live=live), SETTINGS)
        page = open_page(server.url)
        if not page.evaluate("'VideoDecoder' in window"):
            pytest.skip("this browser has no WebCodecs")
        shows(page, AS_SENT, 20)
        shows(page, inked("#stage"))
        camera.kill()
        shows(page, "document.querySelector('#state').dataset.state !== 'live'", 15)
        assert page.evaluate(inked("#stage")), "its last picture"
        page.evaluate("location.hash = 'wall'")
        shows(page, "document.querySelector('.wall-tile .state').dataset.state !== 'live'")
        assert page.evaluate(inked(".wall-tile"))
        with RtspCamera(camera.port, size="640x360"):
            shows(page, "document.querySelector('.wall-tile .state').dataset.state === 'live'", 30)
            page.evaluate("location.hash = 'live'")
            shows(page, AS_SENT, 20)
