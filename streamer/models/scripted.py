"""A model that says what a script says, for tests of everything around the model. It looks at nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Self

from streamer.errors import ModelInterrupted
from streamer.models.base import Generation, Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Script = Callable[[Request], str]


class ScriptedModel:
    """Answers ``script(request)`` after ``seconds`` of sleep a call; an exception of the script is raised."""

    def __init__(
        self,
        script: Script = lambda request: f"{len(request.images)} picture(s): {request.prompt}",
        *,
        seconds: float = 0.0,
        name: str = "scripted",
        structured: bool = False,
    ) -> None:
        self._script = script
        self._seconds = seconds
        self._interrupted = threading.Event()
        self.name = name
        self.structured = structured
        self.revision: str | None = None
        self.quantize: str | None = None
        self.caveat: str | None = "scripted answers: no model has looked at the picture"
        self.fault: str | None = None
        self.closed = False

    def size_for(self, source_size: tuple[int, int], budget: int) -> tuple[int, int]:
        """A multiple of 48 near the budget, as Gemma 4's own rule gives."""
        width, height = source_size
        scale = (budget * 48 * 48 / (width * height)) ** 0.5
        return max(48, int(width * scale) // 48 * 48), max(48, int(height * scale) // 48 * 48)

    def prepare(self, image: NDArray[np.uint8], budget: int) -> None:
        """Nothing to prepare."""

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        self._interrupted.clear()
        if self._seconds and self._interrupted.wait(self._seconds):
            raise ModelInterrupted(self.name)
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Generation:
        text = self._script(request)
        words = len(text.split())
        return Generation(
            text=text,
            finish="stop",
            image_tokens=sum(image.shape[0] * image.shape[1] // (48 * 48) for image in request.images),
            prompt_tokens=len(request.prompt.split()),
            output_tokens=words,
            forwards=words,
            model_ms=self._seconds * 1000,
        )

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
