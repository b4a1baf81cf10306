"""What answers questions about pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from streamer.models.base import VisionModel

DEFAULT_MODEL = "google/gemma-4-E2B-it"
"""For real footage; ``tiny`` needs no download and knows only drawn street scenes."""


def load(
    model: str = DEFAULT_MODEL,
    *,
    device: str = "auto",
    dtype: str = "auto",
    quantize: Literal["int8", "int4"] | None = None,
    attn: str = "sdpa",
    revision: str | None = None,
    max_batch: int = 32,
    progress: Callable[[str, float | None], None] | None = None,
) -> VisionModel:
    """A model ready to answer: a hub id, a folder with a checkpoint, or ``tiny``.

    The options are those of `streamer.models.local.LocalModel`. Raises `ModelError`, `ModelMemoryError` before loading
    what does not fit, and `OptionError`.
    """
    from streamer.models.local import LocalModel

    return LocalModel(
        model,
        device=device,
        dtype=dtype,
        quantize=quantize,
        attn=attn,
        revision=revision,
        max_batch=max_batch,
        progress=progress,
    )
