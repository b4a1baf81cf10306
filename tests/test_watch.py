"""The whole live way: a file as a camera, a model, the server, and a client of it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer.client import Client
from streamer.errors import OptionError, SourceError
from streamer.models.scripted import ScriptedModel
from streamer.server.protocol import Result, Snapshot
from streamer.settings import StreamSettings
from streamer.tasks import Task
from streamer.watching import sample_video, watch
from tests.media import even, make_clip

SETTINGS = StreamSettings(tasks=(Task.caption("What is there?"),), fps=20, budget=70)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", even(8, fps=20))


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    end = time.monotonic() + 3
    while (left := set(threading.enumerate()) - before) and time.monotonic() < end:
        time.sleep(0.02)
    assert left == set()


def results(client: Client) -> Iterator[Result]:
    return (message for message in client if isinstance(message, Result))


def test_results_of_a_looped_file_arrive_and_it_ends_in_time(clip: Path) -> None:
    with watch([str(clip)], ScriptedModel(), SETTINGS, port=0, loop=True) as server:
        assert server.url == f"http://127.0.0.1:{server.port}/"
        with Client(server.url) as client:
            found = results(client)
            seen = [next(found) for _ in range(12)]
        ending = time.monotonic()
    assert time.monotonic() - ending < 3
    assert {result.caption for result in seen} == {"1 picture(s): What is there?"}
    times = [result.media_seconds for result in seen]
    assert times == sorted(times)
    assert times[-1] > 0.4  # beyond the file's end: it was begun again


def test_a_model_that_is_busy_does_not_hold_the_end_up(clip: Path) -> None:
    with watch([str(clip)], ScriptedModel(seconds=4), SETTINGS, port=0, loop=True):
        time.sleep(0.5)
        ending = time.monotonic()
    assert time.monotonic() - ending < 3


def test_sources_of_one_name_get_names_of_their_own(clip: Path) -> None:
    with (
        watch([str(clip), str(clip), "synthetic:?live=1"], ScriptedModel(), SETTINGS, port=0, loop=True) as server,
        Client(server.url) as client,
    ):
        snapshot = next(message for message in client if isinstance(message, Snapshot))
        names = [stream.stream for stream in snapshot.streams]
    assert names == ["clip.mp4", "clip.mp4 (2)", "synthetic:?live=1"]


def test_a_camera_that_is_not_there_is_shown_and_not_raised() -> None:
    with (
        watch(["rtsp://127.0.0.1:9/none"], ScriptedModel(), SETTINGS, port=0) as server,
        Client(server.url) as client,
    ):
        snapshot = next(message for message in client if isinstance(message, Snapshot))
    assert snapshot.streams[0].state in ("connecting", "waiting")


def test_a_file_that_is_not_there_is_said_at_once(clip: Path, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.mp4")
    with (
        pytest.raises(SourceError, match=r"missing\.mp4.*no such file"),
        watch([str(clip), missing], ScriptedModel(), port=0),
    ):
        pass


def test_a_port_in_use_is_said(clip: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OptionError, match=rf"127\.0\.0\.1:{port}"), watch([str(clip)], ScriptedModel(), port=port):
            pass


def test_an_error_in_the_block_ends_everything(clip: Path) -> None:
    with pytest.raises(ZeroDivisionError), watch([str(clip)], ScriptedModel(), port=0, loop=True):
        raise ZeroDivisionError


def test_the_sample_video_is_there() -> None:
    assert sample_video().name == "street.mp4"
    with pytest.raises(OptionError, match=r"nothing\.mp4"):
        sample_video("nothing.mp4")
