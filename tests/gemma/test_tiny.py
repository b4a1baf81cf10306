"""The embedded checkpoint: what it consists of, that it is a Gemma 4 like any other, and that it sees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streamer.analyzer import Analyzer, Job
from streamer.frames import Frame
from streamer.gemma.checkpoint import load
from streamer.gemma.engine import Engine
from streamer.geometry import Box, iou
from streamer.models.base import Request
from streamer.models.local import LocalModel
from streamer.results import FrameResult
from streamer.sources import open_source
from streamer.tasks import Task
from tests.gemma.conftest import Reference

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "streamer" / "gemma" / "tiny"


def sampled(model: LocalModel, name: str, sampling: str, budget: int) -> list[Frame]:
    path = str(ROOT / "sample_videos" / f"{name}.mp4")
    with open_source(path, sampling=sampling, size_for=lambda size: model.size_for(size, budget)) as source:
        return list(source.frames())


def answered(name: str, sampling: str, budget: int, *tasks: Task) -> list[tuple[FrameResult, dict[str, Any]]]:
    """Each sampled frame's answers, with its ground truth."""
    truth = json.loads((ROOT / "sample_videos" / f"{name}.json").read_text())["frames"]
    with LocalModel("tiny", device="cpu") as model:
        frames = sampled(model, name, sampling, budget)
        results = Analyzer(model).analyze([Job(frame, tasks, budget) for frame in frames])
    return [(result, truth[result.index or 0]) for result in results]


def test_the_checkpoint_is_small_and_complete() -> None:
    names = {path.name for path in TINY.iterdir()}
    assert names >= {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "chat_template.jinja", "processor_config.json", "README.md",
    }  # fmt: skip
    assert sum(path.stat().st_size for path in TINY.iterdir()) < 20_000_000


def test_transformers_loads_it_by_itself() -> None:
    from transformers import AutoModelForImageTextToText, AutoTokenizer, Gemma4ImageProcessorPil

    model = AutoModelForImageTextToText.from_pretrained(TINY)
    assert type(model).__name__ == "Gemma4ForConditionalGeneration"
    assert (str(model.dtype), model.model.audio_tower) == ("torch.bfloat16", None)
    tokenizer = AutoTokenizer.from_pretrained(TINY)
    said = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Is there a dog?"}]}]
    text = tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
    assert text == "<bos><|turn>user\n<|image|>Is there a dog?<turn|>\n<|turn>model\n"
    assert Gemma4ImageProcessorPil.from_pretrained(TINY).max_soft_tokens == 280


def test_its_answers_are_those_of_transformers_generate() -> None:
    """On frames of every sample video: caption, boxes, sign and count, one by one and in one batch."""
    checkpoint = load("tiny", device="cpu", dtype="fp32")
    reference, engine = Reference(checkpoint), Engine(checkpoint)
    prompts = (Task.caption().prompt, Task.detect("person, car").prompt, "What does the sign say?", "How many cars?")
    requests = []
    with LocalModel("tiny", device="cpu", dtype="fp32") as model:
        for number, name in enumerate(("street", "night", "signs")):
            budget = (70, 140, 70)[number]
            for frame in sampled(model, name, "at 3, 11", budget):
                requests += [Request((frame.image,), prompt, budget, 160) for prompt in prompts]
    expected = [reference.ids(request) for request in requests]
    assert [engine.generate([request])[0].token_ids for request in requests[:4]] == expected[:4]
    assert [answer.token_ids for answer in engine.generate(requests)] == expected


@pytest.mark.parametrize(("clip", "budget", "least"), [("street", 280, 0.45), ("night", 70, 0.6)])
def test_it_finds_what_is_in_the_video(clip: str, budget: int, least: float) -> None:
    found = there = hits = 0
    for result, frame in answered(clip, "every 2 s", budget, Task.detect()):
        true = [(o["label"], Box(**o["box"])) for o in frame["objects"] if o["visible"] > 0.6]
        there += len(true)
        found += len(result.detections)
        for label, box in true:
            hits += any(d.label == label and iou(d.box, box) >= 0.5 for d in result.detections)
    assert hits / there > least
    assert hits / found > least


def test_it_says_yes_and_no() -> None:
    results = answered(
        "night", "every 5 s", 140, Task.check("Is there a car?"), Task.check("Is there a bus?", name="bus")
    )
    assert [result.answers["check"]["answer"] for result, _ in results] == [True] * len(results)
    assert [result.answers["bus"]["answer"] for result, _ in results] == [False] * len(results)


@pytest.mark.parametrize("time", ["day", "night"])
def test_captions_tell_the_time_of_day(time: str) -> None:
    name = {"day": "street", "night": "night"}[time]
    for result, _ in answered(name, "every 6 s", 70, Task.caption()):
        assert result.caption is not None
        assert ("by day" if time == "day" else "at night") in result.caption
