"""The live job on a drawn camera and a scripted model."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamer.display import EncodedPicture, display_size
from streamer.errors import ModelError, OptionError
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.monitor import Event, Monitor, StreamRemoved
from streamer.pacing import Pace, Rate
from streamer.results import FrameResult, Usage
from streamer.settings import StreamSettings, StreamStatus
from streamer.sources import LiveOptions, open_source
from streamer.streams import Opener
from streamer.tasks import Task
from tests.media import even, make_clip
from tests.server.rig import Camera, eventually, refused

FAST = StreamSettings(fps=20, display_fps=20, gate=0)
GATED = replace(FAST, gate=StreamSettings().gate)


class Listener:
    """Keeps every event."""

    def __init__(self, monitor: Monitor) -> None:
        self.events: list[Event] = []
        monitor.subscribe(self.events.append)

    def results(self, stream: str = "a") -> list[FrameResult]:
        return [event for event in tuple(self.events) if isinstance(event, FrameResult) and event.stream == stream]

    def pictures(self) -> list[EncodedPicture]:
        return [event for event in tuple(self.events) if isinstance(event, EncodedPicture)]

    def states(self, stream: str = "a") -> list[str]:
        found = [event for event in tuple(self.events) if isinstance(event, StreamStatus) and event.name == stream]
        return [event.state for event in found]


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


# -- the gate, on real clips


def drawn(move: bool) -> Callable[[int, tuple[int, int]], NDArray[np.uint8]]:
    """A street with noise; a car on it that stands or drives."""

    def picture(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        image = np.full((size[1], size[0], 3), 110, np.float32)
        image += np.random.default_rng(number).normal(0, 5, image.shape)
        x = 20 + (number * 9 % (size[0] - 60) if move else 0)
        image[size[1] // 2 :][:24, x : x + 40] = (190, 40, 40)
        return np.clip(image, 0, 255).astype(np.uint8)

    return picture


@pytest.fixture(scope="module")
def still_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "still.mp4"
    return make_clip(path, even(60, fps=20), size=(320, 192), picture=drawn(move=False))


@pytest.fixture(scope="module")
def moving_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "moving.mp4"
    return make_clip(path, even(60, fps=20), size=(320, 192), picture=drawn(move=True))


class Counting(ScriptedModel):
    """Says how many requests it has had, and keeps their budgets."""

    def __init__(self, *, seconds: float = 0.0, says: Callable[[int], str] = lambda number: f"answer {number}") -> None:
        super().__init__(self._script, seconds=seconds)
        self.budgets: list[int] = []
        self._says = says

    def _script(self, request: Request) -> str:
        self.budgets.append(request.budget)
        return self._says(len(self.budgets))


def play(path: Path, *, loop: bool = True) -> Opener:
    return lambda: open_source(str(path), realtime=True, loop=loop)


def test_a_still_picture_is_analysed_once_and_its_answer_given_again(still_clip: Path) -> None:
    with Counting() as model, Monitor(model) as monitor:
        listener = Listener(monitor)
        monitor.add("a", play(still_clip), GATED)
        eventually(lambda: len(listener.results()) >= 12)
        results, status = listener.results(), monitor.status("a")
    assert len(model.budgets) == 1
    first, *others = results
    assert not first.reused
    assert first.usage.image_tokens > 0
    assert all(result.reused and result.caption == "answer 1" and result.usage == Usage() for result in others)
    assert [result.sequence for result in results] == sorted({result.sequence for result in results})
    assert len({result.time_seconds for result in others}) > 8, "each has its own time"
    assert all(result.timings.age_ms is not None and result.timings.age_ms < 500 for result in results)
    assert all(result.timings.model_ms == 0 for result in others)
    assert status.counts["analysed"] == 1
    assert status.counts["reused"] >= 11
    assert status.reused_fps > 2
    assert status.analysed_fps == 0


def test_a_moving_picture_is_analysed_each_time(moving_clip: Path) -> None:
    with Counting() as model, Monitor(model) as monitor:
        listener = Listener(monitor)
        monitor.add("a", play(moving_clip), GATED)
        eventually(lambda: len(listener.results()) >= 12)
        assert not any(result.reused for result in listener.results())
        assert "reused" not in monitor.status("a").counts
    assert len(model.budgets) >= 12


def test_a_gate_that_is_off_analyses_what_is_still(still_clip: Path) -> None:
    with Counting() as model, Monitor(model) as monitor:
        listener = Listener(monitor)
        monitor.add("a", play(still_clip), FAST)
        eventually(lambda: len(listener.results()) >= 5)
        assert not any(result.reused for result in listener.results())


def test_frames_that_come_while_the_model_is_busy_wait_for_its_answer(still_clip: Path) -> None:
    with Counting(seconds=0.4) as model, Monitor(model) as monitor:
        listener = Listener(monitor)
        monitor.add("a", play(still_clip), GATED)
        eventually(lambda: len(listener.results()) >= 6)
        assert len(model.budgets) == 1
        results = listener.results()
        assert [result.reused for result in results] == [False] + [True] * (len(results) - 1)
        assert [result.sequence for result in results] == sorted({result.sequence for result in results})
        assert monitor.status("a").counts["replaced"] >= 3


def test_other_settings_are_answered_anew(still_clip: Path) -> None:
    with Counting() as model, Monitor(model) as monitor:
        listener = Listener(monitor)
        monitor.add("a", play(still_clip), GATED)
        eventually(lambda: len(listener.results()) >= 3)
        monitor.change("a", lambda settings: replace(settings, display_width=320, display_fps=5, fps=19))
        seen = len(listener.results())
        eventually(lambda: len(listener.results()) >= seen + 3)
        assert len(model.budgets) == 1, "how pictures are shown is no matter of the answers"
        monitor.change("a", lambda settings: settings.with_task(Task.ask("Is it day?")))
        eventually(lambda: "ask" in listener.results()[-1].answers and listener.results()[-1].reused)
        assert len(model.budgets) == 3
        monitor.change("a", lambda settings: replace(settings, budget=70))
        eventually(lambda: listener.results()[-1].budget == 70 and listener.results()[-1].reused)
        assert len(model.budgets) == 5


def test_an_old_answer_is_asked_for_anew(still_clip: Path) -> None:
    with Counting() as model, Monitor(model) as monitor:
        listener = Listener(monitor)
        monitor.add("a", play(still_clip), replace(GATED, gate_seconds=0.5))
        eventually(lambda: len(model.budgets) >= 3)
        fresh = [result for result in listener.results() if not result.reused]
        assert len(listener.results()) > 2 * len(fresh)


def test_an_answer_does_not_outlive_a_restart_of_its_source(still_clip: Path) -> None:
    with Counting() as model, Monitor(model) as monitor:
        listener = Listener(monitor)
        monitor.add("a", play(still_clip), GATED)
        eventually(lambda: len(listener.results()) >= 3)
        monitor.restart("a")
        eventually(lambda: listener.results()[-1].caption == "answer 2" and listener.results()[-1].reused)
        assert len(model.budgets) == 2


def test_an_error_is_not_given_again(still_clip: Path) -> None:
    def says(number: int) -> str:
        if number <= 3:
            raise ModelError("scripted", "no memory left")
        return f"answer {number}"

    with Counting(says=says) as model, Monitor(model) as monitor:
        listener = Listener(monitor)
        monitor.add("a", play(still_clip), GATED)
        eventually(lambda: len(listener.results()) >= 8)
        results = listener.results()
        assert [bool(result.error) for result in results[:4]] == [True, True, True, False]
        assert not any(result.reused for result in results[:4])
        assert all(result.reused and result.caption == "answer 4" for result in results[4:])
        assert len(model.budgets) == 4
        assert monitor.status("a").counts["failed"] == 3


def test_what_has_changed_is_asked_until_all_frames_are_alike(still_clip: Path) -> None:
    with Counting() as model, Monitor(model) as monitor:
        listener = Listener(monitor)
        monitor.add("a", play(still_clip), replace(GATED, tasks=(Task.caption(), Task.compare(frames=2))))
        eventually(lambda: len(listener.results()) >= 6)
        first, second, *others = listener.results()
    assert (set(first.answers), set(second.answers)) == ({"caption"}, {"caption", "compare"})
    assert not second.reused
    assert all(result.reused and result.answers == second.answers for result in others)


def test_a_still_camera_is_answered_while_the_model_works_for_another(still_clip: Path, moving_clip: Path) -> None:
    """Its known answer does not wait for the model."""
    with Counting() as model, Monitor(model) as monitor:
        listener = Listener(monitor)
        monitor.add("a", play(still_clip), GATED)
        eventually(lambda: len(listener.results()) >= 2)
        model._seconds = 1.0
        monitor.add("b", play(moving_clip), GATED)
        eventually(lambda: len(listener.results("b")) >= 1)
        ages = [result.timings.age_ms or 0 for result in listener.results() if result.reused]
    assert max(ages) < 500


def test_the_budget_auto_follows_what_happens(still_clip: Path, moving_clip: Path) -> None:
    settings = replace(FAST, budget="auto")
    with Counting() as model, Monitor(model) as monitor:
        listener = Listener(monitor)
        monitor.add("a", play(still_clip), settings)
        eventually(lambda: len(listener.results()) >= 8)
        monitor.add("b", play(moving_clip), settings)
        eventually(lambda: len(listener.results("b")) >= 8)
        still = [result.budget for result in listener.results()]
        moving = [result.budget for result in listener.results("b")]
        tokens = {result.budget: result.usage.image_tokens for result in listener.results()}
    assert (still[0], still[-1]) == (140, 70), "all is new at first, then nothing"
    assert still == sorted(still, reverse=True)
    assert set(moving) == {140}
    assert tokens[70] <= 70 < tokens[140] <= 140


def test_the_budget_auto_looks_closer_where_an_answer_asks_for_it(still_clip: Path) -> None:
    model = Counting(says=lambda number: "too small to read" if number < 3 else "EXIT")
    with Monitor(model) as monitor:
        listener = Listener(monitor)
        monitor.add("a", play(still_clip), replace(GATED, budget="auto", tasks=(Task.read(),)))
        eventually(lambda: len(listener.results()) >= 6)
        results = listener.results()
    assert len(model.budgets) == 3
    assert model.budgets == sorted(model.budgets)
    assert model.budgets[-1] >= 280
    assert all(result.reused and result.answers == {"read": "EXIT"} for result in results[3:])


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


@given(
    rate=st.floats(0.1, 60),
    gaps=st.lists(st.floats(0.0, 0.5), min_size=2, max_size=200),
)
def test_pace_never_exceeds_its_rate(rate: float, gaps: list[float]) -> None:
    pace, now, used = Pace(rate), 100.0, 0
    for gap in gaps:
        now += gap
        used += pace.due(now)
    assert used <= (now - 100.0) * rate + 1.2


def test_pace_keeps_its_rate_under_jitter() -> None:
    pace = Pace(10)
    used = sum(pace.due(number / 25 + (0.004 if number % 2 else -0.004)) for number in range(250))
    assert 97 <= used <= 101


@given(gap=st.floats(0.02, 2.0), count=st.integers(3, 100))
def test_rate_is_that_of_regular_events_and_falls_when_they_stop(gap: float, count: int) -> None:
    rate = Rate()
    for number in range(count):
        rate.add(number * gap)
    last = (count - 1) * gap
    assert rate.per_second(last) == pytest.approx(1 / gap, rel=0.01)
    assert rate.per_second(last + 100) < 0.02


@given(st.integers(1, 8000), st.integers(1, 8000), st.integers(64, 3840))
def test_display_size_keeps_the_aspect(width: int, height: int, wanted: int) -> None:
    out = display_size((width, height), wanted)
    assert all(side >= 2 and side % 2 == 0 for side in out)
    assert out[0] <= max(wanted + 1, 2)
    if out[0] > 100 and out[1] > 100:
        assert out[0] / out[1] == pytest.approx(width / height, rel=0.03)
