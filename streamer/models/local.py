"""A Gemma 4 checkpoint on this machine as a `VisionModel`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, Self

from streamer.errors import ModelError, ModelMemoryError, OptionError
from streamer.gemma.budget import size_for
from streamer.models.base import Generation, Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from streamer.gemma.engine import Engine

log = logging.getLogger(__name__)

_WORDS = 64
"""Tokens of a question and the turns around it, about."""
TINY_CAVEAT = "tiny knows only drawn street scenes; it is not Gemma 4's quality"


class LocalModel:
    """Runs a checkpoint in this process. Used from one thread at a time; a context manager."""

    def __init__(
        self,
        model: str = "tiny",
        *,
        device: str = "auto",
        dtype: str = "auto",
        quantize: Literal["int8", "int4"] | None = None,
        attn: str = "sdpa",
        revision: str | None = None,
        max_batch: int = 32,
        max_batch_tokens: int = 16_384,
        progress: Callable[[str, float | None], None] | None = None,
    ) -> None:
        """Loads ``model`` (``tiny``, a folder, a hub id); the options are those of `streamer.gemma.checkpoint.load`.

        ``max_batch`` requests run side by side, and ``max_batch_tokens`` tokens (pictures, words and drafts; a
        picture of several requests counts once); more wait for the next batch of the same call.
        torch is imported here and not before. Raises `ModelError`, `ModelMemoryError` or `OptionError`.
        """
        for option, value in (("max_batch", max_batch), ("max_batch_tokens", max_batch_tokens)):
            if value < 1:
                raise OptionError(option, value, "a whole number above 0")
        from streamer.gemma.checkpoint import load
        from streamer.gemma.engine import Engine

        checkpoint = load(
            model, device=device, dtype=dtype, quantize=quantize, attn=attn, revision=revision, progress=progress
        )
        self.name: str = checkpoint.name
        self.revision: str | None = checkpoint.revision
        self.quantize: str | None = quantize
        self.caveat: str | None = TINY_CAVEAT if model == "tiny" else None
        self.structured = model != "tiny"
        self.fault: str | None = None
        self._patch_pixels, self._pooling = checkpoint.images.patch_pixels, checkpoint.images.pooling
        self._max_batch, self._max_tokens = max_batch, max_batch_tokens
        self._engine: Engine | None = Engine(checkpoint)
        if checkpoint.device.type == "cuda":
            if progress is not None:
                progress(f"warming up {model}", None)
            self._engine.warm_up()

    def size_for(self, source_size: tuple[int, int], budget: int) -> tuple[int, int]:
        """``(width, height)`` that reaches the model without another resize. Raises `OptionError`."""
        return size_for(source_size, budget, patch_pixels=self._patch_pixels, pooling=self._pooling)

    def prepare(self, image: NDArray[np.uint8], budget: int) -> None:
        """From any thread: cuts the picture into patches and sends it to the GPU, so that `generate` need not. On a CPU
        that is a hundredth of the model's time, and a second thread within torch would hold up the model's passes.

        A picture or budget that cannot be is left to `generate` to complain about.
        """
        if (engine := self._engine) is not None and engine.checkpoint.device.type != "cpu":
            with suppress(OptionError):
                engine.pictures.prepare(image, budget)

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Answers in the order of the requests, as many at a time as ``max_batch`` and ``max_batch_tokens`` allow.

        Where memory runs out, the batch is halved, now and for all later calls, and a warning says so. Raises
        `OptionError` for a bad request, `ModelError` after `close`, `ModelMemoryError` where one request alone does
        not fit.
        """
        answers: list[Generation] = []
        while len(answers) < len(requests):
            answers += self._answered(self._batch(requests[len(answers) :]))
        return answers

    def _batch(self, requests: Sequence[Request]) -> Sequence[Request]:
        """The first requests, as many as may run side by side; at least one."""
        tokens, seen = 0, set[int]()
        for number, request in enumerate(requests[: self._max_batch]):
            tokens += _WORDS + len(request.draft)
            for image in request.images:
                if id(image) not in seen:
                    seen.add(id(image))
                    tokens += request.budget
            if number and tokens > self._max_tokens:
                return requests[:number]
        return requests[: self._max_batch]

    def _answered(self, batch: Sequence[Request]) -> list[Generation]:
        """The answers to the batch, or to its first half where memory does not suffice for all."""
        if self._engine is None:
            raise ModelError(self.name, "it is closed")
        try:
            return self._engine.generate(batch)
        except ModelMemoryError:
            if len(batch) == 1:
                raise
            self._max_batch = len(batch) // 2
        log.warning("model %s: memory does not suffice for %d requests at once: %d from now on",
                    self.name, len(batch), self._max_batch)  # fmt: skip
        return self._answered(batch[: self._max_batch])

    def interrupt(self) -> None:
        """From any thread: a running `generate` gives up before its next token, with `ModelInterrupted`."""
        if (engine := self._engine) is not None:
            engine.interrupt()

    def close(self) -> None:
        """Frees the model's memory; calling it again does nothing."""
        if self._engine is None:
            return
        on_gpu = self._engine.checkpoint.device.type == "cuda"
        self._engine = None
        if on_gpu:
            import torch

            torch.cuda.empty_cache()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
