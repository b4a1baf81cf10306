"""One-shot analysis of an uploaded picture."""

from __future__ import annotations

import io
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from streamer.configuration import Configuration
from streamer.errors import ModelError
from streamer.models.base import Request
from streamer.server.api import Limits
from tests.server.api.serving import GENEROUS, SCRIPT, jpeg, problem, say, serving

URL = "/api/v1/analyze"
JPEG = {"content-type": "image/jpeg"}


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def bomb(side: int = 20_000) -> bytes:
    """A small PNG that says it is very large."""
    image = encoded(Image.new("RGB", (1, 1)), "PNG")
    header = b"IHDR" + side.to_bytes(4, "big") * 2 + image[24:29]
    return image[:12] + header + zlib.crc32(header).to_bytes(4, "big") + image[33:]


def test_a_picture_is_described(client: httpx.Client) -> None:
    answer = client.post(URL, content=jpeg(), headers=JPEG)
    assert answer.status_code == 200, answer.text
    values = answer.json()
    assert values["caption"] == f"{SCRIPT} a red car"
    assert (values["width"], values["height"], values["budget"]) == (320, 180, 280)
    assert values["caveat"].startswith("scripted answers")
    assert answer.headers["content-type"] == "application/json"


def test_several_questions_at_once_have_different_names(client: httpx.Client) -> None:
    query = {"task": ["detect:person", "ask:How many?", "check:Is it day?"], "prompt": "What else?", "budget": 70}
    values = client.post(URL, params=query, content=jpeg(), headers=JPEG).json()  # type: ignore[arg-type]
    assert set(values["answers"]) == {"detect", "ask", "check", "ask-2"}
    assert values["detections"][0]["label"] == "person"
    assert values["budget"] == 70


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_the_model_sees_the_picture_upright_at_its_size(tmp_path: Path, format: str) -> None:
    """Left red, right blue, stored on its side with the note that it was turned."""
    seen: list[Request] = []

    def look(request: Request) -> str:
        seen.append(request)
        return "yes"

    image = Image.new("RGB", (400, 200), "red")
    image.paste("blue", (200, 0, 400, 200))
    exif = Image.Exif()
    exif[274] = 6
    data = encoded(image.transpose(Image.Transpose.ROTATE_90), format, exif=exif)
    with serving(tmp_path, Configuration(), script=look) as served, served.client() as client:
        headers = {"content-type": f"image/{format.lower()}"}
        values = client.post(URL, params={"budget": 70}, content=data, headers=headers).json()
    assert (values["width"], values["height"]) == (400, 200)
    pixels = seen[0].images[0]
    assert pixels.shape[0] % 48 == pixels.shape[1] % 48 == 0
    assert pixels.shape[1] > pixels.shape[0]
    left, right = pixels[:, 20].mean(axis=0), pixels[:, -20].mean(axis=0)
    assert np.argmax(left) == 0
    assert np.argmax(right) == 2


def tall() -> bytes:
    """Few pixels, but too many in one direction to be scaled."""
    return encoded(Image.new("L", (1, 100_000)), "PNG")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no picture",
        jpeg()[:200],
        b"GIF89a" + bytes(100),
        encoded(Image.new("RGB", (9, 9)), "BMP"),
        bomb(),
        tall(),
    ],
    ids=["empty", "words", "cut", "gif", "bmp", "bomb", "tall"],
)
def test_what_is_no_picture_is_refused(client: httpx.Client, data: bytes) -> None:
    assert problem(client.post(URL, content=data, headers=JPEG), 422)["field"] == "picture"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("task=paint", "task"),
        ("task=ask:", "task"),
        ("task=compare", "task"),
        ("budget=71", "budget"),
        ("budget=x", "budget"),
        ("colour=red", "colour"),
        ("&".join(["task=caption"] * 9), "task"),
    ],
)
def test_what_cannot_be_asked_is_refused(client: httpx.Client, query: str, field: str) -> None:
    assert problem(client.post(f"{URL}?{query}", content=jpeg(), headers=JPEG), 422)["field"] == field


def test_other_kinds_of_bodies_are_refused(client: httpx.Client) -> None:
    problem(client.post(URL, content=jpeg(), headers={"content-type": "image/tiff"}), 415)
    problem(client.post(URL, content=jpeg()), 415)
    problem(client.post(URL, json={"picture": "x"}), 415)


def test_a_picture_that_is_too_large_is_refused(tmp_path: Path) -> None:
    small = replace(GENEROUS, picture_bytes=5000, picture_pixels=100 * 100)
    with serving(tmp_path, Configuration(), limits=small) as served, served.client() as client:
        problem(client.post(URL, content=bytes(5001), headers=JPEG), 413)
        pieces = (bytes(1000) for _ in range(6))
        problem(client.post(URL, content=pieces, headers=JPEG), 413)
        large = encoded(Image.new("RGB", (101, 100)), "PNG")
        assert "pixels" in problem(client.post(URL, content=large, headers=JPEG), 422)["detail"]
        assert client.post(URL, content=encoded(Image.new("RGB", (100, 100)), "PNG"), headers=JPEG).status_code == 200


def test_a_busy_model_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    short = replace(GENEROUS, analyze_seconds=0.2)
    with serving(tmp_path, Configuration(), limits=short, seconds=2) as served, served.client() as client:
        problem(client.post(URL, content=jpeg(), headers=JPEG), 504)


def test_only_so_many_pictures_are_looked_at_at_once(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait(request: Request) -> str:
        begun.set()
        go_on.wait(10)
        return say(request)

    one = replace(GENEROUS, analyses=1)
    with (
        serving(tmp_path, Configuration(), limits=one, script=wait) as served,
        served.client() as client,
        ThreadPoolExecutor(1) as pool,
    ):
        first = pool.submit(client.post, URL, content=jpeg(), headers=JPEG)
        assert begun.wait(10)
        answer = client.post(URL, content=jpeg(), headers=JPEG)
        problem(answer, 429)
        assert answer.headers["retry-after"]
        assert client.get("/readyz").status_code == 200  # nothing else is held up
        go_on.set()
        assert first.result(10).status_code == 200
        assert client.post(URL, content=jpeg(), headers=JPEG).status_code == 200


def test_a_model_that_fails_is_a_problem_without_its_words(tmp_path: Path) -> None:
    def fail(request: Request) -> str:
        raise ModelError("scripted", "hunter2 is not a token")

    with serving(tmp_path, Configuration(), script=fail) as served, served.client() as client:
        assert "hunter2" not in problem(client.post(URL, content=jpeg(), headers=JPEG), 503)["detail"]


def test_the_limits_are_those_that_are_documented() -> None:
    assert (Limits().picture_bytes, Limits().picture_pixels, Limits().analyses) == (20 * 2**20, 50_000_000, 4)
