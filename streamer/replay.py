"""Rules replayed over the history: when they would have fired."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from streamer.analyzer import Analyzer, Job
from streamer.errors import ModelError, OptionError, StreamerError
from streamer.frames import Frame
from streamer.results import FrameResult
from streamer.rules import Backtest, Rule, backtest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from streamer.history import History
    from streamer.models.base import VisionModel

Ask = Callable[[str, "NDArray[np.uint8]"], Mapping[str, Any] | None]
"""Asks a rule's question about a stream's ``(H, W, 3)`` uint8 RGB picture: a check's answer, or None."""

SILENCE_SECONDS = 3600.0
"""Without a row for so long an alert is over: a scene that does not change has none in between."""


@dataclass(slots=True)
class Asked:
    """How often the model was asked, and when it was not because that was often enough."""

    most: int
    told: Callable[[int], None] = lambda asked: None
    """Hears of each question, before it is put."""
    asked: int = 0
    left_out: int = 0


def replay(
    history: History,
    rule: Rule,
    streams: Iterable[str],
    since: float | None = None,
    until: float | None = None,
    *,
    ask: Ask | None = None,
    most_questions: int = 200,
    told: Callable[[int], None] = lambda asked: None,
) -> tuple[dict[str, Backtest], Asked]:
    """The rule over each of the streams that it is for, by name.

    A question that was not asked at the time is asked now of the kept pictures where there is ``ask``, at most
    ``most_questions`` times; else those results say nothing of it. ``told`` hears the number of each question before
    it is put. Raises `HistoryError`.
    """
    count = Asked(most_questions, told)
    found = {}
    for stream in streams:
        if not rule.applies_to(stream):
            continue

        def answer(at: float, result: FrameResult, stream: str = stream) -> Mapping[str, Any] | None:
            return None if ask is None else _answer(history, stream, at, ask, count)

        results = history.results(stream, since, until, ends=True)
        found[stream] = backtest(
            rule, results, answer=None if ask is None else answer, max_silence_seconds=SILENCE_SECONDS
        )
    return found, count


def _answer(history: History, stream: str, at: float, ask: Ask, count: Asked) -> Mapping[str, Any] | None:
    if count.asked >= count.most:
        count.left_out += 1
        return None
    name = history.nearest_picture(stream, at)
    if name is None:
        return None
    try:
        image = decoded(history.picture(name))
    except OptionError:  # it was removed meanwhile
        return None
    count.asked += 1
    count.told(count.asked)
    return ask(stream, image)


def asking(model: VisionModel, rule: Rule, budget_of: Callable[[str], int]) -> Ask:
    """Puts the rule's question to ``model``, at the budget of each stream."""

    def ask(stream: str, image: NDArray[np.uint8]) -> Mapping[str, Any] | None:
        task = rule.task()
        if task is None:
            return None
        frame = Frame(image, (image.shape[1], image.shape[0]), stream, 0, 0.0)
        [result] = Analyzer(model).analyze([Job(frame, (task,), budget_of(stream))])
        if result.error is not None:
            raise ModelError(model.name, result.error)
        answer = result.answers.get(rule.task_name)
        return answer if isinstance(answer, Mapping) else None

    return ask


def decoded(jpeg: bytes) -> NDArray[np.uint8]:
    """``(H, W, 3)`` uint8 RGB. Raises `StreamerError` for what is no picture."""
    import cv2

    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise StreamerError("a kept picture cannot be decoded")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
