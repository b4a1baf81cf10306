"""The text model of `tiny` for training: many questions about one picture in one sequence, and their loss.

A sequence is the start of the user's turn with the picture (or two), then the exchanges one behind the other. Each
exchange sees the picture and itself, at the positions that it has when it is asked alone.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from tiny_questions import Exchange
from tiny_tower import number_loss
from torch import Tensor
from transformers import Gemma4ForConditionalGeneration, PreTrainedTokenizerFast

ROOM = {70: 384, 140: 448, 280: 576, 560: 896}
"""Length of a packed sequence by budget."""
KIND_WEIGHT = {"caption": 2.0, "detect": 1.0, "count": 4.0, "check": 2.0, "read": 3.0, "time": 1.0, "compare": 3.0}
BOX_PIECES = ('"},\n▁▁{"box_2d":▁[', '▁▁{"box_2d":▁[', ",▁")
"""A whole number behind one of these is a coordinate."""


@dataclass(slots=True)
class Packed:
    """One sequence of length ``L`` before padding."""

    ids: list[int] = field(default_factory=list)
    segment: list[int] = field(default_factory=list)
    """0 for the picture, then 1, 2, … an exchange."""
    position: list[int] = field(default_factory=list)
    weight: list[float] = field(default_factory=list)
    """Weight of predicting this token; 0 for everything that is no answer."""
    coordinate: list[bool] = field(default_factory=list)
    looks: list[tuple[int, ...]] = field(default_factory=list)
    """Places in the sequence of the soft tokens that show what this token says; none for most."""


class Packer:
    """Token ids of pictures and exchanges."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast) -> None:
        self._tokenizer = tokenizer
        vocabulary = tokenizer.get_vocab()
        self.image_id = vocabulary["<|image|>"]
        self._begin, self._end = vocabulary["<|image>"], vocabulary["<image|>"]
        self._opening = self._ids("<bos><|turn>user\n")
        self._middle = self._ids("<turn|>\n<|turn>model\n")
        self._closing = self._ids("<turn|>")
        self._before_coordinate = {vocabulary[piece] for piece in BOX_PIECES}
        self._numbers = {vocabulary[str(number)] for number in range(1001)}

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def pack(self, grids: Sequence[tuple[int, int]], exchanges: Sequence[Exchange], room: int) -> Packed:
        """``grids``: rows and columns of each picture's soft tokens. What does not fit in ``room`` is left out."""
        ids = list(self._opening)
        for rows, columns in grids:
            ids += [self._begin, *[self.image_id] * (rows * columns), self._end]
        start = len(ids)
        packed = Packed(ids, [0] * start, list(range(start)), [0.0] * start, [False] * start, [()] * start)
        for number, exchange in enumerate(exchanges, 1):
            self._append(packed, exchange, number, start, room, grids)
        return packed

    def _append(
        self, packed: Packed, exchange: Exchange, number: int, start: int, room: int, grids: Sequence[tuple[int, int]]
    ) -> None:
        question = self._ids(exchange.prompt) + self._middle
        answer = self._ids(exchange.answer) + self._closing
        length = len(question) + len(answer)
        if len(packed.ids) + length > room:
            return
        weight = KIND_WEIGHT[exchange.kind]
        before = [question[-1], *answer]
        coordinates = [
            exchange.kind == "detect" and token in self._numbers and previous in self._before_coordinate
            for previous, token in zip(before, answer, strict=False)
        ]
        packed.ids += question + answer
        packed.segment += [number] * length
        packed.position += range(start, start + length)
        packed.weight += [0.0] * len(question) + [weight] * len(answer)
        packed.coordinate += [False] * len(question) + coordinates
        packed.looks += [()] * len(question) + self._looks(exchange, len(answer), grids)

    def _looks(self, exchange: Exchange, length: int, grids: Sequence[tuple[int, int]]) -> list[tuple[int, ...]]:
        """A set of places for each of the answer's ``length`` tokens; the closing token has none."""
        first = [len(self._opening) + 1]
        for rows, columns in grids:
            first.append(first[-1] + rows * columns + 2)
        looks: list[tuple[int, ...]] = []
        for text, points in exchange.parts:
            places = set()
            for picture, x, y in points:
                rows, columns = grids[picture]
                row, column = min(rows - 1, int(y * rows)), min(columns - 1, int(x * columns))
                places.add(first[picture] + row * columns + column)
            looks += [tuple(sorted(places))] * len(self._ids(text))
        looks.append(())
        # Pieces may join across parts; then nothing is said of this answer.
        return looks if len(looks) == length else [()] * length


@dataclass(slots=True)
class Batch:
    """``B`` packed sequences padded to ``L``."""

    ids: Tensor
    position: Tensor
    mask: Tensor
    """``(B, 1, L, L)`` True where a token may look."""
    weight: Tensor
    coordinate: Tensor
    row: Tensor
    """``(K,)`` of the tokens that show where to look, with the place before each, where it is predicted, in ``query``
    and the places to look at in ``keys`` ``(K, 8)``, filled up with the first of them."""
    query: Tensor
    keys: Tensor
    fresh: Tensor
    """``(K, 8)`` False where ``keys`` is filled up."""


MOST_PLACES = 8


def collate(packed: Sequence[Packed], room: int) -> Batch:
    def padded(name: str, fill: float, dtype: torch.dtype) -> Tensor:
        rows = [[*getattr(p, name), *[fill] * (room - len(p.ids))] for p in packed]
        return torch.tensor(rows, dtype=dtype)

    segment = padded("segment", -1, torch.long)
    same = segment[:, :, None] == segment[:, None, :]
    picture = (segment[:, None, :] == 0) & (segment[:, :, None] >= 0)
    mask = (same | picture) & torch.ones(room, room, dtype=torch.bool).tril()
    shown = [
        (row, place - 1, looks[:MOST_PLACES])
        for row, one in enumerate(packed)
        for place, looks in enumerate(one.looks)
        if looks
    ]
    keys = [[*looks, *looks[:1] * (MOST_PLACES - len(looks))] for _, _, looks in shown]
    fresh = [[place < len(looks) for place in range(MOST_PLACES)] for _, _, looks in shown]
    return Batch(
        padded("ids", 0, torch.long),
        padded("position", 0, torch.long),
        mask[:, None],
        padded("weight", 0.0, torch.float),
        padded("coordinate", False, torch.bool),
        torch.tensor([row for row, _, _ in shown], dtype=torch.long),
        torch.tensor([query for _, query, _ in shown], dtype=torch.long),
        torch.tensor(keys, dtype=torch.long).view(-1, MOST_PLACES),
        torch.tensor(fresh, dtype=torch.bool).view(-1, MOST_PLACES),
    )


def embed(model: Gemma4ForConditionalGeneration, batch: Batch, soft: Tensor, image_id: int) -> Tensor:
    """``(B, L, hidden)``: the words' embeddings with the soft tokens (in order) in the pictures' places."""
    states: Tensor = model.model.language_model.embed_tokens(batch.ids)
    places = (batch.ids == image_id)[..., None].expand_as(states)
    return states.masked_scatter(places, soft.to(states.dtype))


def answer_loss(
    model: Gemma4ForConditionalGeneration, states: Tensor, batch: Batch, numbers: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """Weighted loss on the answers' tokens; ``states``: ``(B, L, hidden)`` of the text model's last layer."""
    wanted, weight, coordinate = batch.ids[:, 1:], batch.weight[:, 1:], batch.coordinate[:, 1:]
    chosen = weight > 0
    logits = model.lm_head(states[:, :-1][chosen]).float()
    cap = model.config.text_config.final_logit_softcapping
    logits = cap * torch.tanh(logits / cap)
    wanted, weight, coordinate = wanted[chosen], weight[chosen], coordinate[chosen]
    words = F.cross_entropy(logits[~coordinate], wanted[~coordinate], reduction="none")
    loss = (words * weight[~coordinate]).sum()
    report = {"words": words.mean().item()}
    if coordinate.any():
        value = torch.searchsorted(numbers.sort().values, wanted[coordinate])
        value = numbers.argsort()[value].float()
        box = number_loss(logits[coordinate][:, numbers], value, spread=3.0)
        missed = torch.logsumexp(logits[coordinate], -1) - torch.logsumexp(logits[coordinate][:, numbers], -1)
        loss = loss + (box + missed.mean()) * coordinate.sum()
        report["box"] = box.item()
    return loss / weight.sum(), report


def look_loss(attention: Tensor, batch: Batch) -> Tensor:
    """How far one head's ``(B, L, L)`` attention is from what each token is about: minus the log of its share there.

    The language loss alone takes tens of thousands of pictures to find out where to look.
    """
    share = attention[batch.row[:, None], batch.query[:, None], batch.keys].float() * batch.fresh
    return -torch.log(share.sum(1) + 1e-3).mean()


def chosen_exchanges(rng: random.Random, exchanges: Sequence[Exchange]) -> list[Exchange]:
    """In random order, so that what does not fit is not always the same kind; short answers first come more."""
    return sorted(exchanges, key=lambda exchange: rng.random() + (0.3 if exchange.kind == "detect" else 0.0))
