"""Pictures as each viewer's screen and link want them: sizes, slow links, boxes carried along, a camera's own video."""

from __future__ import annotations

import io
import json
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from streamer.client import Client
from streamer.display import CarriedBoxes, EncodedPicture, Wish
from streamer.geometry import Box, iou
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.monitor import Event, Monitor
from streamer.passthrough import VideoPacket
from streamer.server import Server
from streamer.server.picture import Packet, Picture, Setup
from streamer.server.protocol import Boxes
from streamer.settings import StreamSettings
from streamer.sources import LiveOptions, open_source
from streamer.sources.base import Size
from streamer.tasks import Task
from tests.media import even, make_clip
from tests.server.conftest import SETTINGS
from tests.server.looking import OpenPage, follow, shows
from tests.server.rig import Camera, Drawn, eventually

PLAIN = StreamSettings(tasks=(), display_fps=15)


def pictures_of(client: Client, wanted: Callable[[Picture], bool], seconds: float = 10.0) -> Picture:
    """The first picture that is as wanted."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        message = client.receive(timeout_seconds=5)
        if isinstance(message, Picture) and wanted(message):
            return message
    raise AssertionError(f"no such picture within {seconds:g} s")


def test_pictures_are_as_wide_as_their_place_and_encoded_once_for_equal_wishes(monitor: Monitor) -> None:
    encoded: list[EncodedPicture] = []

    def hear(event: Event) -> None:
        if isinstance(event, EncodedPicture):
            encoded.append(event)

    monitor.subscribe(hear)
    with Server(monitor, port=0) as server, Client(server.url) as first, Client(server.url) as second:
        first.show(["gate"], width=300)
        second.show(["gate"], width=310)
        for client in (first, second):
            picture = pictures_of(client, lambda picture: picture.size[0] == 320)
            assert Image.open(io.BytesIO(picture.jpeg)).size == (320, 180)
        second.show(["gate"], width=5000)
        assert pictures_of(second, lambda picture: picture.size[0] == 640).size == (640, 360), "never enlarged"
        assert pictures_of(first, lambda picture: True).size == (320, 180)
    sizes: dict[int, list[Size]] = {}
    for one in encoded:
        sizes.setdefault(one.sequence, []).append(one.size)
    assert all(len(set(made)) == len(made) for made in sizes.values()), "once each"
    assert any(len(made) == 2 for made in sizes.values())


def test_nothing_is_encoded_for_streams_that_nobody_looks_at(monitor: Monitor) -> None:
    with Server(monitor, port=0) as server, Client(server.url) as client:
        client.show(["gate"], width=320)
        pictures_of(client, lambda picture: True)
        client.show([])
        seen: list[Event] = []
        monitor.subscribe(seen.append)
        sequence = monitor.status("gate").counts["pictures"]
        eventually(lambda: monitor.status("gate").counts["pictures"] > sequence + 5)
        assert not [event for event in seen[2:] if isinstance(event, EncodedPicture | CarriedBoxes | VideoPacket)]


class Noise(Drawn):
    """JPEG makes little of it, so that a slow link is soon full."""

    def scaled(self, size: Size) -> NDArray[np.uint8]:
        random = np.random.default_rng(self.index or 0)
        return random.integers(0, 255, (size[1], size[0], 3), np.uint8)


class NoisyCamera(Camera):
    drawn = Noise


@pytest.mark.slow
def test_a_slow_link_gets_plainer_and_smaller_pictures_and_others_what_they_had(model: ScriptedModel) -> None:
    """One viewer reads 400 kB a second, of pictures that would be several MB a second."""
    with Monitor(model) as monitor, Server(monitor, port=0) as server, Client(server.url) as other:
        monitor.add("gate", lambda: NoisyCamera((640, 360), fps=15), PLAIN)
        other.show(["gate"], width=640)
        with Slow(server.url, 400_000) as slow:
            slow.widths(until=lambda widths: 320 in widths, seconds=40)
        pictures_of(other, lambda picture: picture.size[0] == 640)


class Slow:
    """A viewer that reads its socket at a fixed pace."""

    def __init__(self, url: str, bytes_per_second: int) -> None:
        self._client = Client(url)
        self._client.show(["gate"], width=640)
        self._pace = bytes_per_second
        underlying: Any = self._client._socket.socket
        underlying.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)

    def widths(self, until: Callable[[list[int]], bool], seconds: float) -> list[int]:
        """Of the pictures as they come."""
        seen: list[int] = []
        end = time.monotonic() + seconds
        while not until(seen):
            assert time.monotonic() < end, f"only pictures of {set(seen)} came"
            message = self._client.receive(timeout_seconds=5)
            if isinstance(message, Picture):
                seen.append(message.size[0])
                time.sleep(len(message.jpeg) / self._pace)
        return seen

    def __enter__(self) -> Slow:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._client.close()


class Moving(Drawn):
    """A patterned square that goes a tenth of the picture's width a second over another pattern."""

    def scaled(self, size: Size) -> NDArray[np.uint8]:
        width, height = size
        ground = np.random.default_rng(1).integers(60, 120, (height // 8 + 1, width // 8 + 1), np.uint8)
        image = np.kron(ground, np.ones((8, 8), np.uint8))[:height, :width]
        box = place(self.time_seconds)
        x1, y1, x2, y2 = box.to_pixels(width, height)
        thing = np.random.default_rng(2).integers(0, 255, ((y2 - y1) // 6 + 1, (x2 - x1) // 6 + 1), np.uint8)
        image[y1:y2, x1:x2] = np.kron(thing, np.ones((6, 6), np.uint8))[: y2 - y1, : x2 - x1]
        return np.repeat(image[:, :, None], 3, axis=2)


class MovingCamera(Camera):
    drawn = Moving


def place(seconds: float) -> Box:
    left = 0.1 + 0.1 * (seconds % 6)
    return Box(left, 0.3, left + 0.2, 0.7)


def test_boxes_of_late_answers_are_carried_to_where_their_things_are_now() -> None:
    """Two answers a second, each half a second late: at 15 pictures a second the box is on its square, and marked."""
    seen: list[CarriedBoxes] = []
    with Monitor(ScriptedModel(square, seconds=0.5)) as monitor:
        settings = StreamSettings(tasks=(Task.detect("square"),), fps=2, display_fps=15, gate=0)
        monitor.subscribe(lambda event: seen.append(event) if isinstance(event, CarriedBoxes) else None)
        monitor.add("a", lambda: MovingCamera((640, 360), fps=30), settings)
        end = monitor.look("a", Wish.at(480))
        eventually(lambda: len(seen) > 40)
        end()
    moving = [boxes for boxes in seen if boxes.detections and boxes.time_seconds % 6 > 1.5]
    assert len(moving) > 10
    overlaps = [iou(boxes.detections[0].box, place(boxes.time_seconds)) for boxes in moving]
    assert np.median(overlaps) > 0.8, overlaps
    assert all((boxes.detections[0].attributes or {}).get("carried") for boxes in moving)
    assert len({boxes.detections[0].track_id for boxes in moving}) <= 2


def square(request: Request) -> str:
    """Found by its contrast, which the ground has less of."""
    grey = request.images[0][:, :, 0].astype(int)
    busy = np.argwhere(np.abs(grey - 90) > 40)
    (top, left), (bottom, right) = busy.min(axis=0), busy.max(axis=0)
    height, width = grey.shape
    corners = [top / height, left / width, (bottom + 1) / height, (right + 1) / width]
    found = [{"box_2d": [round(1000 * corner) for corner in corners], "label": "square"}]
    return f"```json\n{json.dumps(found)}\n```"


def test_carried_boxes_come_to_those_who_look_and_to_no_others(monitor: Monitor) -> None:
    with Server(monitor, port=0) as server, Client(server.url) as looking, Client(server.url) as other:
        looking.show(["gate"], width=320)
        end = time.monotonic() + 10
        while not isinstance(message := looking.receive(timeout_seconds=5), Boxes):
            assert time.monotonic() < end
        assert message.stream == "gate"
        assert {found.label for found in message.detections} == {"car", "dog"}
        other.command("set", stream="gate", fps=5)
        waiting = [other.receive(timeout_seconds=5) for _ in range(20)]
        assert not any(isinstance(one, Boxes | Picture) for one in waiting)


def add_clip(monitor: Monitor, path: Path, settings: StreamSettings = SETTINGS) -> None:
    live = LiveOptions(keep_seconds=0.5)
    monitor.add("clip", lambda: open_source(str(path), realtime=True, loop=True, live=live), settings)


def test_a_viewer_gets_packets_in_place_of_jpegs_where_it_takes_them(model: ScriptedModel, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.mp4", even(40, 20), gop=10, size=(320, 180))
    with Monitor(model) as monitor, Server(monitor, port=0) as server, Client(server.url) as client:
        add_clip(monitor, path)
        client.show(["clip"], width=320, video=True)
        got = [message for _ in range(120) if isinstance(message := client.receive(5), Picture | Packet | Setup)]
        kinds = [type(message) for message in got]
        start = kinds.index(Setup)
        assert set(kinds[:start]) <= {Picture}, "JPEGs until the first key picture"
        assert isinstance(first := got[start + 1], Packet)
        assert first.key
        packets = [message for message in got[start:] if isinstance(message, Packet)]
        assert [packet.sequence for packet in packets] == list(range(first.sequence, first.sequence + len(packets)))
        assert len(packets) > 20
        assert Picture not in kinds[start + 3 :], "no JPEGs beside them"
        client.show(["clip"], width=320)
        pictures_of(client, lambda picture: True)


def bar(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A white bar whose place tells the picture's number of 40."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    step = size[0] // 40
    image[:, number * step : (number + 1) * step] = 255
    return image


NUMBER = """() => {
  const canvas = document.querySelector("#stage .picture");
  const row = canvas.getContext("2d").getImageData(0, canvas.height / 2, canvas.width, 1).data;
  let sum = 0, weight = 0;
  for (let x = 0; x < canvas.width; x++) { sum += row[4 * x] * x; weight += row[4 * x]; }
  return [40 * sum / weight / canvas.width - 0.5, Number(document.querySelector("#stage").dataset.boxesAt),
    document.querySelector("#fact-pictures").textContent];
}"""


def test_the_page_shows_the_cameras_own_video_with_each_box_at_its_picture(
    model: ScriptedModel, open_page: OpenPage, tmp_path: Path
) -> None:
    """The bar in the picture that the browser decoded says its time; the boxes over it are of that time."""
    path = make_clip(tmp_path / "clip.mp4", even(40, 10), gop=5, size=(640, 360), picture=bar)
    with Monitor(model) as monitor, Server(monitor, port=0) as server:
        add_clip(monitor, path, replace(SETTINGS, fps=3))
        page = open_page(server.url)
        if not page.evaluate("'VideoDecoder' in window"):
            pytest.skip("this browser has no WebCodecs")
        shows(page, "document.querySelector('#fact-pictures').textContent.includes('as sent')")
        shows(page, "document.querySelector('#stage').dataset.boxesAt !== ''")
        matched = 0
        for _ in range(15):
            page.wait_for_timeout(130)
            number, at, _ = page.evaluate(NUMBER)
            apart = abs((at * 10 - number + 20) % 40 - 20)
            matched += apart < 1.2
        assert matched >= 13, (number, at)


def test_a_page_goes_back_to_jpegs_where_its_browser_does_not_decode_the_video(
    model: ScriptedModel, open_page: OpenPage, tmp_path: Path
) -> None:
    path = make_clip(tmp_path / "clip.mp4", even(40, 20), gop=5, size=(640, 360))
    with Monitor(model) as monitor, Server(monitor, port=0) as server:
        add_clip(monitor, path)
        page = open_page("about:blank")
        page.add_init_script(
            "VideoDecoder.prototype.decode = function () { throw new DOMException('no', 'NotSupportedError'); };"
            "console.warn = () => {};"
        )
        page.goto(server.url)
        shows(page, "document.querySelector('#fact-pictures').textContent !== '–'")
        follow(page, lambda: monitor.status("clip").counts["pictures"] > 30)
        before = page.evaluate("document.querySelector('#stage .picture').toDataURL()")
        shows(page, f"document.querySelector('#stage .picture').toDataURL() !== {before!r}")
        assert "as sent" not in page.evaluate("document.querySelector('#fact-pictures').textContent")


@pytest.mark.slow
def test_a_hidden_or_covered_place_asks_for_no_pictures(open_page: OpenPage, server: Server, monitor: Monitor) -> None:
    page = open_page(server.url)
    shows(page, "document.querySelector('#fact-pictures').textContent !== '–'")
    heard: list[Event] = []
    monitor.subscribe(heard.append)
    eventually(lambda: any(isinstance(event, EncodedPicture) for event in heard))
    widths = {event.size[0] for event in heard if isinstance(event, EncodedPicture)}
    assert max(widths) <= 640, "never enlarged"
    page.evaluate("document.querySelector('#live').hidden = true")
    eventually(lambda: not _still_encoding(monitor), 5)
    page.evaluate("document.querySelector('#live').hidden = false")
    eventually(lambda: _still_encoding(monitor), 5)


def _still_encoding(monitor: Monitor) -> bool:
    heard: list[Event] = []
    unsubscribe = monitor.subscribe(heard.append)
    time.sleep(0.4)
    unsubscribe()
    return any(isinstance(event, EncodedPicture) for event in heard)
