"""SRT and WebVTT, read back by ffmpeg and by validators that run in node; those tests are skipped without them."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamer.errors import OutputError
from streamer.geometry import Box
from streamer.outputs.base import Annotations, Segment
from streamer.outputs.cues import caption_of, cues_of, plain, with_caveat
from streamer.outputs.subtitles import WIDEST, write_srt, write_vtt
from streamer.results import Detection, FrameResult
from tests.media import ffmpeg

READER = r"""
const {WebVTTParser} = require("webvtt-parser"), {validator, parser} = require("srt-validator");
const text = nodes => nodes.map(node => node.type == "text" ? node.value : `[${node.type}]`).join("");
// The parser's own table (2.2.0) lacks the semicolons, so that it leaves them in the text.
const ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&lrm;": "\u200e", "&rlm;": "\u200f", "&nbsp;": "\u00a0"};
function vtt(file, kind) {
  const {cues, errors} = new WebVTTParser(ENTITIES).parse(file, kind);
  const read = cue => ({start: cue.startTime, end: cue.endTime, raw: cue.text, text: text(cue.tree.children)});
  return {cues: cues.map(read), errors: errors.map(error => error.message)};
}
function srt(file) {
  const errors = validator(file);
  return {cues: errors.length ? [] : parser.parse(file), errors: errors.map(error => error.message)};
}
require("readline").createInterface({input: process.stdin}).on("line", line => {
  const {file, kind} = JSON.parse(line);
  console.log(JSON.stringify(kind == "srt" ? srt(file) : vtt(file, kind)));
});
"""
ROOT = Path(__file__).resolve().parents[2]
HARD = [
    "Tom & Jerry: 3 < 4 > 2 &amp; &lt;b&gt;",
    "<i>words</i> and <font color=red>more</font>",
    r"{\an8}top {b}bold{/b} {Y:i}it C:\New\hat",
    "a --> b <!-- c --> d -->",
    "00:00:01,000 --> 00:00:02,000",
    "42",
    "two\nlines\r\n\r\nNOTE a comment",
    "WEBVTT",
    "STYLE",
    "-->",
    'a \x00bell\x07 and half a pair \ud83d and "quotes"',
    "夜の通りを車が走っていて、歩道には傘を差した人が何人も立っている。信号は赤で、雨が降っている。" * 2,
    "a street at night with cars that wait for a red light while two people with umbrellas cross it " * 3,
    "https://example.org/" + "a" * 90,
    "مرحبا بالعالم \u200f(!)",
]


class Reader:
    """The two validators in one process of node: a line in, a line out."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def read(self, path: Path, kind: str) -> dict[str, Any]:
        """``{"cues": [{"start", "end", "raw", "text"}, …], "errors": [message, …]}``; times in seconds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        text = path.read_bytes().decode()
        self._process.stdin.write(json.dumps({"file": text, "kind": kind}) + "\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    for package in ("webvtt-parser", "srt-validator"):
        found = subprocess.run([node, "-e", f"require('{package}')"], cwd=ROOT, capture_output=True, timeout=60)
        if found.returncode:
            pytest.skip(f"node does not find {package} (npm install --no-save webvtt-parser srt-validator)")
    with subprocess.Popen(
        [node, "-e", READER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        yield Reader(process)


TRACK = """async address => {
  const video = document.createElement("video"), track = document.createElement("track");
  const loaded = new Promise((resolve, reject) => { track.onload = resolve; track.onerror = reject; });
  Object.assign(track, {kind: "metadata", src: address});
  video.append(track);
  track.track.mode = "hidden";
  await loaded;
  const read = cue => ({start: cue.startTime, raw: cue.text, text: cue.getCueAsHTML().textContent});
  return [...track.track.cues].map(read);
}"""


@pytest.fixture(scope="module")
def page() -> Iterator[Any]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox", "--disable-gpu"])
        yield browser.new_page()
        browser.close()


def result(sequence: int, seconds: float, caption: str | None = None, **values: Any) -> FrameResult:
    return FrameResult("clip", sequence, seconds, (640, 360), caption=caption, **values)


def said(*captions: str, **values: Any) -> Annotations:
    rows = tuple(result(number, number * 1.0, caption, index=number * 25) for number, caption in enumerate(captions))
    return Annotations("clip", "clip.mp4", (640, 360), rows, model="tiny", **values)


def joined(text: str) -> str:
    return " ".join(text.split())


def unbroken(text: str) -> str:
    """Without any white space: a word longer than a line is broken."""
    return "".join(text.split())


def likeness(text: str) -> str:
    """What stands in an SRT file for the text."""
    text = plain(text).replace("-->", "→")
    for sign, like in zip("<>{}\\", "‹›()∖", strict=True):
        text = text.replace(sign, like)
    return unbroken(text)


def test_srt(tmp_path: Path) -> None:
    found = said("A car.", "A car.", "Two\ndogs & a <b>cat</b>.")
    assert write_srt(found, tmp_path) == [tmp_path / "clip.srt"]
    assert (tmp_path / "clip.srt").read_bytes().decode() == (
        "1\n00:00:00,000 --> 00:00:02,000\nA car.\n\n2\n00:00:02,000 --> 00:00:03,000\nTwo dogs & a ‹b›cat‹/b›.\n"
    )


def test_vtt(tmp_path: Path) -> None:
    box = Detection("c<a>r", Box(0.1, 0.25, 1 / 3, 1), 7)
    rows = (
        result(0, 3600.5, "Two\ndogs & a <b>cat</b>.", index=4, detections=(box,)),
        result(1, 3601.5, "Nothing.", error="failed"),
        result(2, 3602.5),
    )
    segments = (Segment(0, 3601, "Dogs & cats"),)
    found = Annotations("clip", "a --> b.mp4", (640, 360), rows, model="tiny", caveat="x\n\ny", segments=segments)
    names = ["clip.vtt", "clip.boxes.vtt", "clip.chapters.vtt"]
    assert write_vtt(found, tmp_path) == [tmp_path / name for name in names]
    captions, boxes, chapters = ((tmp_path / name).read_bytes().decode() for name in names)
    facts = "source: a → b.mp4\nmodel: tiny\ncaveat: x y\n\n"
    assert captions == (
        f"WEBVTT\n\nNOTE\nkind: captions\n{facts}"
        "00:00:00.000 --> 00:00:03.000\nx y\n\n"
        "01:00:00.500 --> 01:00:01.500\nTwo dogs &amp; a &lt;b&gt;cat&lt;/b&gt;.\n"
    )
    assert boxes == (
        f"WEBVTT\n\nNOTE\nkind: metadata\n{facts}"
        "01:00:00.500 --> 01:00:01.500\n"
        r'{"time": 3600.5, "index": 4, "boxes": [{"x1": 0.1, "y1": 0.25, "x2": 0.33333, "y2": 1, '
        r'"label": "c\u003ca\u003er", "track_id": 7}]}'
        "\n\n01:00:02.500 --> 01:00:03.500\n"
        '{"time": 3602.5, "index": null, "boxes": []}\n'
    )
    assert chapters == (f"WEBVTT\n\nNOTE\nkind: chapters\n{facts}00:00:00.000 --> 01:00:01.000\nDogs &amp; cats\n")


def test_nothing_found_gives_files_that_say_so(tmp_path: Path) -> None:
    nothing = Annotations("clip", "clip.mp4", (640, 360), (), caveat="not for use")
    write_srt(nothing, tmp_path)
    assert [path.name for path in write_vtt(nothing, tmp_path)] == ["clip.vtt", "clip.boxes.vtt"]
    assert (tmp_path / "clip.srt").read_bytes() == b""
    text = (tmp_path / "clip.vtt").read_text()
    assert text == "WEBVTT\n\nNOTE\nkind: captions\nsource: clip.mp4\ncaveat: not for use\n"


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file is here")
    for write in (write_srt, write_vtt):
        with pytest.raises(OutputError, match=r"clip\.\w+: it cannot be written"):
            write(said("a"), tmp_path / "taken")


def test_lines_are_short_and_no_more_than_needed(tmp_path: Path) -> None:
    write_srt(said("a " * 50 + "b", "語" * 50), tmp_path)
    first, second = ((tmp_path / "clip.srt").read_text().rstrip("\n")).split("\n\n")
    assert [len(line) for line in first.split("\n")[2:]] == [41, 41, 17]
    assert [len(line) for line in second.split("\n")[2:]] == [21, 21, 8]


@pytest.mark.parametrize("text", HARD)
def test_hard_texts_stay_one_cue_of_short_lines(tmp_path: Path, text: str) -> None:
    found = said("before", text, "after")
    [srt, vtt, _] = [*write_srt(found, tmp_path), *write_vtt(found, tmp_path)]
    for path, point in ((srt, ","), (vtt, ".")):
        blocks = path.read_bytes().decode().removesuffix("\n").split("\n\n")
        timings = [line for block in blocks for line in block.split("\n") if "-->" in line]
        assert len(timings) == 3
        assert all(re.fullmatch(rf"[\d:]+{re.escape(point)}\d{{3}} --> [\d:]+\S\d{{3}}", line) for line in timings)
    shown = srt.read_text().split("\n\n")[1].split("\n")[2:]
    assert unbroken("".join(shown)) == likeness(text)
    assert all(len(line) <= WIDEST for line in shown)


def test_webvtt_readers_give_the_texts_back(tmp_path: Path, reader: Reader) -> None:
    write_vtt(said(*HARD, caveat="no --> use", segments=(Segment(0, 3, HARD[0]), Segment(3, 9, HARD[3]))), tmp_path)
    captions = reader.read(tmp_path / "clip.vtt", "captions")
    assert captions["errors"] == []
    caveat = "[no-->use]"
    assert [unbroken(cue["text"]).removeprefix(caveat) for cue in captions["cues"]] == [
        unbroken(plain(text)) for text in HARD
    ]
    assert [unbroken(cue["text"]).startswith(caveat) for cue in captions["cues"]] == [
        number < 3 for number in range(len(HARD))
    ]
    chapters = reader.read(tmp_path / "clip.chapters.vtt", "chapters")
    assert (chapters["errors"], [cue["text"] for cue in chapters["cues"]]) == ([], [HARD[0], HARD[3]])


def test_srt_readers_accept_the_texts(tmp_path: Path, reader: Reader) -> None:
    write_srt(said(*HARD), tmp_path)
    srt = reader.read(tmp_path / "clip.srt", "srt")
    assert srt["errors"] == []
    assert [unbroken(cue["text"]) for cue in srt["cues"]] == [likeness(text) for text in HARD]


TEXTS = st.lists(st.text(st.characters(), max_size=30) | st.sampled_from(HARD), min_size=1, max_size=4)
LABELS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(TEXTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_webvtt_reader_gives_any_text_back(tmp_path: Path, reader: Reader, texts: list[str]) -> None:
    found = said(*texts)
    write_vtt(found, tmp_path)
    read = reader.read(tmp_path / "clip.vtt", "captions")
    assert read["errors"] == []
    cues = cues_of(found)
    assert [unbroken(cue["text"]) for cue in read["cues"]] == [unbroken(cue.text) for cue in cues]
    assert [(round(cue["start"] * 1000), round(cue["end"] * 1000)) for cue in read["cues"]] == [
        (cue.start_ms, cue.end_ms) for cue in cues
    ]


@given(TEXTS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_srt_reader_keeps_every_text(tmp_path: Path, reader: Reader, texts: list[str]) -> None:
    found = said(*texts)
    write_srt(found, tmp_path)
    if not (cues := cues_of(found)):
        assert (tmp_path / "clip.srt").read_bytes() == b""
        return
    read = reader.read(tmp_path / "clip.srt", "srt")
    assert read["errors"] == []
    assert [unbroken(cue["text"]) for cue in read["cues"]] == [likeness(cue.text) for cue in cues]


@given(st.lists(LABELS, max_size=4), st.none() | st.integers(0, 10**9))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_boxes_come_back_as_they_were(tmp_path: Path, reader: Reader, labels: list[str], index: int | None) -> None:
    found = tuple(Detection(label, Box(0.1, 0.2, 0.5, 0.75), number or None) for number, label in enumerate(labels))
    rows = (result(0, 0.0, index=index, detections=found), result(1, 0.04))
    write_vtt(Annotations("clip", "clip.mp4", (640, 360), rows), tmp_path)
    read = reader.read(tmp_path / "clip.boxes.vtt", "metadata")
    assert read["errors"] == []
    first, second = (json.loads(cue["raw"]) for cue in read["cues"])
    assert first == {
        "time": 0,
        "index": index,
        "boxes": [
            {"x1": 0.1, "y1": 0.2, "x2": 0.5, "y2": 0.75, "label": label, "track_id": number or None}
            for number, label in enumerate(labels)
        ],
    }
    assert second == {"time": 0.04, "index": None, "boxes": []}
    assert [(cue["start"], cue["end"]) for cue in read["cues"]] == [(0, 0.04), (0.04, 0.08)]


def test_a_browser_gives_back_captions_and_boxes(tmp_path: Path, page: Any) -> None:
    found = said(*HARD)
    box = Detection("a --> <b> & \u2028", Box(0.1, 0.2, 0.5, 0.75), 3)
    found = dataclasses.replace(
        found, results=tuple(dataclasses.replace(row, detections=(box,)) for row in found.results)
    )
    captions, boxes = (
        page.evaluate(TRACK, "data:text/vtt;base64," + base64.b64encode(path.read_bytes()).decode())
        for path in write_vtt(found, tmp_path)
    )
    assert [unbroken(cue["text"]) for cue in captions] == [unbroken(plain(text)) for text in HARD]
    assert [cue["start"] for cue in captions] == [cue["start"] for cue in boxes] == list(range(len(HARD)))
    corners = {"x1": 0.1, "y1": 0.2, "x2": 0.5, "y2": 0.75}
    assert [json.loads(cue["raw"])["boxes"] for cue in boxes] == [
        [{**corners, "label": "a --> <b> & \u2028", "track_id": 3}]
    ] * len(HARD)


def dialogue(path: Path) -> list[tuple[str, str, str]]:
    """What ffmpeg makes of a file of subtitles for the screen: ``(start, end, text)``; ``\\N`` breaks a line."""
    ffmpeg("-i", str(path), str(path.with_suffix(".ass")))
    rows = [line.split(",", 9) for line in path.with_suffix(".ass").read_text().split("\n") if "Dialogue:" in line]
    return [(row[1], row[2], row[9]) for row in rows]


@pytest.mark.parametrize("write", [write_srt, write_vtt])
def test_ffmpeg_shows_every_word_and_no_command(tmp_path: Path, write: Any) -> None:
    found = said(*HARD)
    rows = dialogue(write(found, tmp_path)[0])
    assert [row[:2] for row in rows] == [
        (f"0:00:{number:02d}.00", f"0:00:{number + 1:02d}.00") for number in range(len(HARD))
    ]
    for (_, _, shown), text in zip(rows, HARD, strict=True):
        words = shown.replace("\\N", " ")
        if write is write_srt:
            assert unbroken(words) == likeness(text)
        else:
            assert set(re.findall(r"\w{3,}", joined(words))) >= set(re.findall(r"\b[a-z]{3,9}\b", plain(text)))


def test_both_name_the_caveat_to_who_watches(tmp_path: Path) -> None:
    found = said("a", "b", "c", "d", caveat="not for use")
    for path in (write_srt(found, tmp_path)[0], write_vtt(found, tmp_path)[0]):
        shown = [row[2] for row in dialogue(path)]
        assert shown == ["[not for use] a", "[not for use] b", "[not for use] c", "d"]
    late = dataclasses.replace(found, results=tuple(dataclasses.replace(row, time_seconds=9) for row in found.results))
    assert with_caveat(late, cues_of(late))[0].text == "not for use"
    assert caption_of(late.results[0]) == "a"
