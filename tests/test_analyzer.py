"""Frames and tasks in, results out, with a model that follows a script."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from streamer.analyzer import Analyzer, Job
from streamer.errors import ModelError, OptionError, StreamerError
from streamer.frames import Frame
from streamer.geometry import Box
from streamer.models.base import Generation, Request
from streamer.models.scripted import ScriptedModel
from streamer.tasks import Task

BOXES = '```json\n[{"box_2d": [100, 200, 300, 400], "label": "car"}, {"box_2d": [5, 5, 5, 5], "label": "dot"}]\n```'


def frame(number: int = 0, *, captured_at: float | None = None) -> Frame:
    image = np.full((48, 96, 3), number, np.uint8)
    return Frame(image, (960, 480), "gate", number, number / 2, index=number, pts=number * 40, captured_at=captured_at)


def level(request: Request) -> str:
    """The grey of each picture."""
    return " ".join(str(image[0, 0, 0]) for image in request.images)


class Listing(ScriptedModel):
    """Remembers how many requests came together; refuses those about the picture of grey 3."""

    batches: list[int]

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        self.batches = [*getattr(self, "batches", []), len(requests)]
        if any(request.images[-1][0, 0, 0] == 3 for request in requests):
            raise ModelError("listing", "no memory left", "take less")
        return super().generate(requests)


def test_results_come_in_the_order_of_the_jobs() -> None:
    jobs = [Job(frame(number), (Task.caption(), Task.ask("How many?"))) for number in range(3)]
    results = Analyzer(ScriptedModel(level)).analyze(jobs)
    assert [result.caption for result in results] == ["0", "1", "2"]
    assert [result.answers for result in results] == [{"caption": str(n), "ask": str(n)} for n in range(3)]
    first = results[1]
    assert (first.stream, first.sequence, first.time_seconds, first.index, first.pts) == ("gate", 1, 0.5, 1, 40)
    assert (first.source_size, first.model, first.budget) == ((960, 480), "scripted", 280)


def test_all_of_them_are_one_batch() -> None:
    model = Listing(level)
    Analyzer(model).analyze([Job(frame(number), (Task.caption(), Task.read())) for number in range(3)])
    assert model.batches == [6]


def test_nothing_asked_is_nothing_answered() -> None:
    model = Listing(level)
    assert Analyzer(model).analyze([]) == []
    [result] = Analyzer(model).analyze([Job(frame(), ())])
    assert (result.answers, result.error) == ({}, None)
    assert not hasattr(model, "batches")


def test_a_fault_costs_only_the_answers_it_hits() -> None:
    jobs = [Job(frame(number), (Task.caption(), Task.read())) for number in (2, 3, 4)]
    two, three, four = Analyzer(Listing(level)).analyze(jobs)
    assert (two.caption, two.error, four.caption, four.error) == ("2", None, "4", None)
    assert (three.caption, three.answers) == (None, {})
    assert three.error == "caption: no memory left (take less); read: no memory left (take less)"


def test_only_errors_of_ours_are_caught() -> None:
    def script(request: Request) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Analyzer(ScriptedModel(script)).analyze([Job(frame(), (Task.caption(),))])

    def refuse(request: Request) -> str:
        raise StreamerError("refused")

    [result] = Analyzer(ScriptedModel(refuse)).analyze([Job(frame(), (Task.caption(),))])
    assert result.error == "caption: refused"


def test_boxes_are_read_and_what_is_odd_is_noted() -> None:
    [result] = Analyzer(ScriptedModel(lambda request: BOXES)).analyze([Job(frame(), (Task.detect("car"),))])
    [car] = result.detections
    assert (car.label, car.box) == ("car", Box(0.2, 0.1, 0.4, 0.3))
    assert result.answers == {"detect": BOXES}
    assert "1" in result.notes["detect"]
    assert (result.caption, result.error) == (None, None)


def test_the_grid_of_the_boxes_can_be_another() -> None:
    [result] = Analyzer(ScriptedModel(lambda request: BOXES), box_grid=2000).analyze([Job(frame(), (Task.detect(),))])
    assert result.detections[0].box == Box(0.1, 0.05, 0.2, 0.15)


def test_a_check_is_a_yes_or_a_no() -> None:
    answers = {"Is it day?": "Yes, it is.", "A dog?": "no", "Which?": "the left one"}
    model = ScriptedModel(lambda request: answers[request.prompt])
    tasks = tuple(Task.check(question, name=question) for question in answers)
    [result] = Analyzer(model).analyze([Job(frame(), tasks)])
    assert [result.answers[question]["answer"] for question in answers] == [True, False, None]
    assert result.answers["A dog?"]["text"] == "no"


def test_a_cut_off_answer_is_noted() -> None:
    class Short(ScriptedModel):
        def generate(self, requests: Sequence[Request]) -> list[Generation]:
            return [Generation(" a str", "length", output_tokens=3) for _ in requests]

    [result] = Analyzer(Short()).analyze([Job(frame(), (Task.caption(),))])
    assert (result.caption, result.notes) == ("a str", {"caption": "cut off at 3 tokens"})


def test_the_first_caption_is_the_caption() -> None:
    tasks = (Task.caption("One"), Task("caption", "caption-2", "Two"))
    [result] = Analyzer(ScriptedModel(lambda request: request.prompt)).analyze([Job(frame(), tasks)])
    assert (result.caption, result.answers["caption-2"]) == ("One", "Two")


def test_a_task_takes_as_many_earlier_frames_as_it_needs() -> None:
    earlier = tuple(frame(number) for number in range(4))
    tasks = (Task.caption(), Task.compare(frames=2), Task("compare", "three", "What moved?", frames=3))
    [result] = Analyzer(ScriptedModel(level)).analyze([Job(frame(4), tasks, earlier=earlier)])
    assert result.answers == {"caption": "4", "compare": "3 4", "three": "2 3 4"}


def test_tokens_are_added_up_and_pictures_counted_once() -> None:
    [result] = Analyzer(ScriptedModel(lambda request: "two words")).analyze(
        [Job(frame(), (Task.ask("one two three"), Task.read("one")))]
    )
    usage = result.usage
    assert (usage.image_tokens, usage.prompt_tokens, usage.output_tokens, usage.forwards) == (2, 4, 4, 2)


def test_times_say_how_old_a_live_answer_is() -> None:
    model = ScriptedModel(level, seconds=0.02)
    shown = replace(frame(captured_at=time.monotonic() - 1), decode_ms=200.0)
    [live] = Analyzer(model).analyze([Job(shown, (Task.caption(),))])
    assert live.timings.queue_ms >= 800, "the rest was decoding"
    assert live.timings.age_ms == pytest.approx(200 + live.timings.queue_ms + live.timings.total_ms)
    assert live.timings.total_ms >= live.timings.model_ms >= 20
    [of_file] = Analyzer(model).analyze([Job(frame(), (Task.caption(),))])
    assert (of_file.timings.age_ms, of_file.timings.queue_ms) == (None, 0.0)


def test_an_unknown_budget_is_refused_at_once() -> None:
    with pytest.raises(OptionError, match="budget: 71 cannot be used; expected one of 70, 140, 280, 560, 1120"):
        Job(frame(), (Task.caption(),), 71)
