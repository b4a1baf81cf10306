"""What the live job gives beside its events: results with their frames, ids that last, and questions in between."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from streamer.analyzer import Job
from streamer.errors import ModelError
from streamer.frames import Frame
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.monitor import Monitor
from streamer.questions import MAX_QUESTIONS
from streamer.results import FrameResult
from streamer.settings import StreamSettings
from streamer.tasks import Task
from tests.server.rig import Camera, eventually

FAST = StreamSettings(fps=20, gate=0)


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    with Monitor(ScriptedModel()) as monitor:
        yield monitor


def question(words: str = "What is it?") -> Job:
    return Job(Frame(np.zeros((96, 96, 3), np.uint8), (96, 96), "picture", 0, 0.0), (Task.ask(words),), 70)


def test_a_follower_gets_each_result_with_its_frame(monitor: Monitor) -> None:
    seen: list[tuple[FrameResult, Frame | None]] = []
    unfollow = monitor.follow(lambda result, frame: seen.append((result, frame)))
    monitor.add("a", lambda: Camera(fps=50), replace(FAST, display_width=320))
    eventually(lambda: len(seen) >= 3)
    unfollow()
    for result, frame in seen:
        assert frame is not None
        assert frame.sequence == result.sequence
        assert frame.display is not None
        assert frame.display.shape == (180, 320, 3)


def test_an_unchanged_frame_comes_without_its_picture(monitor: Monitor) -> None:
    seen: list[tuple[FrameResult, Frame | None]] = []
    monitor.follow(lambda result, frame: seen.append((result, frame)))
    monitor.add("a", lambda: Camera(fps=50), replace(FAST, gate=0.05))
    eventually(lambda: any(result.reused for result, _ in seen))
    assert [frame is None for result, frame in seen] == [result.reused for result, _ in seen]


def test_without_a_follower_no_picture_for_viewers_is_made() -> None:
    frames: list[Frame] = []
    with Monitor(ScriptedModel()) as monitor:
        monitor.add("a", lambda: Camera(fps=50), FAST)
        eventually(lambda: monitor.status("a").counts.get("analysed", 0) >= 2)
        monitor.follow(lambda result, frame: frames.append(frame) if frame else None)
        eventually(lambda: len(frames) >= 3)
    assert frames[0].display is None or frames[1].display is not None
    assert frames[-1].display is not None


def test_a_follower_that_fails_harms_nobody(monitor: Monitor, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[FrameResult] = []

    def broken(result: FrameResult, frame: Frame | None) -> None:
        raise RuntimeError("mine")

    monitor.follow(broken)
    monitor.follow(lambda result, frame: seen.append(result))
    monitor.add("a", lambda: Camera(fps=50), FAST)
    eventually(lambda: len(seen) >= 2)
    assert "a follower failed" in caplog.text
    caplog.clear()


def test_detections_keep_their_ids_from_frame_to_frame_and_while_nothing_changes() -> None:
    places = count()

    def script(request: Request) -> str:
        left = 100 + 10 * next(places)
        return json.dumps([{"box_2d": [200, left, 600, left + 200], "label": "car"}])

    seen: list[FrameResult] = []
    with Monitor(ScriptedModel(script)) as monitor:
        monitor.follow(lambda result, frame: seen.append(result))
        camera = Camera(fps=50)
        monitor.add("a", lambda: camera, replace(FAST, tasks=(Task.detect("car"),), gate=0.05, gate_seconds=0.2))
        eventually(lambda: len({r.detections[0].box for r in seen}) >= 3 and sum(r.reused for r in seen) >= 3)
    assert {detection.track_id for result in seen for detection in result.detections} == {1}


def test_a_question_is_answered_between_the_frames(monitor: Monitor) -> None:
    monitor.add("a", lambda: Camera(fps=50), FAST)
    assert monitor.submit(question("Who?")).result(5).answers["ask"] == "1 picture(s): Who?"


def test_a_question_is_answered_where_no_stream_runs(monitor: Monitor) -> None:
    assert monitor.submit(question()).result(5).error is None


def test_streams_and_questions_do_not_hold_each_other_up() -> None:
    seen: list[FrameResult] = []
    with Monitor(ScriptedModel(seconds=0.05), max_batch=1) as monitor:
        monitor.follow(lambda result, frame: seen.append(result))
        monitor.add("a", lambda: Camera(fps=50), FAST)
        eventually(lambda: bool(seen))
        asked = [monitor.submit(question()) for _ in range(10)]
        before = len(seen)
        for future in asked:
            future.result(5)
        assert len(seen) > before


def test_more_questions_than_can_wait_are_refused_and_the_end_cancels_those_that_wait() -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(request: Request) -> str:
        entered.set()
        leave.wait(10)
        return "yes"

    futures: list[Future[FrameResult]] = []
    with Monitor(ScriptedModel(slow)) as monitor:
        futures.append(monitor.submit(question()))
        assert entered.wait(5)
        futures += [monitor.submit(question()) for _ in range(MAX_QUESTIONS)]
        with pytest.raises(ModelError, match="too many questions"):
            monitor.submit(question())
        threading.Timer(0.3, leave.set).start()
    assert all(future.cancelled() for future in futures[1:])
    with pytest.raises(ModelError):
        monitor.submit(question())


def test_a_model_that_fails_says_so_in_the_result() -> None:
    def script(request: Request) -> str:
        raise ModelError("scripted", "no memory left")

    with Monitor(ScriptedModel(script)) as monitor:
        assert "no memory left" in (monitor.submit(question()).result(5).error or "")
