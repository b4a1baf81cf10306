"""The cores of a cluster that decode, on the job's side: each carries out one order after the other, a block a call.

Used from one thread.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from streamer.cluster.crew import Crew, Member
from streamer.cluster.decoder import Decoder, Note, Order, Place
from streamer.cluster.pieces import Piece, Pieces

if TYPE_CHECKING:
    from streamer.filejob import AnnotateOptions

BLOCK_PATIENCE_SECONDS = 300.0
"""For one block; a decoder that takes longer is taken for stuck."""


@dataclass(slots=True, eq=False)
class Lane:
    """A decoder, and what it is at."""

    member: Member[Place]
    pieces: Pieces | None = None
    """Of the file that it decodes."""
    piece: Piece | None = None
    order: Order | None = None
    """Not sent yet."""
    asked_at: float | None = None
    """When it was asked for the block that it has not given yet."""
    came: bool = False
    """It has given a block: it is well under way."""


class Came(NamedTuple):
    """A block, or why there is none."""

    lane: Lane
    note: Note | None
    content: Any
    """The block's reference."""
    error: Exception | None


@dataclass(slots=True, eq=False)
class Lanes:
    """Grows from one lane on while the models wait for frames, up to ``most``."""

    ray: ModuleType
    options: AnnotateOptions
    most: int
    lanes: list[Lane] = field(default_factory=list)
    crew: Crew[Place] = field(init=False)
    _asked: dict[Any, tuple[Lane, Any]] = field(default_factory=dict)
    """Lanes and their blocks' references, by the references of the notes."""

    def __post_init__(self) -> None:
        actor_class = self.ray.remote(num_cpus=1, max_restarts=0, scheduling_strategy="SPREAD")(Decoder)

        def start() -> tuple[Any, Any]:
            actor = actor_class.remote(self.options)
            return actor, actor.place.remote()

        self.crew = Crew(self.ray, start, lambda place: place.node, 1)

    @property
    def free(self) -> list[Lane]:
        return [lane for lane in self.lanes if lane.piece is None and lane.asked_at is None]

    @property
    def references(self) -> list[Any]:
        """What is waited for."""
        return [*self._asked, *self.crew.starting]

    def grow(self) -> None:
        """One more, unless one is still on its way."""
        if not self.crew.starting and self.crew.wanted < self.most and all(lane.came for lane in self.lanes):
            self.crew.wanted += 1

    def give(self, lane: Lane, pieces: Pieces, piece: Piece, order: Order) -> None:
        piece.state = "decoding"
        lane.pieces, lane.piece, lane.order = pieces, piece, order

    def ask(self) -> None:
        """Each lane that has an order for its next block."""
        for lane in self.lanes:
            if lane.piece is not None and lane.asked_at is None:
                note, block = lane.member.actor.next.options(num_returns=2).remote(lane.order)
                lane.order, lane.asked_at = None, time.monotonic()
                self._asked[note] = lane, block

    def answered(self, reference: Any) -> Came | None:
        """One of `references` is there; None where it was no block."""
        if reference in self.crew.starting:
            member = self.crew.greeted(reference)
            if member is not None:
                self.lanes.append(Lane(member))
            return None
        lane, block = self._asked.pop(reference)
        lane.asked_at, lane.came = None, True
        try:
            return Came(lane, self.ray.get(reference), block, None)
        except self.ray.exceptions.RayError as error:
            return Came(lane, None, None, error)

    def stuck(self) -> list[Came]:
        """Lanes that have given nothing for too long; they are lost."""
        late = time.monotonic() - BLOCK_PATIENCE_SECONDS
        found = [(reference, lane) for reference, (lane, _) in self._asked.items() if (lane.asked_at or late) < late]
        for reference, _ in found:
            del self._asked[reference]
        error = TimeoutError(f"no frame for {BLOCK_PATIENCE_SECONDS:.0f} s")
        return [Came(lane, None, None, error) for _, lane in found]

    def lost(self, lane: Lane) -> None:
        if lane in self.lanes:
            self.lanes.remove(lane)
        self.crew.lost(lane.member)

    def close(self) -> None:
        self._asked.clear()
        self.lanes.clear()
        self.crew.close()
