"""The ways to have frames answered that `benchmarks/engine.py` compares, each as its users would write it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from streamer.ahead import Ahead
from streamer.batching import BatchSize
from streamer.gating import Gate, Sight, thumbnail
from streamer.gemma.checkpoint import Checkpoint
from streamer.gemma.devices import usable_cpus
from streamer.gemma.engine import Engine
from streamer.models.base import Generation, Request
from streamer.tasks import Task

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """Frames of one or several streams, already at the budget's size, and what is asked of each."""

    streams: tuple[tuple[Image, ...], ...]
    task: Task
    likeness: str
    budget: int
    max_tokens: int

    def request(self, image: Image, earlier: Generation | None = None) -> Request:
        draft = (earlier.token_ids, earlier.agreement) if earlier else ((), 0.8)
        return Request(
            (image,), self.task.prompt, self.budget, self.max_tokens,
            draft=draft[0], agreement=draft[1], likeness=self.likeness,
        )  # fmt: skip


@dataclass(slots=True)
class Outcome:
    """What a way did. Answers by stream, frame by frame, in words: the pipeline gives nothing else."""

    answers: list[list[str]]
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    """Seconds from asking to the answer, a frame."""
    forwards: int | None = None
    inside: float | None = None
    """Seconds within the model's forwards."""
    tokens: int = 0
    peak_mib: float = 0.0
    """Of the process; a way that answers elsewhere says what it takes there."""

    def note(self, stream: int, ids: Sequence[int], checkpoint: Checkpoint) -> None:
        """An answer of that stream; what follows an end token is padding."""
        ids = trimmed(ids, checkpoint)
        self.tokens += len(ids)
        self.answers[stream].append(checkpoint.tokenizer.decode(ids, skip_special_tokens=True))


class PeakMemory:
    """Watches the process's resident memory while the block runs."""

    def __enter__(self) -> PeakMemory:
        self._over = threading.Event()
        self.mib = 0.0
        self._thread = threading.Thread(target=self._watch, name="memory")
        self._thread.start()
        return self

    def _watch(self) -> None:
        process = psutil.Process()
        while True:
            self.mib = max(self.mib, process.memory_info().rss / 2**20)
            if self._over.wait(0.05):
                return

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        self._thread.join()


def pipeline_way(checkpoint: Checkpoint, work: Work) -> Outcome:
    """The notebook's way: ``transformers.pipeline("image-text-to-text")``, a frame at a time, on all cores."""
    from transformers import pipeline

    torch.set_num_threads(usable_cpus())
    pipe: Any = pipeline(
        "image-text-to-text", model=checkpoint.model, processor=processor_of(checkpoint, work.budget),
        device=checkpoint.device,
    )  # fmt: skip
    outcome = Outcome([[] for _ in work.streams])
    for number, image in one_by_one(work):
        content = [{"type": "image", "image": picture(image)}, {"type": "text", "text": work.task.prompt}]
        started = time.perf_counter()
        [said] = pipe(
            text=[{"role": "user", "content": content}],
            return_full_text=False,
            generate_kwargs={"do_sample": False, "max_new_tokens": work.max_tokens},
        )
        outcome.latencies.append(time.perf_counter() - started)
        outcome.note(
            number, checkpoint.tokenizer(said["generated_text"], add_special_tokens=False)["input_ids"], checkpoint
        )
    return outcome


def generate_way(checkpoint: Checkpoint, work: Work, batch: int) -> Outcome:
    """``model.generate`` on batches of frames, all of one size, on all cores."""
    torch.set_num_threads(usable_cpus())
    processor = processor_of(checkpoint, work.budget)
    outcome = Outcome([[] for _ in work.streams])
    for chosen in batches(work, batch):
        started = time.perf_counter()
        content = [[{"type": "image"}, {"type": "text", "text": work.task.prompt}] for _ in chosen]
        text = [
            checkpoint.tokenizer.apply_chat_template(
                [{"role": "user", "content": one}], tokenize=False, add_generation_prompt=True
            )
            for one in content
        ]
        inputs = processor(
            text=text,
            images=[[picture(image)] for _, image in chosen],
            return_tensors="pt",
            padding=True,
            add_special_tokens=False,  # the template has put them
        ).to(checkpoint.device)
        with torch.inference_mode():
            out = checkpoint.model.generate(**inputs, do_sample=False, max_new_tokens=work.max_tokens)
        new = out[:, inputs["input_ids"].shape[1] :].tolist()
        outcome.latencies += [time.perf_counter() - started] * len(chosen)
        for (number, _), ids in zip(chosen, new, strict=True):
            outcome.note(number, ids, checkpoint)
    return outcome


def engine_way(checkpoint: Checkpoint, work: Work, batch: int, *, draft: bool = False, form: bool = False) -> Outcome:
    """streamer's engine; with ``draft`` each stream's last answer is verified instead of decoded anew, with ``form``
    the first one begins with the answer's form."""
    engine = Engine(checkpoint, draft=draft or form)
    outcome = Outcome([[] for _ in work.streams])
    last: dict[int, Generation] = {}
    forwards, inside = engine.forwards, engine.forward_seconds
    for chosen in batches(work, batch):
        started = time.perf_counter()
        requests = [work.request(image, last.get(number) if draft else None) for number, image in chosen]
        if not form:
            requests = [without_form(request) for request in requests]
        answers = engine.generate(requests)
        outcome.latencies += [time.perf_counter() - started] * len(chosen)
        for (number, _), answer in zip(chosen, answers, strict=True):
            last[number] = answer
            outcome.note(number, answer.token_ids, checkpoint)
    outcome.forwards = engine.forwards - forwards
    outcome.inside = engine.forward_seconds - inside
    return outcome


def job_way(checkpoint: Checkpoint, work: Work, most: int, *, gate: float = 0.0) -> Outcome:
    """As `engine_way` for one stream with drafts and form, as a file job has it: so many frames at a time, looked at
    ahead on another thread. With ``gate`` a frame that has hardly changed is given the answer of the one before it."""
    engine = Engine(checkpoint)
    outcome = Outcome([[]])
    [images] = work.streams
    judge, batch = Gate(gate), BatchSize(most)
    last: Generation | None = None

    def prepared() -> Generator[tuple[Image, bool]]:
        for image in images:
            sight = Sight(thumbnail(image), 0.0) if gate else None
            changed = sight is None or judge.look(sight).analyse
            if sight is not None and changed:
                judge.analysed(sight)
            if changed and checkpoint.device.type != "cpu":
                engine.pictures.prepare(image, work.budget)
            yield image, changed

    forwards, inside = engine.forwards, engine.forward_seconds
    with Ahead("decode", prepared, 2 * most) as frames:
        given = iter(frames)
        asked = time.perf_counter()
        while some := _some(given, batch.current):
            requests = [work.request(image, last) for image, changed in some if changed]
            answers = iter(engine.generate(requests))
            batch.observe(len(requests), time.perf_counter() - asked)
            for _, changed in some:
                last = next(answers) if changed or last is None else last
                outcome.note(0, last.token_ids, checkpoint)
            outcome.latencies += [time.perf_counter() - asked] * len(some)
            asked = time.perf_counter()
    outcome.forwards = engine.forwards - forwards
    outcome.inside = engine.forward_seconds - inside
    return outcome


def _some(given: Iterator[tuple[Image, bool]], batch: int) -> list[tuple[Image, bool]]:
    """As many changed ones as ``batch``, with the unchanged ones between them, as `AnnotateJob` takes them."""
    some: list[tuple[Image, bool]] = []
    while sum(changed for _, changed in some) < batch and len(some) < 2 * batch:
        if (one := next(given, None)) is None:
            break
        some.append(one)
    return some


def without_form(request: Request) -> Request:
    return replace(request, likeness="")


def measured(way: Callable[[], Outcome]) -> Outcome:
    """Runs it once, with the clock and the memory watched."""
    with PeakMemory() as memory:
        started = time.perf_counter()
        outcome = way()
        outcome.seconds = time.perf_counter() - started
    outcome.peak_mib = outcome.peak_mib or memory.mib
    return outcome


def first_token_ms(checkpoint: Checkpoint, work: Work) -> float:
    """The engine's time to the first token of a frame, the median of five."""
    engine = Engine(checkpoint)
    times = []
    for image in work.streams[0][:5]:
        started = time.perf_counter()
        engine.generate([Request((image,), work.task.prompt, work.budget, 1)])
        times.append(time.perf_counter() - started)
    return 1000 * sorted(times)[len(times) // 2]


def batches(work: Work, size: int) -> Iterator[list[tuple[int, Image]]]:
    """Frames in the order of their time; of each stream one a batch, so that its last answer is known."""
    if len(work.streams) == 1:
        yield from ([(0, image)] for image in work.streams[0])
        return
    for together in zip(*work.streams, strict=True):
        numbered = list(enumerate(together))
        for start in range(0, len(numbered), size):
            yield numbered[start : start + size]


def one_by_one(work: Work) -> Iterator[tuple[int, Image]]:
    for chosen in batches(work, 1):
        yield from chosen


def trimmed(ids: Sequence[int], checkpoint: Checkpoint) -> tuple[int, ...]:
    """Up to the end token, which is left out with the padding behind it."""
    end = next((place for place, token in enumerate(ids) if token in checkpoint.end_ids), len(ids))
    return tuple(ids[:end])


def picture(image: Image) -> Any:
    import PIL.Image

    return PIL.Image.fromarray(image)


def processor_of(checkpoint: Checkpoint, budget: int) -> Any:
    """The checkpoint's own processor at that budget, its images by the torchvision-free class."""
    from transformers import Gemma4ImageProcessorPil, Gemma4Processor

    class Processor(Gemma4Processor):  # type: ignore[misc]
        """Without the video processor, which needs torchvision and is not used here."""

        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            if argument_name != "video_processor":
                return super().check_argument_for_proper_class(argument_name, argument)
            return None

    tokenizer = checkpoint.tokenizer
    tokenizer.padding_side = "left"
    images = Gemma4ImageProcessorPil(max_soft_tokens=budget)
    return Processor(
        feature_extractor=_no_sound(), image_processor=images, tokenizer=tokenizer, video_processor=None,
        chat_template=tokenizer.chat_template, image_seq_length=budget,
    )  # fmt: skip


def _no_sound() -> Any:
    from transformers import Gemma4AudioFeatureExtractor

    return Gemma4AudioFeatureExtractor()


def size_mib(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 2**20
