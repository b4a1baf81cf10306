"""The gate: what moves is seen wherever it is, what only flickers is not; and the budget that follows from it."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamer.annotation import AnnotateJob
from streamer.errors import ModelError, OptionError
from streamer.filejob import AnnotateOptions
from streamer.frames import Frame
from streamer.gating import (
    CELLS,
    FLICKER,
    MAX_AGE_SECONDS,
    THRESHOLD,
    AutoBudget,
    Gate,
    Sight,
    asks_for_detail,
    difference,
    repeated,
    thumbnail,
)
from streamer.gemma.budget import size_for
from streamer.models.base import BUDGETS, Request
from streamer.models.scripted import ScriptedModel
from streamer.outputs.jsonl import read_journal, result_from_json
from streamer.results import FrameResult, Timings, Usage
from streamer.sampling import Sampling
from streamer.sources import open_source
from streamer.tasks import Task
from tests.media import even, make_clip

SAMPLES = Path(__file__).parents[1] / "sample_videos"
SIZE = (640, 352)
GREY = 110


@functools.cache
def scene(*, seed: int = 0, noise: float = 0.0) -> NDArray[np.uint8]:
    """A street of flat areas, with the noise of a sensor."""
    image = np.full((SIZE[1], SIZE[0], 3), GREY, np.float32)
    image[200:], image[:80, 300:] = 60, 190
    image += np.random.default_rng(seed).normal(0, noise, image.shape) if noise else 0
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def with_thing(image: NDArray[np.uint8], x: int, y: int, side: int = 16, lighter: int = 50) -> NDArray[np.uint8]:
    changed = image.astype(np.int16)
    changed[y : y + side, x : x + side] += lighter
    return np.asarray(np.clip(changed, 0, 255), np.uint8)


def sight(image: NDArray[np.uint8], seconds: float = 0.0, scene: str = "") -> Sight:
    return Sight(thumbnail(image), seconds, scene)


@pytest.mark.parametrize("size", [(48, 48), (528, 288), (144, 1056), (1, 1), (2000, 30)])
def test_a_thumbnail_of_any_picture_has_the_same_size(size: tuple[int, int]) -> None:
    image = np.full((size[1], size[0], 3), (255, 0, 0), np.uint8)
    small = thumbnail(image)
    assert small.shape == CELLS[::-1]
    assert set(small.ravel().tolist()) == {76}


@settings(deadline=None)
@given(x=st.integers(0, SIZE[0] - 16), y=st.integers(0, SIZE[1] - 16), lighter=st.sampled_from([-60, -45, 45, 60]))
def test_a_small_thing_is_seen_wherever_it_is(x: int, y: int, lighter: int) -> None:
    before, after = scene(noise=4), with_thing(scene(seed=1, noise=4), x, y, lighter=lighter)
    assert difference(thumbnail(before), thumbnail(after)) > THRESHOLD


@settings(deadline=None)
@given(level=st.integers(-FLICKER, FLICKER), seed=st.integers(0, 9))
def test_flicker_and_noise_are_not(level: int, seed: int) -> None:
    before = scene(seed=seed, noise=12)
    after = np.asarray(np.clip(scene(seed=seed + 1, noise=12).astype(np.int16) + level, 0, 255), np.uint8)
    assert difference(thumbnail(before), thumbnail(after)) < THRESHOLD


def test_a_light_switched_on_is_seen() -> None:
    assert difference(thumbnail(scene()), thumbnail(with_thing(scene(), 0, 0, side=640, lighter=30))) > THRESHOLD


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_a_difference_has_no_direction_and_none_to_itself(one: bytes, two: bytes) -> None:
    a, b = (np.frombuffer(data, np.uint8).reshape(4, 4) for data in (one, two))
    assert difference(a, a) == 0
    assert difference(a, b) == pytest.approx(difference(b, a))
    assert 0 <= difference(a, b) <= 1


def test_slow_drift_does_not_escape() -> None:
    """Each step alone is below the threshold; together they are not."""
    gate = Gate()
    steps = [with_thing(scene(), 300, 100, side=40, lighter=number * 2) for number in range(30)]
    analysed = []
    for number, image in enumerate(steps):
        if gate.look(sight(image)).analyse:
            gate.analysed(sight(image))
            analysed.append(number)
    assert 5 <= len(analysed) <= 10


def test_the_gate_says_how_much_and_looking_changes_nothing() -> None:
    gate = Gate(0.1)
    assert gate.look(sight(scene())).difference == 1
    gate.analysed(sight(scene()))
    slightly = sight(with_thing(scene(), 100, 100, side=40, lighter=20))
    for _ in range(3):
        look = gate.look(slightly)
        assert look.difference == pytest.approx(20 / 255, abs=0.01)
        assert (look.changed, look.analyse) == (False, False)
    assert Gate(0.05).look(slightly).analyse


def test_an_unchanged_picture_is_analysed_after_the_longest_time() -> None:
    gate = Gate(max_age_seconds=5)
    gate.analysed(sight(scene(), 100.0))
    assert not gate.look(sight(scene(), 104.9)).analyse
    old = gate.look(sight(scene(), 105.0))
    assert (old.changed, old.analyse) == (False, True)
    gate.analysed(sight(scene(), 105.0))
    assert not gate.look(sight(scene(), 109.0)).analyse


def test_what_is_not_the_same_scene_is_not_compared() -> None:
    gate = Gate()
    gate.analysed(sight(scene(), scene="before the restart"))
    assert gate.look(sight(scene(), scene="after it")).changed
    assert not gate.look(sight(scene(), scene="before the restart")).changed


def test_a_gate_that_is_off_lets_everything_through_and_still_sees() -> None:
    gate = Gate(0)
    gate.analysed(sight(scene()))
    still, moved = gate.look(sight(scene())), gate.look(sight(with_thing(scene(), 9, 9)))
    assert (still.analyse, still.changed) == (True, False)
    assert (moved.analyse, moved.changed) == (True, True)


def test_questions_about_several_frames_are_answered_until_all_of_them_are_alike() -> None:
    gate, analysed = Gate(window=3), []
    for number in range(10):
        image = sight(scene() if number < 4 else with_thing(scene(), 50, 50))
        if gate.look(image).analyse:
            gate.analysed(image)
            analysed.append(number)
    assert analysed == [0, 1, 2, 4, 5, 6]


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_that_is_no_difference_is_refused(threshold: float) -> None:
    with pytest.raises(OptionError, match="gate"):
        Gate(threshold)


def test_a_fixed_camera_at_night_is_analysed_where_something_moves() -> None:
    """Held against the ground truth, a frame a second."""
    drawn = json.loads((SAMPLES / "night.json").read_text())["frames"]

    def in_view(frame: Any) -> list[Any]:
        """Not the seven pixels of a person who has only begun to come in."""
        return [thing for thing in frame["objects"] if thing["visible"] > 0.2]

    gate, last = Gate(), 0
    reused = 0
    with open_source(
        str(SAMPLES / "night.mp4"), sampling=Sampling.every(1), size_for=lambda size: size_for(size, 70)
    ) as source:
        for frame in source.frames():
            assert frame.index is not None
            if gate.look(Sight.of(frame)).analyse:
                gate.analysed(Sight.of(frame))
                last = frame.index
            else:
                reused += 1
                assert in_view(drawn[frame.index]) == in_view(drawn[last]), f"frame {frame.index} has changed"
    assert reused >= 15, "half of the 30 seconds are still"


def test_a_moving_street_is_always_analysed() -> None:
    gate = Gate()
    with open_source(str(SAMPLES / "street.mp4"), sampling=Sampling.every(1)) as source:
        for frame in source.frames():
            assert gate.look(Sight.of(frame)).analyse
            gate.analysed(Sight.of(frame))


def test_another_budget_is_no_change() -> None:
    with open_source(str(SAMPLES / "street.mp4")) as source:
        picture = next(iter(source.pictures()))
        small = [thumbnail(picture.scaled(size_for(picture.source_size, budget))) for budget in BUDGETS]
    assert max(difference(a, b) for a in small for b in small) < THRESHOLD / 2


def test_repeated_answers_are_marked_and_cost_nothing() -> None:
    result = FrameResult(
        "a", 3, 3.0, (640, 352), 75, 300, "a street", answers={"caption": "a street"}, usage=Usage(66, 9, 3, 0, 0, 3),
        timings=Timings(1, 2, 3, 4, 5), budget=70, model="m",
    )  # fmt: skip
    frame = Frame(scene(), (640, 352), "a", 4, 4.0, index=100, pts=400, decode_ms=1.5)
    again = repeated(result, frame)
    assert (again.sequence, again.time_seconds, again.index, again.pts) == (4, 4.0, 100, 400)
    assert (again.caption, again.answers, again.budget, again.model) == ("a street", result.answers, 70, "m")
    assert (again.reused, again.usage, again.timings) == (True, Usage(), Timings(decode_ms=1.5))


# -- the budget


def test_the_budget_is_low_while_nothing_changes_and_one_step_up_where_something_does() -> None:
    auto = AutoBudget()
    seen = [auto.see(changed) for changed in (False, False, True, False, False, False, False, True, True)]
    assert seen == [70, 70, 140, 140, 140, 70, 70, 140, 140]


def test_an_answer_that_asks_is_given_more_until_it_is_content() -> None:
    auto = AutoBudget()
    assert auto.see(False) == 70
    assert auto.hear(70, asks=True)
    assert auto.see(False) == 140
    assert auto.hear(140, asks=True)
    assert auto.see(False) == 280
    for _ in range(AutoBudget.CONTENT_ANSWERS):
        assert auto.see(False) == 280
        assert not auto.hear(280, asks=False)
    assert auto.see(False) == 140
    for _ in range(AutoBudget.CONTENT_ANSWERS):
        auto.hear(140, asks=False)
    assert auto.see(False) == 70


def test_asking_ends_at_the_highest_budget() -> None:
    auto, budget, asked = AutoBudget(), 70, 0
    while auto.hear(budget, asks=True):
        budget, asked = auto.see(False), asked + 1
    assert (budget, asked) == (560, 3)


def test_an_answer_from_before_a_step_asks_for_no_second_one() -> None:
    auto = AutoBudget()
    auto.see(False)
    auto.hear(70, asks=True)
    assert auto.see(False) == 140
    assert auto.hear(70, asks=True), "the closer look is still to come"
    assert auto.see(False) == 140


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_the_budget_stays_in_bounds_and_comes_back(history: list[tuple[bool, bool]]) -> None:
    auto = AutoBudget()
    for changed, asks in history:
        budget = auto.see(changed)
        assert budget in BUDGETS[:4]
        auto.hear(budget, asks)
    for _ in range(3 * AutoBudget.CONTENT_ANSWERS):
        auto.hear(auto.see(False), asks=False)
    assert auto.see(False) == 70


@pytest.mark.parametrize(
    ("answer", "asks"),
    [
        ("The sign says STOP.", False),
        ("The sign is too small to read.", True),
        ("The text is illegible", True),
        ("It cannot be read.", True),
        ("I can't make out the plate.", True),
        ("The text isn't legible.", True),
        ("The picture is blurry.", True),
        ("A clear day with a small dog, not reading.", False),
        ({"answer": None, "text": "Unclear."}, True),
        ({"answer": True, "text": "Yes, a clear one."}, False),
        (None, False),
    ],
)
def test_answers_ask_in_words(answer: object, asks: bool) -> None:
    assert asks_for_detail(FrameResult("a", 0, 0.0, (1, 1), answers={"read": answer})) is asks


def test_the_longest_time_is_a_minute() -> None:
    gate = Gate()
    gate.analysed(sight(scene(), 0))
    assert [gate.look(sight(scene(), seconds)).analyse for seconds in (59, MAX_AGE_SECONDS)] == [False, True]


# -- files


@pytest.fixture
def standing(tmp_path: Path) -> Path:
    """Nothing moves for two seconds, then a thing is there for one."""

    def picture(number: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        still = scene(seed=number % 4, noise=4)
        return with_thing(still, 300, 250, side=40) if number >= 20 else still

    return make_clip(tmp_path / "standing.mp4", even(30), size=SIZE, picture=picture)


def annotated(path: Path, model: ScriptedModel, gate: float, *tasks: Task) -> tuple[AnnotateJob, list[FrameResult]]:
    options = AnnotateOptions(tasks or (Task.caption(),), Sampling.every("0.5"), gate=gate, formats=("jsonl",))
    job = AnnotateJob(str(path), model, options, output=path.parent / "out")
    return job, list(job)


def counting() -> tuple[ScriptedModel, list[Request]]:
    asked: list[Request] = []

    def script(request: Request) -> str:
        asked.append(request)
        return f"answer {len(asked)}"

    return ScriptedModel(script), asked


def test_rows_of_unchanged_frames_are_marked(standing: Path) -> None:
    model, asked = counting()
    job, results = annotated(standing, model, THRESHOLD)
    assert [result.time_seconds for result in results] == [0, 0.5, 1, 1.5, 2, 2.5]
    assert [result.reused for result in results] == [False, True, True, True, False, True]
    assert [result.caption for result in results] == ["answer 1"] * 4 + ["answer 2"] * 2
    assert (len(asked), job.summary.frames, job.summary.reused) == (2, 6, 4)
    facts, *rows, _ = read_journal(standing.parent / "out" / "standing.jsonl")
    assert facts["gate"] == THRESHOLD
    assert [result_from_json(row) for row in rows] == results


def test_files_are_analysed_frame_by_frame_unless_asked_otherwise(standing: Path) -> None:
    model, asked = counting()
    results = list(AnnotateJob(str(standing), model, AnnotateOptions(sampling=Sampling.every("0.5"))))
    assert len(asked) == 6
    assert not any(result.reused for result in results)


def test_a_row_with_an_error_is_not_repeated(standing: Path) -> None:
    asked: list[Request] = []

    def script(request: Request) -> str:
        asked.append(request)
        if len(asked) < 3:
            raise ModelError("scripted", "no memory left")
        return "fine"

    job, results = annotated(standing, ScriptedModel(script), THRESHOLD)
    assert [bool(result.error) for result in results] == [True, False, False, False, False, False]
    assert [result.reused for result in results] == [False, False, True, True, False, True]
    assert (job.summary.failed, job.summary.reused) == (1, 3)


def test_comparisons_in_files_end_with_equal_pictures(standing: Path) -> None:
    model, _ = counting()
    _, results = annotated(standing, model, THRESHOLD, Task.compare(frames=2))
    assert [result.reused for result in results] == [False, False, True, True, False, False]
