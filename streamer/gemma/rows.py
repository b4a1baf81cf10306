"""One request on its way through the model, and several of them side by side."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

from streamer.gemma.choosing import Chooser
from streamer.gemma.masks import TEXT, Places
from streamer.gemma.prompts import Prompt
from streamer.models.base import Generation, Request

_STOP_TAIL = 8
"""Tokens beyond a stop text's own length that are read again to find it (a token may hold a single byte)."""


@dataclass(slots=True, eq=False)
class Row:
    """A request that is being answered."""

    request: Request
    prompt: Prompt
    features: tuple[torch.Tensor, ...]
    """A ``(soft tokens, hidden)`` tensor a picture; requests with the same picture hold the same tensor."""
    chooser: Chooser
    preprocess_ms: float = 0.0
    model_ms: float = 0.0
    output: list[int] = field(default_factory=list)
    finish: Literal["stop", "length"] | None = None
    forwards: int = 0

    @property
    def next_position(self) -> int:
        """Position of the token that is chosen next."""
        return len(self.prompt.ids) + len(self.output)

    def take(self, token: int, end_ids: Collection[int], read: Callable[[Sequence[int]], str]) -> None:
        """Appends a chosen token and notes whether the answer ends with it."""
        self.output.append(token)
        self.forwards += 1
        if token in end_ids or self._meets_stop(read):
            self.finish = "stop"
        elif len(self.output) >= self.request.max_tokens:
            self.finish = "length"

    def generation(self, read: Callable[[Sequence[int]], str]) -> Generation:
        """What came out. Its ``token_ids`` are all that the model said, the end token and stop text included."""
        return Generation(
            text=_before_stop(read(self.output), self.request.stop),
            finish=self.finish or "length",
            token_ids=tuple(self.output),
            image_tokens=self.prompt.image_tokens,
            prompt_tokens=self.prompt.text_tokens,
            output_tokens=len(self.output),
            forwards=self.forwards,
            preprocess_ms=self.preprocess_ms,
            model_ms=self.model_ms,
        )

    def _meets_stop(self, read: Callable[[Sequence[int]], str]) -> bool:
        if not self.request.stop:
            return False
        tail = read(self.output[-(4 * max(map(len, self.request.stop)) + _STOP_TAIL) :])
        if not any(stop in tail for stop in self.request.stop):
            return False
        return any(stop in read(self.output) for stop in self.request.stop)


def side_by_side(rows: Sequence[Row], pad_id: int) -> tuple[torch.Tensor, Places]:
    """Prompt ids ``(rows, longest)`` and their places, padded on the left, so that all end together."""
    longest = max(len(row.prompt.ids) for row in rows)
    ids, positions, valid, blocks = [], [], [], []
    for row in rows:
        length = len(row.prompt.ids)
        gap = longest - length
        ids.append([pad_id] * gap + list(row.prompt.ids))
        positions.append([0] * gap + list(range(length)))
        valid.append([False] * gap + [True] * length)
        blocks.append([TEXT] * gap + list(row.prompt.blocks))
    return torch.tensor(ids), Places(torch.tensor(positions), torch.tensor(valid), torch.tensor(blocks))


def next_places(rows: Sequence[Row]) -> Places:
    """Places of the tokens chosen last, one a row."""
    positions = torch.tensor([[row.next_position - 1] for row in rows])
    return Places(positions, torch.ones_like(positions, dtype=torch.bool), torch.full_like(positions, TEXT))


def _before_stop(text: str, stops: Sequence[str]) -> str:
    found = [at for stop in stops if (at := text.find(stop)) >= 0]
    return text[: min(found)] if found else text
