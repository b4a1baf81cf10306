"""The gate of a live job on real clips: what has not changed gets its answers again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streamer.errors import ModelError
from streamer.models.base import Request
from streamer.models.scripted import ScriptedModel
from streamer.monitor import Monitor
from streamer.results import Usage
from streamer.sources import open_source
from streamer.streams import Opener
from streamer.tasks import Task
from tests.listening import FAST, GATED, Listener
from tests.media import even, make_clip
from tests.server.rig import eventually


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
