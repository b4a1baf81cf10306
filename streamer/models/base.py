"""The border between streamer and whatever answers: pictures and a prompt in, text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BUDGETS: tuple[int, ...] = (70, 140, 280, 560, 1120)
"""Soft tokens per picture that Gemma 4 was trained with."""


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One question about one or several pictures."""

    images: tuple[NDArray[np.uint8], ...]
    """Each ``(H, W, 3)`` uint8 RGB, upright; resized by the model unless already at the budget's size."""
    prompt: str
    """The user's words, placed behind the pictures by the model's own chat template."""
    budget: int = 280
    """Soft tokens allowed per picture, one of `BUDGETS`."""
    max_tokens: int = 256
    system: str | None = None
    temperature: float = 0.0
    """0 decodes greedily."""
    top_p: float = 1.0
    top_k: int = 0
    """0 keeps every token."""
    seed: int | None = None
    stop: tuple[str, ...] = ()
    """Texts that end the answer; they are not part of it."""
    draft: tuple[int, ...] = ()
    """``token_ids`` of an answer that this one may resemble, such as the last one to the same question: it makes a
    local model faster, and never changes a greedy answer."""
    agreement: float = 0.8
    """How likely the next token of ``draft`` is right, as far as known; above 0, up to 1."""
    likeness: str = ""
    """Where there is no ``draft``: a text of the answer's form, such as a list of boxes with any numbers in it."""
    start: str = ""
    """The answer's beginning, given to the model instead of asked from it; it is part of the answer's text."""
    ends_with_list: bool = False
    """The answer ends where its JSON list closes, as far as it begins with one: a model may give objects without a list
    around them, and then goes on."""
    schema: Mapping[str, Any] | None = None
    """A JSON schema: the answer is a document of it and nothing else (with ``start`` it cannot be)."""


@dataclass(frozen=True, slots=True)
class Generation:
    """The answer to one `Request`."""

    text: str
    finish: Literal["stop", "length"]
    """``length``: cut off at ``max_tokens``."""
    token_ids: tuple[int, ...] = ()
    image_tokens: int = 0
    prompt_tokens: int = 0
    """Text tokens of the prompt; picture tokens not counted."""
    output_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    agreement: float = 0.8
    """As `Request.agreement`, by what came of the draft; unchanged where there was none."""
    forwards: int = 0
    preprocess_ms: float = 0.0
    model_ms: float = 0.0


class VisionModel(Protocol):
    """Answers questions about pictures. Used from one thread at a time; a context manager."""

    @property
    def name(self) -> str:
        """What to call it on the page and in files (hub id, folder name, ``tiny``)."""

    @property
    def revision(self) -> str | None:
        """What tells these weights from others of the same name, where known; kept in journals."""

    @property
    def quantize(self) -> str | None:
        """How the weights are packed (``int8``, ``int4``)."""

    @property
    def caveat(self) -> str | None:
        """A sentence that everything showing its output must show too; None for a model without one."""

    @property
    def structured(self) -> bool:
        """Whether its answers make sense under a JSON schema: what it was not taught, it fills in blindly."""

    @property
    def fault(self) -> str | None:
        """Why it could not answer now, as far as it knows without being asked: it is elsewhere, and not there. From any
        thread. None while it is well."""

    def size_for(self, source_size: tuple[int, int], budget: int) -> tuple[int, int]:
        """``(width, height)`` at which a picture of ``source_size`` reaches the model without another resize."""

    def prepare(self, image: NDArray[np.uint8], budget: int) -> None:
        """From any thread, while others are answered: the picture will be asked about soon, as this very array, and is
        not written to until then. A hint that saves time; nothing needs it, and it raises nothing."""

    def generate(self, requests: Sequence[Request]) -> list[Generation]:
        """Answers in the order of the requests. Raises `ModelError`; a bad request is an `OptionError`."""

    def interrupt(self) -> None:
        """From any thread: a running `generate` soon gives up with `ModelInterrupted`. Does nothing where none runs."""

    def close(self) -> None:
        """Frees the model's memory; calling it again does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None: ...
