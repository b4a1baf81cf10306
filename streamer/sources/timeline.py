"""Times that only rise, whatever a container says."""

from __future__ import annotations

from fractions import Fraction

DEFAULT_STEP = Fraction(1, 25)
"""Seconds between pictures where nothing better is known."""
_SANE_RATES = (Fraction(1, 10), Fraction(240))


class Timeline:
    """Places pictures, given in order of presentation, at exact seconds since the first one.

    A picture without pts, or with one that does not rise (all zero, wrapped, jumped back), is put one step behind the
    one before it, and those after it follow on from there. Forward gaps are kept, unless ``longest_gap`` says that a
    longer one is a jump too: then ``elapsed`` takes its place.
    """

    def __init__(
        self, time_base: Fraction | None, rate: Fraction | None = None, longest_gap: Fraction | float | None = None
    ):
        self._time_base = time_base or Fraction(1, 1000)
        self._longest_gap = longest_gap
        self._step = 1 / rate if rate and _SANE_RATES[0] <= rate <= _SANE_RATES[1] else DEFAULT_STEP
        self._offset: Fraction | None = None
        self._last: Fraction | None = None

    def place(self, pts: int | None, elapsed: Fraction | None = None) -> Fraction:
        """Seconds for the next picture. ``elapsed``: real seconds since the one before it (live), if known."""
        if self._last is None:
            at = Fraction(0)
        else:
            jump = self._last + (elapsed if elapsed and elapsed > 0 else self._step)
            at = jump if pts is None or self._offset is None else pts * self._time_base + self._offset
            gap = at - self._last
            if gap <= 0 or (self._longest_gap is not None and gap > self._longest_gap):
                at = jump
        if pts is not None:
            self._offset = at - pts * self._time_base
        self._last = at
        return at

    def interrupt(self, time_base: Fraction | None) -> None:
        """What follows comes from a new connection: its pts have nothing to do with those before."""
        self._time_base = time_base or self._time_base
        self._offset = None
