"""One question about one picture or several, now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from streamer.analyzer import Analyzer, Job
from streamer.errors import ModelError, SourceError
from streamer.frames import Frame
from streamer.models.base import BUDGETS
from streamer.sources import open_source
from streamer.tasks import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from streamer.models.base import VisionModel
    from streamer.results import FrameResult
    from streamer.sources.base import SizeFor


def read_picture(address: str, size_for: SizeFor | None = None) -> Frame:
    """The picture at ``address`` (a video's first one). Raises `SourceError`."""
    with open_source(address, size_for=size_for) as source:
        for frame in source.frames():
            return frame
    raise SourceError(address, "it holds no picture", "use a picture or a video")


def ask(addresses: Sequence[str], model: VisionModel, task: Task, *, budget: int = 280) -> FrameResult:
    """The answer to ``task`` about the pictures together, in the order given.

    Raises `SourceError` for a picture that cannot be read and `ModelError` where the model gives no answer.
    """
    frames = [read_picture(address, lambda size: model.size_for(size, budget)) for address in addresses]
    job = Job(frames[-1], (replace(task, frames=len(frames)),), budget, tuple(frames[:-1]))
    [result] = Analyzer(model).analyze([job])
    if result.error is not None:
        raise ModelError(model.name, result.error)
    return result


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """The same picture and task at one budget."""

    budget: int
    size: tuple[int, int]
    """``(width, height)`` at which the model saw it."""
    result: FrameResult
    seconds: float
    """Of the model, picture included."""


def compare_budgets(
    address: str,
    model: VisionModel,
    task: Task,
    budgets: Sequence[int] = BUDGETS,
    *,
    progress: Callable[[int], None] | None = None,
) -> tuple[NDArray[np.uint8], list[BudgetRow]]:
    """The picture ``(H, W, 3)`` uint8 RGB at its own size, and the answers at each budget in their order.

    ``progress`` hears each budget before it is tried. The model answers about the mirrored picture before the clock
    runs, so that the first row is not charged for what is done once. Raises as `ask` does.
    """
    original = read_picture(address)
    rows = []
    for number, budget in enumerate(budgets):
        if progress:
            progress(budget)
        frame = read_picture(address, lambda size, budget=budget: model.size_for(size, budget))  # type: ignore[misc]
        if number == 0:
            mirrored = frame.image[:, ::-1].copy()  # another picture, so that nothing of this one is known already
            Analyzer(model).analyze([Job(replace(frame, image=mirrored), (task,), budget)])
        # A new analyzer each time: the answer at another budget must not make this one quicker.
        [result] = Analyzer(model).analyze([Job(frame, (task,), budget)])
        if result.error is not None:
            raise ModelError(model.name, result.error)
        rows.append(BudgetRow(budget, frame.size, result, result.timings.total_ms / 1000))
    return original.image, rows


def budget_figure(
    image: NDArray[np.uint8], rows: Sequence[BudgetRow], *, note: str | None = None, width: int = 800
) -> NDArray[np.uint8]:
    """The picture with each row's answers drawn on it, side by side in two columns: ``(H, W, 3)`` uint8 RGB.

    ``note`` stands above all: what has to be known of all the answers (a model's ``caveat``).
    """
    import cv2
    import numpy as np

    from streamer.outputs.cues import caption_of
    from streamer.outputs.drawing import draw_caption, draw_detections, draw_label

    height = max(1, round(image.shape[0] * width / image.shape[1]))
    small = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    cells = []
    for row in rows:
        drawn = draw_detections(small, row.result.detections)
        caption = caption_of(row.result)
        drawn = draw_caption(drawn, caption) if caption else drawn
        words = f"budget {row.budget}: {row.result.usage.image_tokens} tokens, {row.size[0]}x{row.size[1]} px, "
        cells.append(draw_label(drawn, words + f"{row.seconds:.2f} s, {len(row.result.detections)} boxes"))
    columns = min(2, len(cells))
    blank = np.full_like(cells[0], 16)
    cells += [blank] * (-len(cells) % columns)
    lines = [np.concatenate(cells[at : at + columns], axis=1) for at in range(0, len(cells), columns)]
    figure = np.concatenate(lines)
    return draw_label(figure, note) if note else figure
