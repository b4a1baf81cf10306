"""The parts that the viewer's messages are made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from streamer.errors import OptionError
from streamer.results import Detection
from streamer.tasks import CAPTION_PROMPT, COMPARE_PROMPT, READ_PROMPT, Kind, Task

Name = Annotated[str, Field(min_length=1, max_length=100)]
Words = Annotated[str, Field(max_length=2000)]
Budget = int | Literal["auto"]
Label = Annotated[str, Field(min_length=1, max_length=60)]


class Part(BaseModel):
    """From the server. Readers ignore fields that they do not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Strict(BaseModel):
    """From a viewer. Unknown fields are refused, so that a misspelt one is not silently without effect."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TaskPart(Strict):
    """A task as viewers see and set it. ``prompt`` of a ``detect`` task is made from ``labels``."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    kind: Kind
    name: Name | None = None
    prompt: Words | None = None
    labels: Annotated[tuple[Label, ...], Field(max_length=100)] = ()
    max_tokens: int | None = None
    frames: int | None = None
    json_schema: dict[str, Any] | None = Field(
        default=None, alias="schema", description="A JSON schema that the answer follows"
    )

    @classmethod
    def of(cls, task: Task) -> TaskPart:
        return cls(
            kind=task.kind,
            name=task.name[:100],
            prompt=task.prompt[:2000],
            labels=tuple(label[:60] for label in task.labels[:100]),
            max_tokens=task.max_tokens,
            frames=task.frames,
            schema=None if task.schema is None else dict(task.schema),
        )

    def task(self) -> Task:
        """Raises `OptionError` for a question without words, limits out of range and what is no schema."""
        task = self._plain()
        given = {name: value for name in ("name", "max_tokens", "frames") if (value := getattr(self, name)) is not None}
        return replace(task, **given, schema=self.json_schema)

    def _plain(self) -> Task:
        words = (self.prompt or "").strip()
        match self.kind:
            case "caption":
                return Task.caption(words or CAPTION_PROMPT)
            case "detect":
                return Task.detect(self.labels)
            case "read":
                return Task.read(words or READ_PROMPT)
            case "compare":
                return Task.compare(words or COMPARE_PROMPT, frames=self.frames or 2)
        if not words:
            raise OptionError(f"question of task {self.name or self.kind}", words, "some words")
        return Task.ask(words) if self.kind == "ask" else Task.check(words)


class SettingsPart(Part):
    tasks: tuple[TaskPart, ...]
    budget: Budget
    fps: float
    display_fps: float
    display_width: int
    paused: bool
    gate: float
    gate_seconds: float


class SourcePart(Part):
    width: int
    height: int
    kind: str
    codec: str


class DetectionPart(Part):
    """Corners in 0..1 of the upright source picture: left, top, right, bottom."""

    label: str
    x1: float
    y1: float
    x2: float
    y2: float
    track_id: int | None = None
    attributes: dict[str, Any] | None = None

    @classmethod
    def of(cls, found: Detection) -> DetectionPart:
        x1, y1, x2, y2 = found.box
        extra = dict(found.attributes) if found.attributes else None
        return cls(label=found.label, x1=x1, y1=y1, x2=x2, y2=y2, track_id=found.track_id, attributes=extra)


class UsagePart(Part):
    image_tokens: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    forwards: int = 0


class TimingsPart(Part):
    decode_ms: float = 0.0
    queue_ms: float = 0.0
    preprocess_ms: float = 0.0
    model_ms: float = 0.0
    total_ms: float = 0.0
    age_ms: float | None = None
    deliver_ms: float | None = None
