"""The next token of each row out of its logits: the likeliest, or drawn."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from streamer.errors import OptionError
from streamer.models.base import Request


class Chooser:
    """How one request chooses; a seeded one draws the same tokens whatever else is in the batch."""

    def __init__(self, request: Request, device: torch.device) -> None:
        """Raises `OptionError` for a temperature, top_p or top_k that makes no distribution."""
        if not 0 <= request.temperature < float("inf"):
            raise OptionError("temperature", request.temperature, "0 (greedy) or a number above")
        if not 0 < request.top_p <= 1:
            raise OptionError("top_p", request.top_p, "a number above 0, up to 1")
        if request.top_k < 0:
            raise OptionError("top_k", request.top_k, "0 (all tokens) or a number of tokens")
        self.greedy = request.temperature == 0
        self._request = request
        self._generator: torch.Generator | None = None
        if not self.greedy:
            self._generator = torch.Generator(device)
            if request.seed is None:
                self._generator.seed()
            else:
                self._generator.manual_seed(request.seed)

    def draw(self, logits: torch.Tensor) -> torch.Tensor:
        """One token ``()`` from ``logits`` ``(vocabulary,)``: tempered, then the top k, then the top p."""
        logits = logits / self._request.temperature
        if 0 < self._request.top_k < len(logits):
            least = logits.topk(self._request.top_k).values[-1]
            logits = logits.masked_fill(logits < least, -torch.inf)
        probabilities = logits.softmax(-1)
        if self._request.top_p < 1:
            probabilities = _nucleus(probabilities, self._request.top_p)
        return torch.multinomial(probabilities, 1, generator=self._generator)[0]


def choose(logits: torch.Tensor, choosers: Sequence[Chooser]) -> torch.Tensor:
    """``(rows,)`` int64 from ``(rows, vocabulary)``, without a word to the host."""
    logits = logits.float()
    tokens = logits.argmax(dim=-1)
    for row, chooser in enumerate(choosers):
        if not chooser.greedy:
            tokens[row] = chooser.draw(logits[row])
    return tokens


def _nucleus(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """The likeliest tokens that together reach ``top_p``, always at least one; the others get 0."""
    ordered, order = probabilities.sort(descending=True)
    before = ordered.cumsum(-1) - ordered
    return torch.zeros_like(probabilities).scatter_(0, order, ordered.masked_fill(before >= top_p, 0))
