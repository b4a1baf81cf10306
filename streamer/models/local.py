"""A Gemma 4 checkpoint on this machine as a `VisionModel`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, Self

from streamer.errors import ModelError, OptionError
from streamer.gemma.budget import size_for
from streamer.models.base import Generation, Request

if TYPE_CHECKING:
    from streamer.gemma.engine import Engine

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
        max_batch: int = 8,
        progress: Callable[[str, float | None], None] | None = None,
    ) -> None:
        """Loads ``model`` (``tiny``, a folder, a hub id); the options are those of `streamer.gemma.checkpoint.load`.

        ``max_batch``: requests that run side by side; more wait for the next batch of the same call.
        torch is imported here and not before. Raises `ModelError`, `ModelMemoryError` or `OptionError`.
        """
        if max_batch < 1:
            raise OptionError("max_batch", max_batch, "a whole number above 0")
        from streamer.gemma.checkpoint import load
        from streamer.gemma.engine import Engine

        checkpoint = load(
            model, device=device, dtype=dtype, quantize=quantize, attn=attn, revision=revision, progress=progress
        )
        self.name: str = checkpoint.name
        self.caveat: str | None = TINY_CAVEAT if model == "tiny" else None
        self._patch_pixels, self._pooling = checkpoint.images.patch_pixels, checkpoint.images.pooling
        self._max_batch = max_batch
        self._engine: Engine | None = Engine(checkpoint)

    def size_for(self, source_size: tuple[int, int], budget: int) -> tuple[int, int]:
        """``(width, height)`` that reaches the model without another resize. Raises `OptionError`."""
        return size_for(source_size, budget, patch_pixels=self._patch_pixels, pooling=self._pooling)

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Answers in the order of the requests, ``max_batch`` at a time.

        Raises `OptionError` for a bad request, `ModelError` after `close` and where memory runs out.
        """
        if self._engine is None:
            raise ModelError(self.name, "it is closed")
        answers: list[Generation] = []
        for start in range(0, len(requests), self._max_batch):
            answers += self._engine.generate(requests[start : start + self._max_batch])
        return answers

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
