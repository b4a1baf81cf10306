"""What the model said of a frame, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streamer.geometry import Box


@dataclass(frozen=True, slots=True)
class Detection:
    """An object found in the picture."""

    label: str
    box: Box
    """In 0..1 of the upright source picture."""
    track_id: int | None = None
    attributes: Mapping[str, Any] | None = None
    """Further fields that the model gave for this object."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and model calls spent on a frame, all its tasks together."""

    image_tokens: int = 0
    """Soft tokens of the pictures, counted once per picture however many tasks share it."""
    prompt_tokens: int = 0
    """Text tokens of the prompts (template included, picture tokens not)."""
    output_tokens: int = 0
    drafted_tokens: int = 0
    """Output tokens that were proposed without the model."""
    accepted_tokens: int = 0
    """Those of them that the model confirmed."""
    forwards: int = 0
    """Passes through the language model that this frame took part in."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.image_tokens + other.image_tokens,
            self.prompt_tokens + other.prompt_tokens,
            self.output_tokens + other.output_tokens,
            self.drafted_tokens + other.drafted_tokens,
            self.accepted_tokens + other.accepted_tokens,
            self.forwards + other.forwards,
        )


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds spent on a frame, by stage. A stage shared by a batch counts whole for each of its frames."""

    decode_ms: float = 0.0
    """Decoding and scaling, without waiting for what a camera sends."""
    queue_ms: float = 0.0
    """Live only: from the picture's arrival to taken by the analyzer, but for ``decode_ms``."""
    preprocess_ms: float = 0.0
    model_ms: float = 0.0
    total_ms: float = 0.0
    """From taken by the analyzer to the finished result."""
    age_ms: float | None = None
    """Live only: from the picture's arrival until the result is handed out: ``decode_ms``, ``queue_ms``, ``total_ms``
    and ``deliver_ms`` together."""
    deliver_ms: float | None = None
    """Live only: from the finished answers until the result is handed out."""

    def __add__(self, other: Timings) -> Timings:
        """The stages that all results have."""
        return Timings(
            self.decode_ms + other.decode_ms,
            self.queue_ms + other.queue_ms,
            self.preprocess_ms + other.preprocess_ms,
            self.model_ms + other.model_ms,
            self.total_ms + other.total_ms,
        )


@dataclass(frozen=True, slots=True)
class FrameResult:
    """All answers about one frame."""

    stream: str
    sequence: int
    """As `Frame.sequence`."""
    time_seconds: float
    """As `Frame.time_seconds`."""
    source_size: tuple[int, int]
    """``(width, height)`` of the upright source picture."""
    index: int | None = None
    pts: int | None = None
    caption: str | None = None
    """The first caption task's answer."""
    detections: tuple[Detection, ...] = ()
    answers: Mapping[str, Any] = field(default_factory=dict)
    """Task name -> text; for ``check`` ``{"answer": bool | None, "reason": str | None, "text": str}``; for a task with
    a schema the document."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Task name -> what was odd about its answer (cut off, boxes dropped)."""
    usage: Usage = Usage()
    timings: Timings = Timings()
    budget: int = 0
    """Soft tokens allowed per picture."""
    model: str = ""
    reused: bool = False
    """True where the picture had not changed and the previous answers were taken over."""
    error: str | None = None
    """Why the frame has no (complete) answers; never shown as a caption."""
