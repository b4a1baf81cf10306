"""What runs side by side: rows of a batch, each some pictures with one or several answers about them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch.nn.functional import pad

from streamer.gemma.choosing import Chooser
from streamer.gemma.drafting import FREE, LONGEST_STRETCH, Drafter, StepCost
from streamer.gemma.masks import SHARED, TEXT, Places
from streamer.gemma.prompts import Prompt
from streamer.models.base import Generation, Request

if TYPE_CHECKING:
    from streamer.gemma.constraint import Constraint

_STOP_TAIL = 8
"""Tokens beyond a stop text's own length that are read again to find it (a token may hold a single byte)."""
_LIST_BEGINS = re.compile(r'\s*[\[\]{"\d-]')
_JSON_MARK = re.compile(r"""\\.|["\[\]{}]""", re.DOTALL)
Read = Callable[[Sequence[int]], str]


@dataclass(slots=True, eq=False)
class Branch:
    """One request that is being answered, behind the pictures that its row shares."""

    request: Request
    prompt: Prompt
    shared: int
    """How many of the prompt's tokens, from its start, belong to the row."""
    chooser: Chooser
    drafter: Drafter
    constraint: Constraint | None = None
    drafts: bool = True
    """Whether anything may be proposed."""
    preprocess_ms: float = 0.0
    model_ms: float = 0.0
    output: list[int] = field(default_factory=list)
    finish: Literal["stop", "length"] | None = None
    forwards: int = 0
    drafted: int = 0
    accepted: int = 0
    started: tuple[int, ...] = ()
    """Tokens that the answer was given as its beginning."""
    certain: list[int] = field(default_factory=list)
    """Tokens that the model has to read next."""
    proposed: list[int] = field(default_factory=list)
    """Tokens read behind them on trial."""

    allowed: torch.Tensor | None = None
    """``(1 + proposed, vocabulary)`` bool: what may be chosen behind the last certain and each proposed token."""
    _own: bool = False
    """Whether the proposals are the drafter's."""

    def __post_init__(self) -> None:
        self.certain = [*self.prompt.ids[self.shared :], *self.started]
        self.output = list(self.started)

    @property
    def position(self) -> int:
        """Of the first of the `certain` tokens."""
        return len(self.prompt.ids) + len(self.output) - len(self.certain)

    def plan(self, cost: StepCost = FREE) -> None:
        """Chooses what to read on trial in the next forward."""
        room = max(0, self.request.max_tokens - len(self.output) - 1)
        guesses = self.chooser.greedy and self.drafts
        self.proposed = self.drafter.propose(cost)[:room] if guesses else []
        self._own = True
        if self.constraint is None:
            return
        self.allowed = self.constraint.masks(self.proposed)
        self.proposed = self.proposed[: len(self.allowed) - 1]
        if not self.proposed and guesses and (forced := self.constraint.forced()[:room]):
            self.allowed = self.constraint.masks(forced)
            self.proposed, self._own = forced[: len(self.allowed) - 1], False

    def take(self, chosen: Sequence[int], end_ids: Collection[int], read: Read) -> int:
        """Takes the model's choice behind the last certain and each proposed token, as far as it agrees; returns how
        many of the proposed ones stay."""
        self.forwards += 1
        self.drafted += len(self.proposed)
        new: list[int] = []
        for token, trial in zip(chosen, [*self.proposed, None], strict=True):
            new.append(token)
            self._append(token, end_ids, read)
            if self.finish or token != trial:
                break
        agreed = sum(token == trial for token, trial in zip(new, self.proposed, strict=False))
        self.accepted += agreed
        own = self.proposed if self._own else []
        self.drafter.verified(own, new, chosen[len(new) :] if own else ())
        self.certain = new[-1:]
        return agreed

    def _append(self, token: int, end_ids: Collection[int], read: Read) -> None:
        self.output.append(token)
        if self.constraint is not None:
            self.constraint.take(token)
        if token in end_ids or self._meets_stop(read) or self._closes_list(read):
            self.finish = "stop"
        elif len(self.output) >= self.request.max_tokens:
            self.finish = "length"
            if self.constraint is not None and not self.constraint.valid:
                self.output = self.constraint.completed(self.request.max_tokens)

    def _closes_list(self, read: Read) -> bool:
        if not self.request.ends_with_list or "]" not in read(self.output[-1:]):
            return False
        return list_end(read(self.output)) is not None

    def generation(self, read: Read) -> Generation:
        """What came out. Its ``token_ids`` are all that the model said, the end token and stop text included."""
        return Generation(
            text=self._text(read),
            finish=self.finish or "length",
            token_ids=tuple(self.output),
            image_tokens=self.prompt.image_tokens,
            prompt_tokens=self.prompt.text_tokens,
            output_tokens=len(self.output),
            drafted_tokens=self.drafted,
            accepted_tokens=self.accepted,
            agreement=self.drafter.chance if self.request.draft else self.request.agreement,
            forwards=self.forwards,
            preprocess_ms=self.preprocess_ms,
            model_ms=self.model_ms,
        )

    def _text(self, read: Read) -> str:
        text = _before_stop(read(self.output), self.request.stop)
        return text[: list_end(text)] if self.request.ends_with_list else text

    def _meets_stop(self, read: Read) -> bool:
        if not self.request.stop:
            return False
        tail = read(self.output[-(4 * max(map(len, self.request.stop)) + _STOP_TAIL) :])
        if not any(stop in tail for stop in self.request.stop):
            return False
        return any(stop in read(self.output) for stop in self.request.stop)


@dataclass(slots=True, eq=False)
class Row:
    """Pictures, and the answers about them that grow side by side."""

    prefix: Prompt
    """The beginning that its branches share, up to the last picture; empty without pictures."""
    features: tuple[torch.Tensor, ...]
    """A ``(soft tokens, hidden)`` tensor a picture."""
    branches: list[Branch]

    @property
    def live(self) -> Iterator[tuple[int, Branch]]:
        """Branches that are not finished, with their numbers."""
        return ((number, branch) for number, branch in enumerate(self.branches) if branch.finish is None)

    def needs(self) -> tuple[int, int, int]:
        """Places of its first step, and of what may come behind it in all, and in one step; at most."""
        stretches = [1 + min(LONGEST_STRETCH, branch.request.max_tokens) for branch in self.branches]
        first = len(self.prefix.ids) + sum(len(branch.certain) for branch in self.branches) + sum(stretches)
        return first, sum(branch.request.max_tokens for branch in self.branches), sum(stretches)


@dataclass(frozen=True, slots=True)
class Trial:
    """A branch's proposals within a step."""

    row: int
    column: int
    """Of the last certain token; the proposals follow it."""
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What one forward reads, and where its answers lie."""

    ids: torch.Tensor
    """``(rows, columns)``"""
    places: Places
    trials: dict[Branch, Trial]
    """For each live branch where it stands."""
    keep: int
    """From how many columns before the end on hidden states are wanted."""
    left: bool
    """Whether padding stands on the left."""

    def soft(self) -> torch.Tensor:
        """``(rows, columns)`` int64: which of the pictures' soft tokens, counted row by row, stands here; else -1."""
        picture = self.places.blocks != TEXT
        return (picture.flatten().cumsum(0) - 1).view_as(picture).masked_fill(~picture, -1)

    def padded(self, rows: int, width: int, pad_id: int, *, keep: int) -> Step:
        """The same with more rows and columns, which hold nothing."""
        more, gap = rows - self.ids.shape[0], width - self.ids.shape[1]
        sides = (gap, 0, 0, more) if self.left else (0, gap, 0, more)
        fills = (0, False, TEXT, SHARED)
        places = Places(*(pad(part, sides, value=fill) for part, fill in zip(self.places.parts(), fills, strict=True)))
        shift = gap if self.left else 0
        trials = {b: Trial(trial.row, trial.column + shift, trial.count) for b, trial in self.trials.items()}
        return Step(pad(self.ids, sides, value=pad_id), places, trials, keep, self.left)

    def wanted(self) -> tuple[list[int], list[int]]:
        """Rows and columns of the places whose next token is asked for, branch by branch in the order of `trials`."""
        rows: list[int] = []
        columns: list[int] = []
        for trial in self.trials.values():
            rows += [trial.row] * (1 + trial.count)
            columns += range(trial.column, trial.column + 1 + trial.count)
        return rows, columns

    def kept(self, agreed: dict[Branch, int]) -> torch.Tensor:
        """``(rows, columns)`` False at proposals that were wrong."""
        kept = torch.ones(self.ids.shape, dtype=torch.bool)
        for branch, trial in self.trials.items():
            first = trial.column + 1
            kept[trial.row, first + agreed[branch] : first + trial.count] = False
        return kept


def first_step(rows: Sequence[Row], pad_id: int) -> Step:
    """Prefixes, prompts and proposals, padded on the left, so that what is asked for lies at the end."""
    return _step(rows, pad_id, prefixed=True)


def next_step(rows: Sequence[Row], pad_id: int) -> Step:
    """Certain and proposed tokens, padded on the right, so that what turns out wrong lies at the end."""
    return _step(rows, pad_id, prefixed=False)


def _step(rows: Sequence[Row], pad_id: int, *, prefixed: bool) -> Step:
    lines = [_Line(row, prefixed) for row in rows]
    width = max(len(line.ids) for line in lines)
    trials: dict[Branch, Trial] = {}
    keep = 1
    for number, line in enumerate(lines):
        gap = width - len(line.ids) if prefixed else 0
        for branch, column in line.starts.items():
            last = gap + column + len(branch.certain) - 1
            trials[branch] = Trial(number, last, len(branch.proposed))
            keep = max(keep, width - last)
    parts = zip(*(line.padded(width, pad_id, left=prefixed) for line in lines), strict=True)
    ids, positions, valid, blocks, branches = (torch.tensor(part) for part in parts)
    return Step(ids, Places(positions, valid, blocks, branches), trials, keep, prefixed)


class _Line:
    """One row's tokens of a step."""

    def __init__(self, row: Row, prefixed: bool) -> None:
        self.ids: list[int] = list(row.prefix.ids) if prefixed else []
        self.positions = list(range(len(self.ids)))
        self.blocks: list[int] = list(row.prefix.blocks) if prefixed else []
        self.branches = [SHARED] * len(self.ids)
        self.starts: dict[Branch, int] = {}
        for number, branch in row.live:
            self.starts[branch] = len(self.ids)
            new = branch.certain + branch.proposed
            self.ids += new
            self.positions += range(branch.position, branch.position + len(new))
            self.blocks += [TEXT] * len(new)
            self.branches += [number] * len(new)

    def padded(self, width: int, pad_id: int, *, left: bool) -> tuple[list[int], ...]:
        gap = width - len(self.ids)
        valid = [True] * len(self.ids)
        lists: tuple[tuple[list[Any], Any], ...] = (
            (self.ids, pad_id), (self.positions, 0), (valid, False), (self.blocks, TEXT), (self.branches, SHARED),
        )  # fmt: skip
        return tuple([fill] * gap + values if left else values + [fill] * gap for values, fill in lists)


def list_end(text: str) -> int | None:
    """Behind the bracket that closes the JSON list that ``text`` begins with, words before it aside; None where it does
    not close, and where an object comes first.

    >>> list_end('Here [as asked]: [{"label": "a ] b"}] and more')
    37
    """
    depth, quoted = 0, False
    for found in _JSON_MARK.finditer(text):
        mark = found.group()
        if depth and mark == '"':
            quoted = not quoted
        elif not quoted and mark in "[{":
            if depth == 0 and mark == "{":
                return None
            depth += depth > 0 or _LIST_BEGINS.match(text, found.end()) is not None
        elif not quoted and depth and mark in "]}":
            depth -= 1
            if depth == 0:
                return found.end()
    return None


def _before_stop(text: str, stops: Sequence[str]) -> str:
    found = [at for stop in stops if (at := text.find(stop)) >= 0]
    return text[: min(found)] if found else text
