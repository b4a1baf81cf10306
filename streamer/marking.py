"""Which of a file's frames the model is asked about: not those that are known already, nor those without change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from streamer.gating import Gate, Sight

if TYPE_CHECKING:
    from streamer.frames import Frame


class Sampled(NamedTuple):
    """A frame on its way to the model."""

    frame: Frame
    state: Literal["new", "unchanged", "known"]
    """``unchanged``: it is to get the answers of the one before it; ``known``: an earlier run has answered it."""


class Marking:
    """Says of each frame of a file, in their order, what is to become of it. Used from one thread."""

    def __init__(self, gate: float, *, window: int, known: int) -> None:
        """``gate`` and ``window`` as `Gate` has them, 0 for no gate; ``known``: so many first frames are answered."""
        self._gate = Gate(gate, window=window) if gate else None
        self._known = known

    def of(self, frame: Frame) -> Sampled:
        """The gate sees known frames too: what comes behind them is compared with them."""
        unchanged = self._unchanged(frame)
        if frame.sequence < self._known:
            return Sampled(frame, "known")
        return Sampled(frame, "unchanged" if unchanged else "new")

    def _unchanged(self, frame: Frame) -> bool:
        if self._gate is None:
            return False
        sight = Sight.of(frame)
        if not self._gate.look(sight).analyse:
            return True
        self._gate.analysed(sight)
        return False
