"""Guesses at what a model will say next, to be verified by the model itself. Pure: tokens in, tokens out.

The guess is an earlier answer to the same question about the same stream. As long as the model agrees, it goes on
with that answer; where they differ, the model's token stands, and the draft is lined up again behind it: at the same
place at first (a number was replaced by another), and where that fails too, at the nearest place that continues what
the model has just said (something was put in or left out). What the model would have said to the rest of a stretch
whose beginning was wrong is known as well and takes the place of the draft there: it has looked at this picture, if
with a wrong token before it. How long a stretch is worth proposing follows from how
often guesses have been right and from what a forward costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_MATCH = 4
"""Tokens of the answer that a place of the draft is looked up by, at most."""
LONGEST_STRETCH = 256
_FIRST_CHANCE = 0.8
_MEMORY = 0.85
"""Weight of what was known before against the newest verification."""


@dataclass(frozen=True, slots=True)
class StepCost:
    """What a forward costs: ``base + per_token * tokens``, in any unit of time."""

    base: float
    per_token: float

    def worth(self, chance: float, left: int) -> int:
        """How many tokens to draft, of ``left`` at hand, when each is right with ``chance`` as long as all before it
        were: the number that gives most tokens for the time."""
        if self.base <= 0:
            return 0
        best, best_rate = 0, 1 / (self.base + self.per_token)
        expected, agreed = 1.0, 1.0
        for count in range(1, min(left, LONGEST_STRETCH) + 1):
            agreed *= chance
            expected += agreed
            rate = expected / (self.base + self.per_token * (1 + count))
            if rate > best_rate:
                best, best_rate = count, rate
            elif agreed < 0.01:
                break
        return best


FREE = StepCost(1.0, 0.0)
"""A forward costs the same however many tokens it reads."""
_FADE = 0.98
_FEWEST = 4


class CostMeter:
    """`StepCost` of forwards as they are measured: a line through (tokens, seconds), older ones fading."""

    def __init__(self) -> None:
        self._count = 0
        self._sums = [0.0] * 5

    def observe(self, tokens: int, seconds: float) -> None:
        self._count += 1
        new = (1.0, tokens, seconds, tokens * tokens, tokens * seconds)
        self._sums = [_FADE * old + value for old, value in zip(self._sums, new, strict=True)]

    def cost(self) -> StepCost:
        """`FREE` until enough forwards of different sizes were seen."""
        weight, x, y, xx, xy = self._sums
        spread = weight * xx - x * x
        if self._count < _FEWEST or spread < 0.01 * weight * xx:
            return FREE
        per_token = max(0.0, (weight * xy - x * y) / spread)
        base = (y - per_token * x) / weight
        return StepCost(base, per_token) if base > 0 else StepCost(0.0, y / x)


class Drafter:
    """Proposes the rest of one answer out of an earlier one and out of what the answer itself has said so far."""

    def __init__(self, earlier: Sequence[int] = (), chance: float = _FIRST_CHANCE) -> None:
        """``earlier``: token ids of the earlier answer, its end token included; may be empty.
        ``chance``: how likely its next token is right, as far as known."""
        self._known = list(earlier)
        self._earlier = len(self._known)
        self._original = tuple(earlier)
        self._gain = 0
        """How much oftener the model's own guesses have been right than the earlier answer in their place."""
        self._place: int | None = 0
        self._missed = False
        self.chance = chance
        """How likely the next token of the earlier answer is right, by all that has come of it so far."""
        self._own_chance = _FIRST_CHANCE
        """The same of what the answer itself has said before."""

    def propose(self, cost: StepCost = FREE) -> list[int]:
        """Tokens that may come next; empty where nothing is at hand or a guess would not pay."""
        if self._place is None:
            return []
        end = self._earlier if self._place < self._earlier else len(self._known)
        rest = self._known[self._place : end]
        chance = self.chance if self._place < self._earlier else self._own_chance
        return rest[: cost.worth(chance, len(rest))]

    def verified(self, proposed: Sequence[int], chosen: Sequence[int], beyond: Sequence[int] = ()) -> None:
        """``chosen``: what the model said to ``proposed``: as much of it as was right, and one token more. Where it
        was not asked about what `propose` gave, ``proposed`` is empty. ``beyond``: what it would have said to the
        proposed tokens behind the wrong one. What was at hand and not proposed is judged too,
        so that a draft which did not pay once is used again when it has become better."""
        right = 0
        while right < min(len(proposed), len(chosen)) and proposed[right] == chosen[right]:
            right += 1
        wrong = right < len(proposed) and right < len(chosen)
        if self._place is not None:
            self._judge(self._place, chosen)
            foretold = self._foretold(self._place, chosen)
            self._learn(foretold, foretold < len(chosen) and self._is_known(self._place + foretold))
        self._known += chosen
        if self._place is None:
            self._place = self._look_up(self._earlier)
        elif wrong:
            self._improve(self._place + right + 1, beyond)
            self._realign(self._place + right, again=self._missed and right == 0)
            self._missed = True
        else:
            self._follow(self._place + right, chosen[right:])
            self._missed = False

    def _follow(self, place: int, beyond: Sequence[int]) -> None:
        """Goes on behind the stretch with what the model said beyond it, if the draft has the same there."""
        for token in beyond:
            if not self._is(place, token):
                self._realign(place, again=False)
                return
            place += 1
        self._place = place if place < self._earlier else self._look_up(place)

    def _is(self, place: int, token: int) -> bool:
        return place < len(self._known) and self._known[place] == token

    def _foretold(self, place: int, chosen: Sequence[int]) -> int:
        """How many of the chosen tokens the draft has from ``place`` on."""
        count = 0
        while count < len(chosen) and self._is(place + count, chosen[count]):
            count += 1
        return count

    def _is_known(self, place: int) -> bool:
        """Whether the draft says anything there (the earlier answer ends where the own words begin)."""
        assert self._place is not None
        return place < (self._earlier if self._place < self._earlier else len(self._known))

    def _learn(self, right: int, wrong: bool) -> None:
        assert self._place is not None
        earlier = self._place < self._earlier
        chance = self.chance if earlier else self._own_chance
        for _ in range(min(right, 20)):
            chance = _MEMORY * chance + (1 - _MEMORY)
        if wrong:
            chance *= _MEMORY
        if earlier:
            self.chance = chance
        else:
            self._own_chance = chance

    def _improve(self, place: int, better: Sequence[int]) -> None:
        """Puts the model's own guesses in the place of the earlier answer's tokens, unless they have been worse."""
        end = min(place + len(better), self._earlier)
        if place < end and self._gain >= 0:
            self._known[place:end] = better[: end - place]

    def _judge(self, place: int, chosen: Sequence[int]) -> None:
        for at, token in enumerate(chosen[: max(0, self._earlier - place)], place):
            if self._known[at] != self._original[at]:
                self._gain += (token == self._known[at]) - (token == self._original[at])
        if self._gain < 0:
            self._known[: self._earlier] = self._original

    def _realign(self, place: int, *, again: bool) -> None:
        """Behind a token that differs from the draft's at ``place``: the same place, else the nearest match."""
        same = place + 1 if place + 1 < self._earlier else None
        found = self._look_up(place) if again or same is None else None
        self._place = same if found is None else found

    def _look_up(self, near: int) -> int | None:
        """The place nearest to ``near`` behind the longest match with the end of what was said; None for none."""
        said = len(self._known) - self._earlier
        for length in range(min(LONGEST_MATCH, said), 0, -1):
            tail = self._known[-length:]
            ends = [at for at in range(length, len(self._known)) if self._known[at - length : at] == tail]
            if ends:
                return min(ends, key=lambda end: abs(end - near))
        return None
