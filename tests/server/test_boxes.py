"""Boxes in a real browser: read back from the canvas."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.monitor import Monitor
from streamer.server import Server
from streamer.tasks import Task
from tests.server.conftest import BOXES, SETTINGS
from tests.server.looking import OpenPage, follow, shows
from tests.server.rig import GREY, Camera, Drawn

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLOURS = {"car": (255, 180, 84), "dog": (79, 214, 194)}


PIXELS = """([xs, ys]) => {
  const canvas = document.querySelector("#stage .boxes");
  const context = canvas.getContext("2d");
  const pixels = xs.map((x, i) => [...context.getImageData(x, ys[i], 1, 1).data]);
  return [canvas.width, canvas.height, canvas.clientWidth, pixels];
}"""


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("size", [(640, 360), (360, 640), (1000, 300)])
def test_boxes_lie_at_the_right_pixels(
    model: ScriptedModel, open_page: OpenPage, scale: int, size: tuple[int, int]
) -> None:
    """The middle of each edge has the label's colour, outside and inside have none; letterboxed where the picture is
    taller than its place."""
    with Monitor(model) as monitor, Server(monitor, port=0) as server:
        monitor.add("gate", lambda: Camera(size, fps=10), SETTINGS)
        page = open_page(server.url, device_scale_factor=scale)
        shows(page, "document.querySelectorAll('#said .entry-labels span').length === 2")
        shows(
            page, "document.querySelector('#stage').style.aspectRatio.startsWith('" + str(size[0] / size[1])[:4] + "')"
        )
        follow(page, lambda: drawn_right(page, size, scale))


def drawn_right(page: Any, size: tuple[int, int], scale: int) -> bool:
    """Read as the page stands now: it may still be taking its place."""
    width, height, css_width, _ = page.evaluate(PIXELS, [[], []])
    assert width == pytest.approx(css_width * scale, abs=1)
    shown = min(width, height * size[0] / size[1]), min(height, width * size[1] / size[0])
    left, top = (width - shown[0]) / 2, (height - shown[1]) / 2
    for label, (x1, y1, x2, y2) in BOXES.items():
        xs = [left + x * shown[0] for x in (x1, x2, (x1 + x2) / 2)]
        ys = [top + y * shown[1] for y in (y1, y2, (y1 + y2) / 2)]
        edges = [(xs[0], ys[2]), (xs[1], ys[2]), (xs[2], ys[1])]
        away = 8 * scale
        clear = [(xs[2], ys[2]), (xs[0] - away, ys[2]), (xs[1] + away, ys[2]), (xs[2], ys[1] + away)]
        points = [*edges, *clear]
        _, _, _, pixels = page.evaluate(PIXELS, [[round(x) for x, _ in points], [round(y) for _, y in points]])
        inked = all(pixel[:3] == pytest.approx(COLOURS[label], abs=12) and pixel[3] > 100 for pixel in pixels[:3])
        if not inked or any(pixel[3] for pixel in pixels[3:]):
            return False
    return True


class Moving(Drawn):
    """A white square that crosses the picture in three seconds."""

    def scaled(self, size: tuple[int, int]) -> NDArray[np.uint8]:
        image = super().scaled(size)
        width, height = size
        left = round((0.05 + 0.7 * (self.time_seconds / 3 % 1)) * width)
        image[:, :2] = GREY
        image[int(0.4 * height) : int(0.6 * height), left : left + round(0.2 * width)] = 255
        return image


class Passing(Camera):
    drawn = Moving


def sees_white(request: Request) -> str:
    rows, columns = np.nonzero(request.images[0][..., 0] > 200)
    height, width = request.images[0].shape[:2]
    edges = [rows.min() / height, columns.min() / width, (rows.max() + 1) / height, (columns.max() + 1) / width]
    return json.dumps([{"box_2d": [round(1000 * float(edge)) for edge in edges], "label": "car"}])


OFFSETS = """() => {
  const [picture, boxes] = ["picture", "boxes"].map((name) => document.querySelector(`#stage .${name}`));
  const row = (canvas) => canvas.getContext("2d").getImageData(0, canvas.height / 2, canvas.width, 1).data;
  const first = (data, test) => {
    for (let x = 0; x < data.length / 4; x++) if (test(data, 4 * x)) return x;
    return -1;
  };
  const square = first(row(picture), (data, at) => data[at] > 200);
  const box = first(row(boxes), (data, at) => data[at + 3] > 200 && data[at] > 200);
  return [square / picture.width, box / picture.width];
}"""


def test_boxes_move_with_the_things_that_they_are_about(open_page: OpenPage) -> None:
    """Though the model takes a third of a second: read from the two canvases, at many moments."""
    with Monitor(ScriptedModel(sees_white, seconds=0.3)) as monitor, Server(monitor, port=0) as server:
        settings = replace(SETTINGS, tasks=(Task.detect(),), fps=4, display_fps=15)
        monitor.add("gate", lambda: Passing(fps=15), settings)
        page = open_page(server.url)
        page.wait_for_selector(".stage-badge:has-text('behind')")
        page.wait_for_timeout(1500)
        gaps = []
        for _ in range(25):
            page.wait_for_timeout(70)
            square, box = page.evaluate(OFFSETS)
            if square >= 0 and box >= 0:
                gaps.append(abs(square - box))
        assert len(gaps) > 15
        assert sorted(gaps)[len(gaps) // 2] < 0.02, gaps
        page.click("#step")
        page.wait_for_selector(".stage-badge:has-text('old')")


def test_boxes_that_cannot_keep_in_step_are_drawn_as_old_and_said_to_be(open_page: OpenPage) -> None:
    """The model takes longer than pictures are held back, and boxes are carried: what moves has left its box."""
    with Monitor(ScriptedModel(sees_white, seconds=5)) as monitor, Server(monitor, port=0) as server:
        settings = replace(SETTINGS, tasks=(Task.detect(),), fps=4, display_fps=5)
        for name in ("gate", "yard"):
            monitor.add(name, lambda: Passing(fps=5), settings)
        page = open_page(server.url)
        shows(page, "document.querySelector('#stage').dataset.boxesOld === 'true'", 60)
        page.wait_for_selector(".stage-badge[data-old=true]:has-text('boxes')")
        shows(page, "document.querySelector('#step').textContent === 'Boxes not in step'", 60)
        shows(page, "document.querySelector('#step').title.includes('answers too seldom')", 60)
        page.evaluate("location.hash = 'wall'")
        page.locator(".wall-tile .stage-badge.small:has-text('old')").first.wait_for(timeout=60_000)
        page.evaluate("location.hash = 'live'")
        monitor.change("gate", lambda now: replace(now, paused=True))
        page.wait_for_timeout(11_000)  # an answer that was on its way has come, and nothing is carried any longer
        shows(page, "document.querySelector('#stage').dataset.boxesOld === 'true'", 60)
        faint = page.evaluate(STRONGEST)
        assert 60 < faint < 225, faint
        assert "paused" in page.get_attribute("#step", "title")


STRONGEST = """() => {
  const canvas = document.querySelector("#stage .boxes");
  return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data
    .reduce((most, value, place) => place % 4 === 3 ? Math.max(most, value) : most, 0);
}"""
"""How strong the strongest pixel of a box is, 0 to 255."""


def test_labels_stay_inside_the_picture(open_page: OpenPage) -> None:
    corners = (
        '[{"box_2d":[0,900,100,1000],"label":"a very long label of something"},{"box_2d":[950,0,1000,50],"label":"x"}]'
    )
    with Monitor(ScriptedModel(lambda request: corners)) as monitor, Server(monitor, port=0) as server:
        monitor.add("gate", lambda: Camera(), replace(SETTINGS, tasks=(Task.detect(),)))
        page = open_page(server.url)
        shows(page, "document.querySelectorAll('#said .entry-labels span').length === 2")
        spots = page.evaluate(
            """async () => {
              const { fit, place, placeLabel } = await import("/static/fit.js");
              const picture = fit(1000, 800, 16 / 9);
              const boxes = [[0.9, 0, 1, 0.1], [0, 0.95, 0.05, 1], [0, 0, 1, 1], [0.99, 0.99, 1, 1]];
              const taken = [];
              for (const [x1, y1, x2, y2] of boxes)
                taken.push(placeLabel(200, 30, place({ x1, y1, x2, y2 }, picture), picture, taken));
              return [picture, taken];
            }"""
        )
        picture, labels = spots
        for spot in labels:
            assert picture["x"] <= spot["x"] <= picture["x"] + picture["width"] - 200 + 1e-6
            assert picture["y"] - 0.5 <= spot["y"] <= picture["y"] + picture["height"] - 30 + 0.5
