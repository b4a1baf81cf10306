"""Blocks of frames to the models of a cluster, on the job's side: who is asked what, and what came of it.

Used from one thread.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, NamedTuple

from streamer.batching import BatchSize
from streamer.cluster.answerer import Answers, Asked, Facts
from streamer.cluster.crew import Crew, Member
from streamer.cluster.pieces import Piece, Pieces

CALL_PATIENCE_SECONDS = 900.0
"""For one call; a model that takes longer is taken for stuck."""
AT_ONCE = 2
"""Calls under way at each model: while it is at one, the pictures of the other travel."""


class Ready(NamedTuple):
    """A block that waits for a model."""

    pieces: Pieces
    piece: Piece


@dataclass(slots=True, eq=False)
class Call:
    """Blocks that a model is at."""

    member: Member[Facts]
    blocks: list[Ready]
    began: float = field(default_factory=time.monotonic)


class Outcome(NamedTuple):
    """Of a call."""

    call: Call
    answers: Answers | None
    error: Exception | None


@dataclass(slots=True, eq=False)
class Asking:
    """Waiting blocks go to the model with the least to do, as many together as it answers well together."""

    ray: ModuleType
    crew: Crew[Facts]
    asked: Asked
    batch: BatchSize
    ready: deque[Ready] = field(default_factory=deque)
    _calls: dict[Any, Call] = field(default_factory=dict)

    @property
    def references(self) -> list[Any]:
        """What is waited for."""
        return list(self._calls)

    @property
    def waiting_frames(self) -> int:
        return sum(one.piece.weight for one in self.ready)

    def under_way(self, member: Member[Facts]) -> int:
        return sum(call.member is member for call in self._calls.values())

    @property
    def idle(self) -> bool:
        """Whether a model has nothing to do."""
        busy = {id(call.member) for call in self._calls.values()}
        return any(id(member) not in busy for member in self.crew.members)

    def ask(self, *, last: bool) -> None:
        """An idle model takes what there is; a busy one only a whole batch ahead, or the last ones (``last``)."""
        self._forget_dropped()
        for load in range(AT_ONCE):
            for member in self.crew.members:
                if not self.ready or (load and not last and self.waiting_frames < self.batch.current):
                    return
                if self.under_way(member) == load:
                    self._ask(member)

    def _ask(self, member: Member[Facts]) -> None:
        blocks = self._next_blocks()
        for one in blocks:
            one.piece.state = "asked"
        reference = member.actor.answer.remote(self.asked, *(one.piece.content for one in blocks))
        self._calls[reference] = Call(member, blocks)

    def _next_blocks(self) -> list[Ready]:
        """Up to a batch; one that has ended a process goes alone."""
        blocks = [self.ready.popleft()]
        frames = blocks[0].piece.weight
        while self.ready and not (blocks[0].piece.suspected or self.ready[0].piece.suspected):
            frames += self.ready[0].piece.weight
            if frames > self.batch.current:
                break
            blocks.append(self.ready.popleft())
        return blocks

    def _forget_dropped(self) -> None:
        """Blocks of files that were given up."""
        if any(not one.pieces.has(one.piece) for one in self.ready):
            self.ready = deque(one for one in self.ready if one.pieces.has(one.piece))

    def answered(self, reference: Any) -> Outcome:
        """One of `references` is there."""
        call = self._calls.pop(reference)
        try:
            answers: Answers = self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            return Outcome(call, None, error)
        self.batch.observe(sum(one.piece.new for one in call.blocks), answers.seconds)
        return Outcome(call, answers, None)

    def stuck(self) -> list[Outcome]:
        """Calls that have not been answered for too long."""
        late = time.monotonic() - CALL_PATIENCE_SECONDS
        found = [reference for reference, call in self._calls.items() if call.began < late]
        error = TimeoutError(f"no answer for {CALL_PATIENCE_SECONDS:.0f} s")
        return [Outcome(self._calls.pop(reference), None, error) for reference in found]

    def close(self) -> None:
        self._calls.clear()
        self.ready.clear()
