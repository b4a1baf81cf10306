"""The messages between server and viewers, version 1; docs/protocol.md shows an example of each.

JSON text for everything but pictures, whose binary form `streamer.server.picture` knows. No I/O in here.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from streamer.models.base import BUDGETS
from streamer.server.faults import words_for
from streamer.server.parts import (
    Budget,
    DetectionPart,
    Name,
    Part,
    SettingsPart,
    SourcePart,
    Strict,
    TaskPart,
    TimingsPart,
    UsagePart,
)
from streamer.settings import StreamSettings

PROTOCOL = 1
MAX_MESSAGE_BYTES = 64 * 1024
"""Of a message from a viewer."""


class _Told(Part):
    time: float = Field(description="Unix seconds on the server's clock when the message was made")


# -- from the server


class Hello(_Told):
    """The first message."""

    type: Literal["hello"] = "hello"
    protocol: int = PROTOCOL
    version: str
    model: str
    caveat: str | None
    budgets: tuple[int, ...] = BUDGETS
    can_add: bool
    role: Literal["viewer", "admin"] = "admin"
    token_needed: bool = Field(default=False, description="Whether tokens are looked at here")
    history: bool = Field(default=False, description="Whether there is the HTTP interface, with history and alerts")


class Stream(_Told):
    """A stream's whole state and settings; on every change and once a second. Replaces what was known before."""

    type: Literal["stream"] = "stream"
    stream: str
    sequence: int
    number: int
    address: str
    state: Literal["connecting", "live", "stalled", "waiting", "ended", "failed"]
    reason: str
    since: float
    settings: SettingsPart
    source: SourcePart | None
    analysed_fps: float
    reused_fps: float
    picture_fps: float
    counts: dict[str, int]
    reconnects: int
    group: str = ""
    retry: float | None = Field(default=None, description="Unix seconds of the next try of a source that is away")


class Result(_Told):
    """All answers about one frame."""

    type: Literal["result"] = "result"
    stream: str
    sequence: int
    captured: float
    media_seconds: float
    index: int | None
    width: int
    height: int
    caption: str | None
    detections: tuple[DetectionPart, ...]
    answers: dict[str, Any]
    notes: dict[str, str]
    usage: UsagePart
    timings: TimingsPart
    budget: int
    model: str
    reused: bool
    error: str | None


class Boxes(_Told):
    """Where things are on a picture that was shown, between results: carried there from the newest one by what moved.
    Only of streams whose pictures the viewer asked for; a newer one takes the place of one that waits."""

    type: Literal["boxes"] = "boxes"
    stream: str
    sequence: int
    captured: float
    media_seconds: float
    detections: tuple[DetectionPart, ...]


class Alert(_Told):
    """An alert as it stands, at every change; the one of that ``alert`` with the highest ``sequence`` counts."""

    type: Literal["alert"] = "alert"
    alert: str
    stream: str
    sequence: int
    phase: Literal["new", "update", "end"]
    rule: str
    severity: Literal["info", "warning", "critical"]
    title: str
    reason: str | None
    description: str | None
    started: float
    ended: float | None
    media_seconds: float | None
    detections: tuple[DetectionPart, ...]
    snapshot: str | None
    clip: str | None
    acknowledged: float | None
    acknowledged_by: str | None
    faults: dict[str, str]


class Trouble(_Told):
    """What cannot be kept at the moment, as where the disk is full; ``words`` is None once all is well again. To admins
    alone."""

    type: Literal["trouble"] = "trouble"
    words: str | None


class Snapshot(_Told):
    """Everything that is known, after `Hello`: all streams, the newest results of each, and the alerts that go on or
    that nobody has acknowledged, each oldest first."""

    type: Literal["snapshot"] = "snapshot"
    streams: tuple[Stream, ...]
    results: tuple[Result, ...]
    alerts: tuple[Alert, ...] = ()


class Removed(_Told):
    """The stream is gone."""

    type: Literal["removed"] = "removed"
    stream: str
    sequence: int


class Ack(_Told):
    """The answer to a command: done, or why not. ``id`` is None where the message could not be read at all."""

    type: Literal["ack"] = "ack"
    id: int | None
    ok: bool
    error: str | None = None


class Pong(_Told):
    type: Literal["pong"] = "pong"
    sent: float


Told = Hello | Snapshot | Stream | Result | Boxes | Alert | Trouble | Removed | Ack | Pong
_TOLD: TypeAdapter[Told] = TypeAdapter(Annotated[Told, Field(discriminator="type")])


# -- from a viewer


class _Command(Strict):
    id: int = Field(ge=0, le=2**53)


class _Changes(_Command):
    """Settings to change; those left out stay as they are."""

    stream: Name
    tasks: Annotated[tuple[TaskPart, ...], Field(max_length=16)] | None = None
    budget: Budget | None = None
    fps: float | None = None
    display_fps: float | None = None
    display_width: int | None = None
    paused: bool | None = None
    gate: float | None = None
    gate_seconds: float | None = None

    def apply(self, settings: StreamSettings) -> StreamSettings:
        """Raises `OptionError` for values that cannot be."""
        names = ("budget", "fps", "display_fps", "display_width", "paused", "gate", "gate_seconds")
        changes: dict[str, Any] = {name: value for name in names if (value := getattr(self, name)) is not None}
        if self.tasks is not None:
            changes["tasks"] = tuple(part.task() for part in self.tasks)
        return replace(settings, **changes)


class Auth(Strict):
    """The first message where the server wants a token; anywhere else it does nothing."""

    type: Literal["auth"] = "auth"
    token: Annotated[str, Field(max_length=200)] = Field(repr=False)


class Pictures(_Command):
    """The streams whose pictures the viewer wants from now on, all others not: an empty list for a hidden page."""

    type: Literal["pictures"] = "pictures"
    streams: Annotated[tuple[Name, ...], Field(max_length=64)]
    video: Annotated[tuple[Name, ...], Field(max_length=64)] = ()
    """Those of them that may come as H.264, as the camera sends it."""
    widths: Annotated[dict[Name, Annotated[int, Field(ge=0, le=8192)]], Field(max_length=64)] = Field(
        default_factory=dict, description="Stream -> pixels across on the viewer's screen; else as its settings say"
    )


class Set(_Changes):
    """Changes settings of a stream."""

    type: Literal["set"] = "set"


class SetTask(_Command):
    """Puts a task in the place of the stream's task of that name, or behind the others; leaves the others alone."""

    type: Literal["set_task"] = "set_task"
    stream: Name
    task: TaskPart


class DropTask(_Command):
    """Takes the task of that name off the stream."""

    type: Literal["drop_task"] = "drop_task"
    stream: Name
    name: Name


class Add(_Changes):
    """Adds a stream, where the server allows it."""

    type: Literal["add"] = "add"
    address: Annotated[str, Field(min_length=1, max_length=2000)] = Field(repr=False)


class Remove(_Command):
    """Ends a stream, where the server allows it."""

    type: Literal["remove"] = "remove"
    stream: Name


class Restart(_Command):
    """Opens a stream's source again, from its start."""

    type: Literal["restart"] = "restart"
    stream: Name


class Acknowledge(_Command):
    """Somebody took note of an alert."""

    type: Literal["acknowledge"] = "acknowledge"
    alert: Annotated[str, Field(min_length=1, max_length=64)]


class Ping(Strict):
    """Asks for the server's time; ``sent`` comes back as it was."""

    type: Literal["ping"] = "ping"
    sent: float


Command = Pictures | Set | SetTask | DropTask | Add | Remove | Restart | Acknowledge
"""What is acknowledged."""
Asked = Auth | Ping | Command
_ASKED: TypeAdapter[Asked] = TypeAdapter(Annotated[Asked, Field(discriminator="type")])


def parse_asked(text: str | bytes) -> Asked:
    """A viewer's message. Raises pydantic's ValidationError."""
    return _ASKED.validate_json(text)


def refusal(text: str | bytes, error: ValidationError) -> Ack:
    """The answer to a message that `parse_asked` refused; quotes nothing of it, as it may hold a token."""
    fault = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in fault["loc"])
    words = f"{place}: {words_for(fault)}" if place else f"the message: {words_for(fault)}"
    try:
        number = _Numbered.model_validate_json(text).id
    except ValidationError:
        number = None
    return Ack(time=time.time(), id=number, ok=False, error=words)


class _Numbered(BaseModel):
    id: int | None = None


def parse_told(text: str | bytes) -> Told:
    """A server's message. Raises pydantic's ValidationError."""
    return _TOLD.validate_json(text)
