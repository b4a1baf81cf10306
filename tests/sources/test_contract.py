"""What every kind of source promises, checked on each of them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamer.errors import OptionError, SourceError
from streamer.sources import LiveOptions, Source, open_source, stream_name
from streamer.sources.synthetic import draw
from tests.media import even, make_clip

SIZE = (96, 54)
Make = Callable[..., Source]


def _address(kind: str, folder: Path) -> str:
    if kind == "images":
        for number in range(6):
            Image.fromarray(draw(number, (320, 180))).save(folder / f"{number}.png")
        return str(folder)
    if kind in ("file", "paced file"):
        return str(make_clip(folder / "clip.mp4", even(6), size=(320, 180)))
    return "synthetic:?size=320x180&fps=10&seconds=0.6" + ("&live=1" if kind == "live" else "")


@pytest.fixture(params=["file", "paced file", "images", "paced images", "synthetic", "live"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    kind = str(request.param)
    address = _address(kind.replace("paced images", "images"), tmp_path)
    more: dict[str, object] = {"realtime": True} if kind.startswith("paced") else {}
    if kind == "paced images":
        more["seconds_per_image"] = 0.1
    return lambda **given: open_source(address, **{**more, **given})


def test_frames_are_upright_rgb_of_the_wanted_size_in_order(make: Make) -> None:
    with make(size_for=lambda size: SIZE, stream="door") as source:
        frames = list(source.frames())
    assert frames
    assert all(frame.size == SIZE and frame.stream == "door" for frame in frames)
    assert all(frame.source_size == (320, 180) for frame in frames)
    assert [frame.sequence for frame in frames] == list(range(len(frames)))
    times = [frame.time_seconds for frame in frames]
    assert times == sorted(set(times))
    assert all((frame.captured_at is not None) == source.live for frame in frames)
    assert all(frame.decode_ms >= 0 for frame in frames)


def test_every_picture_once_in_order(make: Make) -> None:
    with make() as source:
        indices = [picture.index for picture in source.pictures()]
        assert indices == ([*range(6)] if not source.live else sorted(set(indices), key=lambda index: index or 0))
        assert source.counters.decoded == 6
        assert source.counters.dropped == 6 - len(indices)


def test_info_before_and_after(make: Make) -> None:
    with make() as source:
        info = source.info
        assert info.size == (320, 180)
        assert info.kind == ("live" if source.live else info.kind)
        assert list(islice(source.pictures(), 1))
        assert source.info == info


def test_only_what_comes_back_by_itself_is_ever_in_another_state_than_live(make: Make) -> None:
    with make() as source:
        assert source.state == ("connecting" if source.live else "live")
        assert list(islice(source.pictures(), 1))
        assert source.state == "live"


def test_a_picture_scales_to_several_sizes(make: Make) -> None:
    with make() as source:
        picture = next(iter(source.pictures()))
        small, large = picture.scaled((64, 36)), picture.scaled((320, 180))
        assert small.shape == (36, 64, 3)
        assert large.shape == (180, 320, 3)
        assert small.dtype == np.uint8
        assert np.array_equal(small, picture.scaled((64, 36)))
        assert abs(float(small.mean()) - float(large.mean())) < 3
        with pytest.raises(OptionError):
            picture.scaled((0, 5))


def test_close_from_another_thread_ends_it_within_a_second(make: Make) -> None:
    source = make()
    begun = threading.Event()

    def work() -> None:
        for _ in source.pictures():
            begun.set()

    thread = threading.Thread(target=work, name="taker", daemon=True)
    thread.start()
    assert begun.wait(10)
    since = time.monotonic()
    source.close()
    source.close()
    thread.join(10)
    assert not thread.is_alive()
    assert time.monotonic() - since < 1.2
    assert list(source.pictures()) == []


def test_importing_sources_is_light() -> None:
    code = "import streamer.sources, sys; print(sorted({'torch', 'cv2', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_names_without_secrets() -> None:
    assert stream_name("/videos/street.mp4") == "street.mp4"
    assert stream_name("rtsp://a:b@cam/live") == "rtsp://***@cam/live"


def test_unknown_kinds_of_address_are_refused() -> None:
    with pytest.raises(Exception, match=r"gopher: is not known \(use"):
        open_source("gopher://host/film")
    for address, said in (("rtsp://[bad", "it is no address"), ("rtsp://", "no host"), ("http:///film.mp4", "no host")):
        with pytest.raises(SourceError, match=said):
            open_source(address)
    with pytest.raises(OptionError, match="seconds"):
        open_source("synthetic:", seconds_per_image=0)
    with pytest.raises(OptionError, match="sampling"):
        open_source("synthetic:", sampling="sometimes")


def test_hardware_that_is_not_there_is_replaced_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clip = str(make_clip(tmp_path / "clip.mp4", even(4)))
    with open_source(clip, hwaccel="auto") as source:
        assert len(list(source.frames())) == 4
    with pytest.raises(OptionError, match="hwaccel"):
        list(open_source(clip, hwaccel="abacus").frames())
    assert all(record.levelname == "WARNING" for record in caplog.records)
    assert LiveOptions().transport == "tcp"
