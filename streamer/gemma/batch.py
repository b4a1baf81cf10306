"""Rows that are answered side by side: they step together, leave with their last answer, and others join them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from streamer.gemma.cache import KeyValueCache
from streamer.gemma.rows import Branch, Row, Step, first_step, next_step

if TYPE_CHECKING:
    from streamer.gemma.reading import Cache


class Batch:
    """Not thread-safe."""

    def __init__(self, rows: Sequence[Row] = (), cache: Cache | None = None) -> None:
        """``cache``: that has read nothing yet; one that grows by default."""
        self.rows = list(rows)
        self.cache = KeyValueCache() if cache is None else cache

    @property
    def fixed(self) -> bool:
        """Whether nobody can join now: what is kept in fixed shapes keeps its rows."""
        return bool(self.rows) and self.cache.fixed

    @property
    def features(self) -> list[torch.Tensor]:
        """Of the pictures that the next step reads: those of all rows before their first one."""
        return [] if self.cache.places else [feature for row in self.rows for feature in row.features]

    def step(self, pad_id: int) -> Step:
        """What the next pass reads: the prompts at first, then what each answer goes on with."""
        step = (next_step if self.cache.places else first_step)(self.rows, pad_id)
        return self.cache.fit(step, pad_id)

    def taken(self, step: Step, agreed: dict[Branch, int]) -> None:
        """The step was read; ``agreed``: how many of its proposals each answer keeps. Finished rows leave, unless the
        shape is fixed: there they stay, and are given nothing more, until all are."""
        self.cache.forget(step.ids.shape[1], step.kept(agreed))
        going = [number for number, row in enumerate(self.rows) if any(row.live)]
        if not going:
            self.rows = []
            return
        if not self.cache.fixed and len(going) < len(self.rows):
            self.rows = [self.rows[number] for number in going]
            self.cache.select(torch.tensor(going))
        self.cache.tidy()

    def join(self, others: Batch) -> None:
        """Takes the rows of a batch that has read its prompts; in fixed shapes only while it has none itself."""
        if not others.rows:
            return
        if not self.rows:
            self.rows, self.cache = others.rows, others.cache
            return
        assert isinstance(self.cache, KeyValueCache)
        assert isinstance(others.cache, KeyValueCache)
        self.cache.join(others.cache)
        self.rows += others.rows
