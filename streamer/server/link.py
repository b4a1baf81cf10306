"""How much a viewer's connection takes: pictures get smaller and plainer where it is slow, and better again."""

from __future__ import annotations

from streamer.display import Wish

STEPS = ((1.0, 80), (1.0, 60), (0.75, 60), (0.5, 50), (0.35, 40))
"""Part of the wished width, and JPEG quality; the first is the best. Beyond the last one pictures come less often, as
a newer one takes the place of one that waits."""
TOO_MANY = 0.25
"""Part of the pictures that a viewer lost, from which on the next step is taken."""
PATIENCE_SECONDS = 5.0
"""Without a loss, after which the step before is tried again; twice as long each time that was too early."""
LONGEST_PATIENCE_SECONDS = 80.0


class Link:
    """Of one viewer. The caller brings the time (seconds, rising) and what became of the pictures since last time."""

    def __init__(self) -> None:
        self.step = 0
        self._patience, self._changed_at, self._better = PATIENCE_SECONDS, 0.0, False

    def wish(self, width: int) -> Wish:
        """For a place of ``width`` pixels on the viewer's screen (0: as the settings say)."""
        part, quality = STEPS[self.step]
        return Wish.at(round(width * part), quality)

    def judge(self, now: float, offered: int, lost: int) -> bool:
        """Whether the step changes by ``offered`` pictures since the last call, ``lost`` of which did not go out."""
        if lost > TOO_MANY * offered and offered > 1:
            return self._worse(now)
        if lost == 0 and self.step > 0 and now - self._changed_at >= self._patience:
            self.step, self._changed_at, self._better = self.step - 1, now, True
            return True
        if self._better and now - self._changed_at >= 2 * PATIENCE_SECONDS:
            self._patience, self._better = PATIENCE_SECONDS, False
        return False

    def _worse(self, now: float) -> bool:
        if self._better:
            self._patience, self._better = min(LONGEST_PATIENCE_SECONDS, 2 * self._patience), False
        self._changed_at = now
        if self.step == len(STEPS) - 1:
            return False
        self.step += 1
        return True
