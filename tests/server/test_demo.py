"""The demo as a newcomer has it: the command, the page in a real browser, boxes over what is really there."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.looking import OpenPage, follow

ROOT = Path(__file__).resolve().parents[2]
TRUTH = ROOT / "sample_videos" / "street.json"
SHOWN = """async (labels) => {
  const { colourOf } = await import("/static/colours.js");
  const probe = document.createElement("canvas").getContext("2d");
  const colours = labels.map((label) => {
    probe.fillStyle = colourOf(label);
    probe.fillRect(0, 0, 1, 1);
    return probe.getImageData(0, 0, 1, 1).data;
  });
  const stage = document.querySelector("#stage");
  const canvas = stage.querySelector(".boxes");
  const { width, height } = canvas;
  const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const edge = ([red, green, blue]) => {
    for (let y = height - 1; y >= 0; y--) {
      const xs = [];
      for (let x = 0; x < width; x++) {
        const at = 4 * (y * width + x);
        const near = Math.abs(data[at] - red) + Math.abs(data[at + 1] - green) + Math.abs(data[at + 2] - blue);
        if (data[at + 3] > 100 && near < 36) xs.push(x);
      }
      if (xs.length > 8) return [xs[0] / width, (xs[xs.length - 1] + 1) / width, (y + 1) / height];
    }
    return null;
  };
  return { at: stage.dataset.boxesAt, edges: Object.fromEntries(labels.map((label, i) => [label, edge(colours[i])])) };
}"""
"""For which moment of the video boxes are drawn, and of the lowest box of each label its left, right and lower edge, in
0..1; null where there is none. All of one moment: the page draws on meanwhile."""


@pytest.fixture
def demo_url() -> Iterator[str]:
    command = [sys.executable, "-m", "streamer", "demo", "--no-browser", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().removeprefix("page: ").strip()
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)


def only_ones(frame: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The boxes of the labels that are in the frame once, whole."""
    labels = [thing["label"] for thing in frame["objects"]]
    return {
        thing["label"]: thing["box"]
        for thing in frame["objects"]
        if labels.count(thing["label"]) == 1 and thing["visible"] > 0.99
    }


def test_boxes_lie_over_the_objects_of_the_demo(demo_url: str, open_page: OpenPage) -> None:
    truth = json.loads(TRUTH.read_text())
    frames, rate = truth["frames"], truth["rate"]
    page = open_page(demo_url, viewport={"width": 1280, "height": 800})
    follow(page, lambda: "street" in (page.text_content("#said") or "").lower(), seconds=60)
    assert "drawn street scenes" in (page.text_content("body") or "")
    labels = sorted({thing["label"] for frame in frames for thing in frame["objects"]})
    asked = right = 0
    moments = {""}
    end = time.monotonic() + 60
    while len(moments) < 20 and time.monotonic() < end:
        page.wait_for_timeout(200)
        shown = page.evaluate(SHOWN, labels)
        if (shown["at"] or "") in moments:
            continue
        moments.add(shown["at"])
        frame = frames[int(float(shown["at"]) * rate) % len(frames)]
        for label, box in only_ones(frame).items():
            edge = shown["edges"][label]
            asked += 1
            wanted = (box["x1"], box["x2"], box["y2"])
            right += edge is not None and max(abs(a - b) for a, b in zip(edge, wanted, strict=True)) < 0.05
    assert asked > 40
    assert right / asked > 0.6, f"{right} of {asked} boxes lie where the objects are"
