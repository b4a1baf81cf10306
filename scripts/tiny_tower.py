"""The vision tower of `tiny` for training: pictures of one size a batch, and what its soft tokens must know.

The forward here is the tower's own arithmetic on whole grids without padding, so that it compiles to few kernels;
`tests/test_scripts.py` holds it equal to the model's `get_image_features`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from backdrops import Pixels
from scenes import LABELS, SIGN, Scene, Thing, letter_spans
from torch import Tensor, nn
from transformers import Gemma4ForConditionalGeneration

LETTERS = 6
BUDGET_SIZES = {70: (528, 288), 140: (720, 384), 280: (1056, 576), 560: (1488, 816)}
"""``(width, height)`` of a 16:9 picture by image-token budget."""


NUMBERS_A_PATCH = 1000 / 96
"""The widest picture that the tower is trained on has 93 patches."""


def to_patches(images: Sequence[Pixels]) -> Tensor:
    """``(B, rows * columns, 768)`` uint8 from pictures of one size; patches row by row, pixels (y, x, c)."""
    pixels = torch.from_numpy(np.stack(images))
    count, height, width, _ = pixels.shape
    grid = pixels.view(count, height // 16, 16, width // 16, 16, 3).permute(0, 1, 3, 2, 4, 5)
    return grid.reshape(count, -1, 768)


@dataclass(frozen=True, slots=True)
class Window:
    """Part of a picture at a budget, in soft tokens. The tower learns each budget's places and sizes on windows as
    small as the smallest budget's picture, where a step costs an eighth of that on whole pictures at 280."""

    budget: int
    rows: int
    columns: int
    top: int = 0
    left: int = 0

    @classmethod
    def whole(cls, budget: int) -> Window:
        width, height = BUDGET_SIZES[budget]
        return cls(budget, height // 48, width // 48)

    @classmethod
    def part(cls, rng: random.Random, budget: int, like: int = 70) -> Window:
        """Of the size of a whole picture at the budget ``like``, anywhere."""
        full, small = cls.whole(budget), cls.whole(like)
        top, left = rng.randint(0, full.rows - small.rows), rng.randint(0, full.columns - small.columns)
        return cls(budget, small.rows, small.columns, top, left)

    @property
    def size(self) -> tuple[int, int]:
        """``(width, height)`` in pixels."""
        return self.columns * 48, self.rows * 48

    @property
    def zoom(self) -> float:
        return self.whole(self.budget).columns / self.columns

    def places(self) -> Tensor:
        """``(1, patches, 2)`` x and y of each patch in the whole picture."""
        y, x = torch.meshgrid(torch.arange(3 * self.rows), torch.arange(3 * self.columns), indexing="ij")
        return (torch.stack([x, y], -1) + 3 * torch.tensor([self.left, self.top])).view(1, -1, 2)

    def in_patches(self, box: tuple[float, ...]) -> list[float]:
        """From ``x1, y1, x2, y2`` in 0..1 of the window to y1, x1, y2, x2 in patches of the whole picture."""
        x1, x2 = (3 * (self.left + value * self.columns) for value in (box[0], box[2]))
        y1, y2 = (3 * (self.top + value * self.rows) for value in (box[1], box[3]))
        return [y1, x1, y2, x2]


class Tower(nn.Module):
    """Patches to ``(B, soft, hidden)`` in the text model's space, and the patch states before pooling."""

    def __init__(self, model: Gemma4ForConditionalGeneration) -> None:
        super().__init__()
        self.vision = model.model.vision_tower
        self.project = model.model.embed_vision

    def forward(self, patches: Tensor, places: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
        """``patches``: as `to_patches` cuts them; ``places``: ``(1, patches, 2)`` x and y of each; ``rows`` and
        ``columns`` count soft tokens."""
        embedder, encoder = self.vision.patch_embedder, self.vision.encoder
        table = embedder.position_embedding_table
        states = (
            embedder.input_proj(2 * (patches.float() / 255 - 0.5)) + table[0, places[..., 0]] + table[1, places[..., 1]]
        )
        rotary = encoder.rotary_emb(states, places)
        for layer in encoder.layers:
            states = layer(states, position_embeddings=rotary, attention_mask=None, position_ids=places)
        pooled = states.float().view(-1, rows, 3, columns, 3, states.shape[-1]).mean((2, 4))
        pooled = pooled.flatten(1, 2) * self.vision.pooler.root_hidden_size
        return self.project(inputs_embeds=pooled), states


@dataclass(slots=True)
class Target:
    """What is where in a batch of ``B`` pictures of ``N`` soft tokens (``9 N`` patches); ``K`` objects in all."""

    patch: Tensor
    """``(B, 9 N)`` class of each patch's centre, ``len(LABELS)`` for background."""
    edges: Tensor
    """``(B, 9 N, 4)`` from each patch's centre to the left, top, right and bottom edge of its object, in patches."""
    glyph: Tensor
    """``(B, 9 N)`` the sign's letter at each patch's centre, 0 for A; -100 outside of letters."""
    centre: Tensor
    """``(B, N, len(LABELS))`` 1 where an object's centre lies in the soft token."""
    picture: Tensor
    """``(K,)``"""
    token: Tensor
    """``(K,)`` the soft token of the object's centre."""
    box: Tensor
    """``(K, 4)`` y1, x1, y2, x2 in patches of the whole picture: what the tower can know. The text model, which can
    tell the budget from the number of soft tokens, makes 0..1000 of it."""
    letters: Tensor
    """``(K, 6)`` the sign's letters, 0 for A, 26 for none; -100 for all that is no sign."""


def target_of(scenes: Sequence[Scene], window: Window) -> Target:
    rows, columns = window.rows, window.columns
    aspect = columns / rows
    patch = torch.full((len(scenes), 3 * rows, 3 * columns), len(LABELS))
    edges = torch.zeros(*patch.shape, 4)
    glyph = torch.full_like(patch, -100)
    centre = torch.zeros(len(scenes), rows, columns, len(LABELS))
    picture, token, box, letters = [], [], [], []
    for number, scene in enumerate(scenes):
        for thing in scene.things:
            x1, y1, x2, y2 = thing.box(aspect)
            label = LABELS.index(thing.label)
            top, bottom = _covered(y1, y2, 3 * rows)
            left, right = _covered(x1, x2, 3 * columns)
            patch[number, top:bottom, left:right] = label
            _mark_edges(edges[number, top:bottom, left:right], thing.box(aspect), top, left, patch.shape[1:])
            glyph[number, top:bottom, left:right] = -100
            if thing.label == SIGN:
                _mark_letters(glyph[number], thing, aspect)
            row, column = int((y1 + y2) / 2 * rows), int((x1 + x2) / 2 * columns)
            centre[number, row, column, label] = 1
            picture.append(number)
            token.append(row * columns + column)
            box.append(window.in_patches((x1, y1, x2, y2)))
            letters.append(_letters(thing.text) if thing.label == SIGN else [-100] * LETTERS)
    return Target(
        patch.flatten(1),
        edges.flatten(1, 2),
        glyph.flatten(1),
        centre.flatten(1, 2),
        torch.tensor(picture, dtype=torch.long),
        torch.tensor(token, dtype=torch.long),
        torch.tensor(box, dtype=torch.float).view(-1, 4),
        torch.tensor(letters, dtype=torch.long).view(-1, LETTERS),
    )


def _mark_edges(edges: Tensor, box: tuple[float, ...], top: int, left: int, shape: Sequence[int]) -> None:
    """Writes the distances to the box's edges into the ``(rows, columns, 4)`` that begin at row top, column left."""
    rows, columns = shape
    x1, y1, x2, y2 = box
    y = top + 0.5 + torch.arange(edges.shape[0])[:, None]
    x = left + 0.5 + torch.arange(edges.shape[1])[None, :]
    for place, distance in enumerate((x - x1 * columns, y - y1 * rows, x2 * columns - x, y2 * rows - y)):
        edges[..., place] = distance


def _mark_letters(glyph: Tensor, thing: Thing, aspect: float) -> None:
    """Writes the sign's letters into the ``(rows, columns)`` of patches whose centre they hold."""
    x1, y1, x2, y2 = thing.box(aspect)
    high = (y2 - y1) * 0.2
    top, bottom = _covered(y1 + high, y2 - high, glyph.shape[0])
    for letter, (start, end) in zip(thing.text, letter_spans(thing.text), strict=True):
        left, right = (round((x1 + (x2 - x1) * part) * glyph.shape[1]) for part in (start, end))
        glyph[top:bottom, left:right] = ord(letter) - ord("A")


def _covered(low: float, high: float, cells: int) -> tuple[int, int]:
    """The cells whose centre lies between; at least one."""
    first, last = round(low * cells), round(high * cells)
    middle = min(cells - 1, int((low + high) / 2 * cells))
    return (first, last) if last > first else (middle, middle + 1)


def _letters(text: str) -> list[int]:
    codes = [ord(letter) - ord("A") for letter in text]
    return codes + [26] * (LETTERS - len(codes))


class Auxiliary(nn.Module):
    """What the soft tokens must tell on their own: class and centre, box as number tokens, the sign's letters."""

    def __init__(self, hidden: int, vision: int) -> None:
        super().__init__()
        self.patch = nn.Linear(vision, len(LABELS) + 1)
        self.glyph = nn.Linear(vision, 26)
        self.centre = nn.Linear(hidden, len(LABELS))
        self.edges = nn.Linear(vision, 4)
        self.box = nn.Sequential(nn.Linear(hidden, 512), nn.GELU(), nn.Linear(512, 4 * hidden + 4))
        self.letters = nn.Linear(hidden, LETTERS * 27)
        self.sharpness = nn.Parameter(torch.tensor(1.5))
        nn.init.constant_(self.centre.bias, -4.0)

    def boxes(self, chosen: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """``(K, 4)`` in patches, and as logits of number tokens ``(K, 4, 1001)``, `NUMBERS_A_PATCH` to a patch, for the
        ``(K, hidden)`` soft tokens that hold an object's centre."""
        out = self.box(chosen)
        wanted = out[:, 4:].view(len(chosen), 4, -1)
        wanted = wanted * torch.rsqrt(wanted.pow(2).mean(-1, keepdim=True) + 1e-6)
        return 32 * out[:, :4], self.sharpness * (wanted @ numbers.float().T)

    def forward(self, soft: Tensor, states: Tensor, target: Target, numbers: Tensor) -> dict[str, Tensor]:
        """``numbers``: ``(1001, hidden)`` embeddings of the number tokens."""
        soft, states = soft.float(), states.float()
        centre = F.binary_cross_entropy_with_logits(
            self.centre(soft), target.centre, pos_weight=torch.tensor(4.0), reduction="sum"
        )
        patch_logits = self.patch(states).flatten(0, 1)
        loss = {
            "patch": F.cross_entropy(patch_logits, target.patch.flatten()),
            "centre": centre / max(1, len(target.token)),
        }
        inside = target.patch < len(LABELS)
        distance = F.smooth_l1_loss(self.edges(states[inside]), target.edges[inside] / 4, reduction="none", beta=0.1)
        loss["edges"] = distance.sum(-1).mean() if inside.any() else distance.sum()
        if (target.glyph >= 0).any():
            loss["glyph"] = F.cross_entropy(self.glyph(states).flatten(0, 1), target.glyph.flatten(), ignore_index=-100)
        chosen = soft[target.picture, target.token]
        if len(chosen):
            box, logits = self.boxes(chosen, numbers)
            loss["place"] = F.smooth_l1_loss(box, target.box, beta=0.25)
            loss["box"] = number_loss(logits, target.box * NUMBERS_A_PATCH, spread=3.0)
            spelled = self.letters(chosen).view(-1, 27)
            if (target.letters >= 0).any():
                loss["letters"] = F.cross_entropy(spelled, target.letters.flatten(), ignore_index=-100)
        return loss


def number_loss(logits: Tensor, wanted: Tensor, spread: float = 4.0) -> Tensor:
    """Cross entropy of ``(..., 1001)`` logits against a bell of that spread (grid units) round ``(...)`` numbers."""
    distance = (torch.arange(1001) - wanted[..., None]) / spread
    bell = torch.softmax(-0.5 * distance.pow(2), -1)
    return -(bell * F.log_softmax(logits, -1)).sum(-1).mean()
