"""How fast a checkpoint is by batch and budget, beside what the machine could do at best, for `verify_gpu.py`."""

from __future__ import annotations

import gc
import itertools
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psutil
import torch
from verify_pictures import Album, Image, fitted
from verify_roofline import Load, Rates, synchronize

from streamer.errors import ModelMemoryError
from streamer.gemma.checkpoint import Checkpoint
from streamer.gemma.engine import Engine
from streamer.gemma.memory import available_bytes
from streamer.models.base import Generation, Request
from streamer.tasks import Task

Say = Callable[[str], None]
TASK = Task.caption()


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    steps: int = 16
    """Decoding steps that are timed."""
    repeats: int = 3
    moments: int = 4
    """Frames of each camera, of which the first one only gives the draft for the next."""
    answer_tokens: int = 64


QUICK = Effort(steps=4, repeats=1, moments=2, answer_tokens=24)


def speed_section(
    into: dict[str, Any],
    checkpoint: Checkpoint,
    album: Album,
    budgets: Sequence[int],
    batches: Sequence[int],
    rates: Rates,
    say: Say,
    *,
    quick: bool,
) -> bool:
    """Fills ``into`` with a row each batch and budget, measured or skipped with the reason."""
    rows: list[dict[str, Any]] = into.setdefault("rows", [])
    load = Load.of(checkpoint)
    into["step_bytes_of_one"] = round(load.bytes_read(1))
    meter = Meter(checkpoint, album, load, rates, QUICK if quick else Effort())
    for budget in budgets:
        reason = None
        last: tuple[int, float] | None = None  # the last batch, and the bytes it took on top of the weights
        for batch in batches:
            say(f"budget {budget}, batch {batch}")
            if reason is None and last is not None:
                reason = too_large(last[1] * batch / last[0], free_bytes(checkpoint))
            if reason is None:
                try:
                    row = meter.row(budget, batch)
                except (ModelMemoryError, torch.OutOfMemoryError) as error:
                    reason = str(error).partition("\n")[0]
                else:
                    last = (batch, row["taken_mib"] * 2**20)
                    rows.append(row)
                    continue
            free_cache(checkpoint.device)
            rows.append({"budget": budget, "batch": batch, "skipped": reason})
    return True


def too_large(needed: float, free: float) -> str | None:
    """Why a batch that takes about so much is not tried; None where it may be."""
    if needed <= free:
        return None
    return f"it would take about {needed / 2**30:.1f} GiB beside the weights, and {free / 2**30:.1f} GiB are free"


class Meter:
    """Measures one checkpoint on one album's pictures."""

    def __init__(self, checkpoint: Checkpoint, album: Album, load: Load, rates: Rates, effort: Effort) -> None:
        self._checkpoint, self._album, self._load, self._rates = checkpoint, album, load, rates
        self._effort = effort

    def row(self, budget: int, batch: int) -> dict[str, Any]:
        """One batch of ``batch`` cameras at ``budget``. Raises `ModelMemoryError` where it does not fit."""
        cameras = range(batch)
        looks = [
            [fitted(self._album, camera, moment, budget, self._checkpoint.images) for camera in cameras]
            for moment in range(self._effort.moments)
        ]
        with PeakMemory(self._checkpoint.device) as memory:
            stages, first = self._stages(looks[0], budget)
            plain, plainly = self._answers(looks, budget, draft=False)
            drafted, with_drafts = self._answers(looks, budget, draft=True)
        tokens = first.image_tokens + first.prompt_tokens
        settings = self._checkpoint.images
        patches = sum(image.shape[0] * image.shape[1] for image in looks[0]) // settings.model_patch**2
        best = {
            "picture_ms": self._load.pictures(self._rates, patches),
            "prefill_ms": self._load.prefill(self._rates, batch, tokens),
            "step_ms": self._load.step(self._rates, batch),
        }
        frames = batch * (self._effort.moments - 1)
        proposed = sum(answer.drafted_tokens for answer in with_drafts)
        return {
            "budget": budget,
            "batch": batch,
            "image_tokens": first.image_tokens,
            "prompt_tokens": tokens,
            **stages,
            "best": {name: 1000 * seconds for name, seconds in best.items()},
            "step_of_best": 1000 * best["step_ms"] / stages["step_ms"],
            "prefill_of_best": 1000 * best["prefill_ms"] / stages["prefill_ms"],
            "frames_per_second": frames / plain,
            "frames_per_second_with_drafts": frames / drafted,
            "output_tokens_a_frame": sum(answer.output_tokens for answer in plainly) / frames,
            "accepted_of_drafted": sum(answer.accepted_tokens for answer in with_drafts) / max(1, proposed),
            "same_with_drafts": sum(a.token_ids == b.token_ids for a, b in zip(plainly, with_drafts, strict=True)),
            "answers": frames,
            "peak_mib": memory.peak / 2**20,
            "taken_mib": memory.taken / 2**20,
        }

    def _stages(self, images: Sequence[Image], budget: int) -> tuple[dict[str, float], Generation]:
        """Milliseconds until the text model begins, of its first forward, and of a step after it, whole cycles with
        choosing and planning. No answer ends before its time, so that every step has the full batch."""
        engine = Engine(replace(self._checkpoint, end_ids=frozenset()), draft=False)
        asked = [Request((image,), TASK.prompt, budget, self._effort.steps + 1) for image in images]
        engine.generate(asked[:1] if self._effort.repeats == 1 else asked)  # what is done once
        before, reading, steps = [], [], []
        for _ in range(self._effort.repeats):
            engine.pictures.forget()
            began = _Clock(self._checkpoint.device)
            engine.before_forward = began.mark
            start = began()
            said = engine.generate(asked)
            end = began()
            forwards = [*began.times, end]
            before.append(forwards[0] - start)
            reading.append(forwards[1] - forwards[0])
            steps += [after - at for at, after in itertools.pairwise(forwards[1:])]
        timed = {"picture_ms": min(before), "prefill_ms": min(reading), "step_ms": statistics.median(steps)}
        return {name: 1000 * seconds for name, seconds in timed.items()}, said[0]

    def _answers(self, looks: Sequence[Sequence[Image]], budget: int, *, draft: bool) -> tuple[float, list[Generation]]:
        """Seconds for all moments but the first, and their answers."""
        engine = Engine(self._checkpoint, draft=draft)
        if self._checkpoint.device.type == "cuda":
            self._moments(engine, looks, budget)  # captures the graphs of all shapes
            engine.pictures.forget()
        return self._moments(engine, looks, budget)

    def _moments(self, engine: Engine, looks: Sequence[Sequence[Image]], budget: int) -> tuple[float, list[Generation]]:
        said: list[Generation | None] = [None] * len(looks[0])
        answers: list[Generation] = []
        seconds = 0.0
        for moment, images in enumerate(looks):
            asked = [self._request(image, budget, last) for image, last in zip(images, said, strict=True)]
            synchronize(self._checkpoint.device)
            started = time.perf_counter()
            now = engine.generate(asked)
            synchronize(self._checkpoint.device)
            if moment:
                seconds += time.perf_counter() - started
                answers += now
            said = list(now)
        return seconds, answers

    def _request(self, image: Image, budget: int, last: Generation | None) -> Request:
        request = Request((image,), TASK.prompt, budget, self._effort.answer_tokens)
        return replace(request, draft=last.token_ids, agreement=last.agreement) if last else request


class _Clock:
    """Says the time when everything before is done, and keeps it for each pass of the text model."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.times: list[float] = []

    def __call__(self) -> float:
        synchronize(self._device)
        return time.perf_counter()

    def mark(self) -> None:
        self.times.append(self())


class PeakMemory:
    """The most memory in use while the block runs: torch's own count on GPUs, else the process's resident memory."""

    def __init__(self, device: torch.device) -> None:
        self._gpus = range(torch.cuda.device_count()) if device.type == "cuda" else ()
        self._process = psutil.Process()
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="memory")
        self._before = 0.0
        self.peak = 0.0

    @property
    def taken(self) -> float:
        """What came on top of what was in use before."""
        return max(0.0, self.peak - self._before)

    def __enter__(self) -> PeakMemory:
        gc.collect()
        if self._gpus:
            for gpu in self._gpus:
                torch.cuda.reset_peak_memory_stats(gpu)
            self._before = sum(torch.cuda.memory_allocated(gpu) for gpu in self._gpus)
        else:
            self._before = self.peak = self._process.memory_info().rss
            self._watcher.start()
        return self

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self.peak = max(self.peak, self._process.memory_info().rss)

    def __exit__(self, *exc_info: object) -> None:
        if self._gpus:
            self.peak = sum(torch.cuda.max_memory_allocated(gpu) for gpu in self._gpus)
        else:
            self._over.set()
            self._watcher.join()
            self.peak = max(self.peak, self._process.memory_info().rss)


def free_bytes(checkpoint: Checkpoint) -> float:
    """Free memory where the checkpoint is, with what torch keeps for itself and does not use."""
    device = checkpoint.device
    if len(set((getattr(checkpoint.model, "hf_device_map", None) or {}).values())) > 1:
        device = torch.device("cuda")  # all GPUs together
    free = float(available_bytes(device))
    if device.type == "cuda":
        gpus = range(torch.cuda.device_count()) if device.index is None else (device.index,)
        free += sum(torch.cuda.memory_reserved(gpu) - torch.cuda.memory_allocated(gpu) for gpu in gpus)
    return free


def free_cache(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
