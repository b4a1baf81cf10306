"""Back-tests over the history, with an end: of time, of results, of questions to the model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from streamer.analyzer import Job
from streamer.errors import ModelError, StreamerError
from streamer.replay import SILENCE_SECONDS
from streamer.results import FrameResult
from streamer.rules import Backtest, Rule, backtest
from streamer.server.api.context import Context
from streamer.server.api.rule_models import FiredPart, StreamTrial, Trial, TrialOutcome
from streamer.server.api.uploads import frame_of

MAX_RESULTS = 200_000
"""Of all streams of one back-test."""
MAX_FIRED = 500
"""Of one stream in the answer."""
_BUSY_PAUSE_SECONDS = 0.2


class Replay:
    """One back-test; used once, from one thread."""

    def __init__(self, api: Context, rule: Rule, trial: Trial, clock: Callable[[], float] = time.monotonic) -> None:
        self._api, self._rule, self._trial, self._clock = api, rule, trial, clock
        self._deadline = clock() + api.limits.backtest_seconds
        self._results = self._questions = 0
        self._short = False
        """Something of the stream in hand was left out."""

    def over(self, streams: Sequence[str]) -> TrialOutcome:
        """Raises `HistoryError`."""
        parts = tuple(self._stream(stream) for stream in streams)
        return TrialOutcome(streams=parts, questions=self._questions, complete=all(part.complete for part in parts))

    def _stream(self, stream: str) -> StreamTrial:
        self._short = False
        asks = (self._trial.ask or self._trial.ask_again) and self._rule.question is not None
        found = backtest(
            self._rule,
            self._kept(stream),
            answer=(lambda at, result: self._answer(stream, at)) if asks else None,
            ask_again=self._trial.ask_again,
            max_silence_seconds=SILENCE_SECONDS,
        )
        return _part(stream, found, complete=not self._short)

    def _kept(self, stream: str) -> Iterator[tuple[float, FrameResult]]:
        history, trial = self._api.station.history, self._trial
        for at, result in history.results(stream, trial.since, trial.until, ends=True):
            if self._results >= MAX_RESULTS or self._over:
                self._short = True
                return
            self._results += 1
            yield at, result

    @property
    def _over(self) -> bool:
        return self._clock() >= self._deadline or not self._api.station.monitor.busy

    def _answer(self, stream: str, at: float) -> Mapping[str, Any] | None:
        """Of the model about the picture that was kept then; None where there is none."""
        if self._over or self._questions >= self._trial.questions:
            self._short = True
            return None
        history, task = self._api.station.history, self._rule.task()
        name = history.nearest_picture(stream, at)
        if name is None or task is None:
            return None
        try:
            model = self._api.station.monitor.model
            frame = frame_of(history.picture(name), self._api.limits.picture_pixels, model, self._trial.budget)
        except StreamerError:  # it was removed meanwhile, or cannot be read any more
            return None
        self._questions += 1
        answer = self._ask(Job(frame, (task,), self._trial.budget))
        return answer if isinstance(answer, Mapping) else None

    def _ask(self, job: Job) -> object:
        """Waits for a place among the questions, too."""
        while not self._over:
            try:
                future = self._api.station.monitor.submit(job)
            except ModelError:
                time.sleep(_BUSY_PAUSE_SECONDS)
                continue
            try:
                result = future.result(max(0.0, self._deadline - self._clock()))
            except (FutureTimeout, CancelledError):
                future.cancel()
                break
            return result.answers.get(self._rule.task_name)
        self._short = True
        return None


def _part(stream: str, found: Backtest, *, complete: bool) -> StreamTrial:
    return StreamTrial(
        stream=stream,
        fired=tuple(map(FiredPart.of, found.fired[:MAX_FIRED])),
        fired_count=len(found.fired),
        met=found.met,
        missed=found.missed,
        unknown=found.unknown,
        off_duty=found.off_duty,
        complete=complete,
    )
