"""The notebook's examples, as `verify_gpu.py` runs them: describe, two pictures, read a sign, detect at each budget."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from verify_pictures import Album, Image, fitted

from streamer.errors import ModelMemoryError, StreamerError
from streamer.gemma.checkpoint import Checkpoint
from streamer.gemma.engine import Engine
from streamer.gemma.forms import CHECK_SCHEMA
from streamer.gemma.parsing import parse_detections
from streamer.geometry import Box, iou
from streamer.models.base import Generation, Request
from streamer.results import Detection
from streamer.tasks import Task

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    name: str
    task: Task
    budget: int
    images: tuple[Image, ...]
    schema: bool = False

    @property
    def request(self) -> Request:
        schema = CHECK_SCHEMA if self.schema else None
        return Request(self.images, self.task.prompt, self.budget, self.task.max_tokens, schema=schema)


def examples_section(
    into: dict[str, Any], checkpoint: Checkpoint, album: Album, budgets: Sequence[int], say: Say, *, quick: bool
) -> bool:
    """Fills ``into`` with a row an example; whether each gave an answer. Boxes are compared with the truth where it is
    known, but how well the model sees is no fault of the machine."""
    engine = Engine(checkpoint)
    objects = album.objects(0)
    rows: list[dict[str, Any]] = into.setdefault("rows", [])
    for example in examples(checkpoint, album, budgets, quick=quick):
        say(f"{example.name} at budget {example.budget}")
        row = {"example": example.name, "budget": example.budget, "prompt": example.task.prompt}
        rows.append(row | _answered(engine, example, objects))
    return all(row["error"] is None for row in rows)


def examples(checkpoint: Checkpoint, album: Album, budgets: Sequence[int], *, quick: bool) -> Iterator[Example]:
    most = 24 if quick else 256
    middle = min(budgets, key=lambda budget: abs(budget - 280))

    def seen(camera: int, budget: int, moment: int = 0) -> Image:
        return fitted(album, camera, moment, budget, checkpoint.images)

    one = seen(0, middle)
    yield Example("describe", Task.caption(max_tokens=most), middle, (one,))
    yield Example("two pictures", Task.compare(max_tokens=most), middle, (one, seen(0, middle, moment=1)))
    sign = album.sign((one.shape[1], one.shape[0]))
    yield Example("read a sign", Task.read(max_tokens=most), middle, (sign,))
    yield Example(
        "check by a schema",
        Task.check("Is there a car? Answer as JSON.", max_tokens=max(64, most)),
        middle,
        (one,),
        schema=True,
    )
    labels = sorted({thing["label"] for thing in album.objects(0) or []})
    for budget in budgets:
        yield Example("detect", Task.detect(labels, max_tokens=2 * most), budget, (seen(0, budget),))


def _answered(engine: Engine, example: Example, objects: Sequence[dict[str, Any]] | None) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        [said] = engine.generate([example.request])
    except ModelMemoryError as error:
        return {"error": None, "skipped": str(error)}
    except StreamerError as error:
        return {"error": str(error)}
    row: dict[str, Any] = {
        "answer": said.text,
        "finish": said.finish,
        "image_tokens": said.image_tokens,
        "output_tokens": said.output_tokens,
        "seconds": time.perf_counter() - started,
        "error": _fault(said, example),
    }
    if example.task.kind == "detect":
        row |= _boxes(said.text, objects)
    return row


def _fault(said: Generation, example: Example) -> str | None:
    if not said.text.strip():
        return "the answer is empty"
    if example.schema:
        try:
            json.loads(said.text)
        except ValueError as error:
            return f"no document of its schema: {error}"
    return None


def _boxes(text: str, objects: Sequence[dict[str, Any]] | None) -> dict[str, Any]:
    parsed = parse_detections(text)
    row: dict[str, Any] = {"boxes": len(parsed.detections), "problem": parsed.problem or None}
    if objects is not None:
        row |= {"objects": len(objects), "found": sum(_found(thing, parsed.detections) for thing in objects)}
    return row


def _found(thing: dict[str, Any], detections: Sequence[Detection]) -> bool:
    box = Box(**thing["box"])
    return any(one.label == thing["label"] and iou(one.box, box) >= 0.5 for one in detections)
