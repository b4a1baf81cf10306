"""A file's frames on their way to rows: decoded anywhere, answered anywhere, given back in order, each once.

A piece is a stretch of successive frames that shares one fate. One that is being decoded gets shorter from the front,
a block at a time; each block is a piece of its own, until it is answered. What gets lost on the way, with the process
or the machine that had it, waits again where it was. No I/O here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from streamer.cluster.ranges import Part

MAX_CRASHES = 3
"""So many processes may end over one piece before it is given up."""
HELD_FRAMES = 4_000
"""So far ahead of the first unanswered frame of a file pieces are begun: their rows wait here."""

State = Literal["waiting", "decoding", "ready", "asked", "answered"]


@dataclass(slots=True, eq=False)
class Piece:
    """Successive frames of one file."""

    first: int
    """Number of the first frame."""
    count: int | None
    """None: to the end of the file."""
    state: State = "waiting"
    again: bool = False
    """It was begun before, and what was decoded of it is lost."""
    counted: bool = False
    """Its frames are counted from the file's beginning."""
    crashes: list[str] = field(default_factory=list)
    """The nodes on which a process ended over it."""
    content: Any = None
    """``ready`` and ``asked``: the frames, where they are; ``answered``: their rows, or the fault that ended it."""
    new: int = 0
    """Frames of them that the model has to answer."""

    @property
    def weight(self) -> int:
        """What it counts in a batch; unchanged frames have pictures too."""
        return max(1, self.new)

    @property
    def suspected(self) -> bool:
        """It is asked alone from now on, so that it takes no other piece with it."""
        return bool(self.crashes)


class Pieces:
    """All pieces of one file that have no rows in the journal yet, in order."""

    def __init__(self, parts: Iterable[Part]) -> None:
        self._pieces = [Piece(part.first, part.count) for part in parts]
        self.astray = False
        """Its frames' numbers can only be trusted where they are counted from the file's beginning."""

    def __len__(self) -> int:
        return len(self._pieces)

    @property
    def waiting(self) -> Piece | None:
        """The next one to decode; None where there is none, or enough is ahead of the first already."""
        for piece in self._pieces:
            if piece.first - self._pieces[0].first > HELD_FRAMES:
                return None
            if piece.state == "waiting":
                return piece
        return None

    @property
    def ready(self) -> Iterator[Piece]:
        return (piece for piece in self._pieces if piece.state == "ready")

    def cut(self, piece: Piece, frames: int, content: Any, *, new: int) -> Piece:
        """The next ``frames`` of a piece that is being decoded are there: a piece of their own, ready."""
        block = Piece(piece.first, frames, "ready", content=content, new=new)
        self._pieces.insert(self._pieces.index(piece), block)
        piece.first += frames
        piece.count = None if piece.count is None else piece.count - frames
        piece.crashes = []
        return block

    def decoded(self, piece: Piece, fault: object = None) -> None:
        """There is no more in it. With a fault the file ends there: what lies behind is dropped."""
        place = self._pieces.index(piece)
        if fault is not None:
            piece.state, piece.content = "answered", fault
            del self._pieces[place + 1 :]
        else:
            del self._pieces[place]

    def recount(self, piece: Piece) -> None:
        """The file is not what its own tables say, as ``piece`` has shown: what lies behind it becomes one piece."""
        self.astray = True
        place = self._pieces.index(piece)
        if piece.count is not None:
            self._pieces[place + 1 :] = [Piece(piece.first, None)]

    def answered(self, piece: Piece, rows: object) -> None:
        piece.state, piece.content = "answered", rows

    def lost(self, piece: Piece, crashed_at: str | None = None) -> None:
        """What had it is gone: its frames are decoded again. ``crashed_at``: the node where a process ended over it."""
        piece.state, piece.content, piece.again = "waiting", None, True
        if crashed_at is not None:
            piece.crashes.append(crashed_at)

    def taken(self) -> Iterator[Piece]:
        """Takes out those from the front that are answered."""
        while self._pieces and self._pieces[0].state == "answered":
            yield self._pieces.pop(0)

    def drop(self) -> None:
        """Nobody wants them any more."""
        self._pieces.clear()

    def has(self, piece: Piece) -> bool:
        return piece in self._pieces
