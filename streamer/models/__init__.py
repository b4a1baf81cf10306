"""What answers questions about pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from streamer.models.base import VisionModel
    from streamer.models.remote.model import RemoteModel

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


def connect(
    model: str,
    urls: str,
    *,
    live: bool = False,
    progress: Callable[[str, float | None], None] | None = None,
) -> RemoteModel:
    """The model of that name at OpenAI-compatible servers: ``http://gpu:8000/v1``, or several with commas between them.

    ``live``: an answer that takes longer than ten seconds is given up. The key is that of the environment, as
    `streamer.models.remote.options.read_key` says. Raises `ModelError` where no server can be used, and `OptionError`.
    """
    from streamer.models.remote.model import RemoteModel
    from streamer.models.remote.options import LIVE_SECONDS, RemoteOptions, parse_urls, read_key

    options = RemoteOptions(parse_urls(urls), model, key=read_key())
    if live:
        options = replace(options, deadline_seconds=LIVE_SECONDS, attempt_seconds=LIVE_SECONDS)
    return RemoteModel(options, progress=progress)
