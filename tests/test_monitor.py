"""The live job on a drawn camera and a scripted model."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamer.errors import ModelError, OptionError
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.monitor import Event, Monitor, StreamRemoved
from streamer.settings import StreamSettings
from streamer.sources import LiveOptions, open_source
from streamer.tasks import Task
from tests.listening import FAST, Listener
from tests.server.rig import Camera, eventually, refused


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    with Monitor(ScriptedModel()) as monitor:
        yield monitor


def test_frames_become_results_with_an_honest_age(monitor: Monitor) -> None:
    listener = Listener(monitor)
    camera = Camera(fps=50)
    monitor.add("a", lambda: camera, FAST)
    eventually(lambda: len(listener.results()) >= 5)
    results = listener.results()
    assert [result.sequence for result in results] == sorted({result.sequence for result in results})
    assert results[0].caption == "1 picture(s): Describe this picture in one sentence."
    assert all(result.timings.age_ms is not None and 0 <= result.timings.age_ms < 500 for result in results)
    assert results[0].source_size == (640, 360)
    assert listener.states()[:2] == ["connecting", "live"]


def test_the_stages_of_a_result_make_up_its_age(monitor: Monitor) -> None:
    listener = Listener(monitor)
    monitor.add("a", lambda: Camera(), replace(FAST, gate=0.5))
    eventually(lambda: {result.reused for result in listener.results()} == {False, True})
    for timings in (result.timings for result in listener.results()):
        assert timings.age_ms is not None
        assert timings.deliver_ms is not None
        stages = timings.decode_ms + timings.queue_ms + timings.total_ms + timings.deliver_ms
        assert timings.age_ms == pytest.approx(stages, abs=0.5)


def test_a_slow_model_gets_the_newest_frame_and_the_rest_is_counted() -> None:
    with Monitor(ScriptedModel(seconds=0.3)) as monitor:
        listener = Listener(monitor)
        monitor.add("a", lambda: Camera(fps=50), replace(FAST, fps=50))
        eventually(lambda: len(listener.results()) >= 4)
        ages = [result.timings.age_ms or 0 for result in listener.results()]
        counts = monitor.status("a").counts
    assert max(ages) < 300 + 150, "a frame waited instead of being replaced by a newer one"
    assert counts["replaced"] > 10
    assert counts["analysed"] + counts["replaced"] <= counts["pictures"]


def test_a_camera_that_dies_unseen_and_unasked_has_a_last_picture(monitor: Monitor) -> None:
    monitor.add("a", lambda: Camera(fps=30, last=3), replace(FAST, tasks=()))
    eventually(lambda: monitor.status("a").state == "ended")
    still = monitor.still("a")
    assert still is not None
    decoded = cv2.imdecode(np.frombuffer(still.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert decoded.shape[:2] == (270, 480)


def test_pictures_are_encoded_once_and_only_while_somebody_looks(monitor: Monitor) -> None:
    listener = Listener(monitor)
    camera = Camera(fps=30)
    monitor.add("a", lambda: camera, replace(FAST, display_width=320, tasks=()))
    eventually(lambda: monitor.status("a").counts.get("pictures", 0) > 10)
    assert camera.scaled == [(480, 270)], "one that is kept in case the camera dies"
    first, second = monitor.look("a"), monitor.look("a")
    eventually(lambda: len(listener.pictures()) >= 5)
    assert len(listener.pictures()) >= len(camera.scaled) - 1, "scaled more often than shown"
    first()
    first()
    seen = len(listener.pictures())
    eventually(lambda: len(listener.pictures()) > seen)
    second()
    time.sleep(0.1)
    seen = len(listener.pictures())
    time.sleep(0.3)
    assert len(listener.pictures()) == seen
    picture = listener.pictures()[0]
    image = cv2.imdecode(np.frombuffer(picture.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    assert image.shape == (180, 320, 3)
    assert picture.size == (320, 180)


def test_a_fault_of_one_stream_is_its_own_state(monitor: Monitor, caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener(monitor)
    monitor.add("gone", refused, FAST, address="rtsp://someone:secret@10.0.0.9/live")
    monitor.add("broken", lambda: Camera(last=3, fault=RuntimeError("no such stream")), FAST)
    monitor.add("short", lambda: Camera(last=3), FAST)
    monitor.add("a", lambda: Camera(), FAST)
    eventually(lambda: monitor.status("broken").state == "failed" and monitor.status("short").state == "ended")
    before = len(listener.results())
    eventually(lambda: len(listener.results()) > before + 2)
    gone = monitor.status("gone")
    assert gone.state == "failed"
    assert "connection refused" in gone.reason
    assert "secret" not in gone.reason + gone.address
    assert "RuntimeError: no such stream" in monitor.status("broken").reason
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    caplog.clear()


def test_an_ended_stream_starts_again_and_shows_its_last_picture(monitor: Monitor) -> None:
    listener = Listener(monitor)
    monitor.add("a", lambda: Camera(last=3), FAST)
    eventually(lambda: monitor.status("a").state == "ended")
    still = monitor.still("a")
    assert still is not None
    assert still.jpeg[:2] == b"\xff\xd8"
    monitor.restart("a")
    eventually(lambda: listener.states().count("ended") == 2)
    assert listener.states() == ["connecting", "live", "ended"] * 2
    sequences = [result.sequence for result in listener.results()]
    assert sequences == sorted(set(sequences))


def test_a_camera_that_gives_nothing_is_stalled(monitor: Monitor) -> None:
    camera = Camera()
    monitor.add("a", lambda: camera, FAST)
    eventually(lambda: monitor.status("a").state == "live")
    camera.frozen.set()
    eventually(lambda: monitor.status("a").state == "stalled")
    assert monitor.status("a").reason == "no picture comes"
    camera.frozen.clear()
    eventually(lambda: monitor.status("a").state == "live")


def test_a_camera_that_is_away_is_waited_for(monitor: Monitor) -> None:
    address = "rtsp://me:secret@127.0.0.1:9/live"
    monitor.add("a", lambda: open_source(address, live=LiveOptions(connect_timeout_seconds=1)), FAST, address=address)
    eventually(lambda: monitor.status("a").state == "waiting")
    status = monitor.status("a")
    assert status.reason
    assert "secret" not in status.reason + status.address


def test_a_file_is_watched_at_its_own_pace(monitor: Monitor) -> None:
    listener = Listener(monitor)
    street = Path(__file__).parents[1] / "sample_videos" / "street.mp4"
    monitor.add("a", lambda: open_source(str(street), realtime=True, loop=True), replace(FAST, fps=5))
    unlook = monitor.look("a")
    eventually(lambda: len(listener.results()) >= 5 and len(listener.pictures()) >= 5)
    unlook()
    status = monitor.status("a")
    assert (status.state, status.codec) == ("live", "h264")
    assert status.picture_fps < 60
    gaps = np.diff([result.time_seconds for result in listener.results()])
    assert np.median(gaps) == pytest.approx(0.2, abs=0.1)


def test_settings_change_while_it_runs(monitor: Monitor) -> None:
    listener = Listener(monitor)
    monitor.add("a", lambda: Camera(), FAST)
    eventually(lambda: listener.results())
    monitor.change("a", lambda settings: replace(settings, budget=70).with_task(Task.ask("Is it day?")))
    eventually(lambda: "ask" in listener.results()[-1].answers)
    assert listener.results()[-1].budget == 70
    status = monitor.change("a", lambda settings: settings.without_task("caption"))
    assert [task.name for task in status.settings.tasks] == ["ask"]
    eventually(lambda: listener.results()[-1].caption is None)
    with pytest.raises(OptionError, match="budget: 71"):
        monitor.change("a", lambda settings: replace(settings, budget=71))
    assert monitor.status("a").settings.budget == 70


def test_a_paused_stream_is_not_analysed_but_counted(monitor: Monitor) -> None:
    listener = Listener(monitor)
    monitor.add("a", lambda: Camera(), replace(FAST, paused=True))
    eventually(lambda: monitor.status("a").counts.get("paused", 0) > 3)
    assert listener.results() == []
    monitor.change("a", lambda settings: replace(settings, paused=False))
    eventually(lambda: listener.results())


def test_compare_gets_the_frames_before(monitor: Monitor) -> None:
    listener = Listener(monitor)
    monitor.add("a", lambda: Camera(), replace(FAST, tasks=(Task.compare("What moved?", frames=3),)))
    eventually(lambda: len(listener.results()) >= 2)
    assert {result.answers["compare"] for result in listener.results()} == {"3 picture(s): What moved?"}
    assert listener.results()[0].sequence >= 2


def test_frames_of_all_streams_share_batches_and_none_starves() -> None:
    sizes: list[int] = []

    class Counting(ScriptedModel):
        def generate(self, requests):  # type: ignore[no-untyped-def]
            sizes.append(len(requests))
            return super().generate(requests)

    with Monitor(Counting(seconds=0.05), max_batch=2) as monitor:
        listener = Listener(monitor)
        names = [f"camera {number}" for number in range(6)]
        for name in names:
            monitor.add(name, lambda: Camera((64, 48), fps=40), replace(FAST, fps=40))
        eventually(lambda: all(len(listener.results(name)) >= 4 for name in names))
        counts = [len(listener.results(name)) for name in names]
    assert max(sizes) == 2
    assert max(counts) <= 2 * min(counts), counts


def test_a_model_that_fails_gives_errors_and_not_captions(caplog: pytest.LogCaptureFixture) -> None:
    wrong = {"fault": True}

    def script(request: Request) -> str:
        if wrong["fault"]:
            raise ModelError("scripted", "no memory left")
        return "a street"

    with Monitor(ScriptedModel(script)) as monitor:
        listener = Listener(monitor)
        monitor.add("a", lambda: Camera(), FAST)
        eventually(lambda: listener.results())
        assert listener.results()[0].caption is None
        assert "no memory left" in (listener.results()[0].error or "")
        assert monitor.status("a").counts["failed"] >= 1
        wrong["fault"] = False
        eventually(lambda: listener.results()[-1].caption == "a street")
    assert caplog.records == []


def test_a_model_that_breaks_does_not_end_the_job(caplog: pytest.LogCaptureFixture) -> None:
    answers = iter([ZeroDivisionError("cannot be")])

    def script(request: Request) -> str:
        for error in answers:
            raise error
        return "fine"

    with Monitor(ScriptedModel(script)) as monitor:
        listener = Listener(monitor)
        monitor.add("a", lambda: Camera(), FAST)
        eventually(lambda: listener.results() and listener.results()[-1].caption == "fine")
    assert "ZeroDivisionError" in (listener.results()[0].error or "")
    assert "the batch failed" in caplog.text
    caplog.clear()


def test_streams_come_and_go(monitor: Monitor) -> None:
    listener = Listener(monitor)
    camera = Camera()
    monitor.add("a", lambda: camera, FAST)
    with pytest.raises(OptionError, match="no other stream has"):
        monitor.add("a", lambda: camera)
    eventually(lambda: listener.results())
    monitor.remove("a")
    assert camera.closed.is_set()
    assert isinstance(listener.events[-1], StreamRemoved)
    assert monitor.statuses() == ()
    with pytest.raises(OptionError, match="expected one of none yet"):
        monitor.remove("a")
    assert monitor.add("a", lambda: Camera(), FAST).number == 2


def test_close_ends_every_thread_in_time() -> None:
    before = set(threading.enumerate())
    monitor = Monitor(ScriptedModel(seconds=0.5))
    for number in range(8):
        monitor.add(f"{number}", lambda: Camera(), FAST)
    time.sleep(0.3)
    started = time.monotonic()
    monitor.close()
    monitor.close()
    assert time.monotonic() - started < 3
    assert set(threading.enumerate()) <= before


def test_the_end_interrupts_a_long_model_call() -> None:
    monitor = Monitor(ScriptedModel(seconds=60))
    monitor.add("a", lambda: Camera(), FAST)
    eventually(lambda: monitor.status("a").counts.get("replaced", 0) > 0)
    started = time.monotonic()
    monitor.close()
    assert time.monotonic() - started < 2
    assert not monitor.busy


class Stubborn(ScriptedModel):
    """Hangs in a call that cannot be interrupted, as a driver may."""

    def interrupt(self) -> None:
        pass


def test_a_model_call_that_does_not_end_holds_up_nobody(caplog: pytest.LogCaptureFixture) -> None:
    monitor = Monitor(Stubborn(seconds=4))
    listener = Listener(monitor)
    monitor.add("a", lambda: Camera(), FAST)
    eventually(lambda: monitor.status("a").counts.get("replaced", 0) > 0)
    started = time.monotonic()
    monitor.close()
    assert time.monotonic() - started < 3
    assert monitor.busy
    assert "still busy with its last batch" in caplog.text
    eventually(lambda: not monitor.busy)
    assert listener.results() == []


def test_a_subscriber_that_fails_harms_nobody(monitor: Monitor, caplog: pytest.LogCaptureFixture) -> None:
    def bad(event: Event) -> None:
        raise ValueError("subscriber")

    caplog.set_level(logging.CRITICAL)
    unsubscribe = monitor.subscribe(bad)
    listener = Listener(monitor)
    monitor.add("a", lambda: Camera(), FAST)
    eventually(lambda: len(listener.results()) > 2)
    unsubscribe()


@pytest.mark.parametrize(
    "changes",
    [
        *({"fps": 0}, {"display_fps": 1000}, {"display_width": 1}, {"tasks": (Task.read(), Task.read())}),
        *({"budget": 100}, {"budget": "much"}, {"gate": 1.5}, {"gate": -0.1}, {"gate_seconds": 0}),
    ],
)
def test_settings_that_cannot_be_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        replace(StreamSettings(), **changes)  # type: ignore[arg-type]
