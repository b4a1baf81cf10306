"""How large the model takes pictures, for nodes that decode and have no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from streamer.errors import ModelError

if TYPE_CHECKING:
    from streamer.sources.base import Size

SECONDS = 60.0
"""For a model's answer."""


@dataclass(slots=True, eq=False)
class Sizes:
    """From a picture's size to the model's. A folder of pictures may have many; of those not known yet a model at work
    is asked."""

    models: Sequence[Any]
    """Actors; the next one is asked where one is lost."""
    budget: int
    known: dict[Size, Size] = field(default_factory=dict)

    def __call__(self, size: Size) -> Size:
        """Raises `ModelError` where nobody answers."""
        if size not in self.known:
            self.known[size] = self._asked(size)
        return self.known[size]

    def _asked(self, size: Size) -> Size:
        import ray

        for model in self.models:
            try:
                found: Size = ray.get(model.size_for.remote(size, self.budget), timeout=SECONDS)
            except (ray.exceptions.RayActorError, ray.exceptions.GetTimeoutError):
                continue
            return found
        raise ModelError("of the cluster", "none is left that says at which size it takes a picture")
