"""The documents of the interface, but for those that it shares with the viewer's protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints

from streamer.alerts import Alert, Severity
from streamer.history import Correction
from streamer.results import FrameResult
from streamer.server import protocol
from streamer.server.access import Role
from streamer.server.messages import result_message
from streamer.server.parts import Budget, DetectionPart, Part, Strict, TaskPart, TimingsPart, UsagePart
from streamer.settings import MAX_TASKS, StreamSettings

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=100)]
RowId = Annotated[int, Field(strict=True, ge=1, lt=2**63)]


class Problem(Part):
    """What went wrong (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    field: str | None = Field(default=None, description="What of the request was wrong")


# -- streams


class SettingsChange(Strict):
    """Settings to change; those that are left out, or null, stay as they are."""

    tasks: Annotated[tuple[TaskPart, ...], Field(max_length=MAX_TASKS)] | None = None
    budget: Budget | None = Field(default=None, description="One of the server's budgets, or auto")
    fps: Annotated[Number, Field(ge=0.01, le=60)] | None = None
    display_fps: Annotated[Number, Field(ge=0.1, le=60)] | None = None
    display_width: Annotated[int, Field(strict=True, ge=64, le=3840)] | None = None
    paused: Flag | None = None
    gate: Annotated[Number, Field(ge=0, le=1)] | None = None
    gate_seconds: Annotated[Number, Field(ge=0.1, le=86_400)] | None = None

    def apply(self, settings: StreamSettings) -> StreamSettings:
        """Raises `OptionError` for values that cannot be."""
        names = ("budget", "fps", "display_fps", "display_width", "paused", "gate", "gate_seconds")
        changes: dict[str, Any] = {name: value for name in names if (value := getattr(self, name)) is not None}
        if self.tasks is not None:
            changes["tasks"] = tuple(part.task() for part in self.tasks)
        return replace(settings, **changes)


class StreamChange(SettingsChange):
    """Settings of a stream to change, and its group."""

    group: Annotated[str, Field(max_length=100)] | None = None


class NewStream(SettingsChange):
    """A stream to add."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    address: Annotated[str, Field(min_length=1, max_length=2000, repr=False)]
    loop: Flag = False
    udp: Flag = False
    group: Annotated[str, Field(max_length=100)] = ""


class StreamList(Part):
    streams: tuple[protocol.Stream, ...]


class TaskList(Part):
    tasks: tuple[TaskPart, ...]


class RuleState(Part):
    """Where a rule stands on a stream."""

    rule: str
    state: Literal["idle", "confirming", "active", "releasing", "cooling", "off schedule", "disabled"]
    count: int = Field(description="Results in a row that met the rule, or did not where it is releasing")
    needed: int
    since: float | None = Field(description="Unix seconds, when the alert that is on began")
    until: float | None = Field(description="Unix seconds, when the cooldown is over")


class RuleStates(Part):
    rules: tuple[RuleState, ...]


# -- alerts


class AlertDetection(Part):
    label: str
    box: tuple[float, float, float, float] = Field(description="Left, top, right, bottom in 0..1 of the picture")
    track_id: int | None


class AlertPart(Part):
    """An alert as it stood after a change, the same as channels get it."""

    id: str
    type: Literal["new", "update", "end"]
    revision: int
    rule: str
    stream: str
    severity: Severity
    title: str
    reason: str | None
    description: str | None
    started_at: float
    updated_at: float
    ended_at: float | None
    media_seconds: float | None
    detections: tuple[AlertDetection, ...]
    snapshot: str | None = Field(description="Name of a picture under /api/v1/snapshots")
    clip: str | None = Field(description="Name of a video under /api/v1/clips")
    acknowledged_at: float | None
    acknowledged_by: str | None
    faults: dict[str, str]

    @classmethod
    def of(cls, alert: Alert) -> AlertPart:
        return cls.model_validate(alert.document())


class AlertLife(Part):
    alert: AlertPart
    life: tuple[AlertPart, ...] = Field(description="Every message of it, oldest first")


class AlertPage(Part):
    alerts: tuple[AlertPart, ...]
    next: str | None = Field(description="The cursor of the next page")


# -- answers


class Answers(Part):
    """What the model said of a picture."""

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
    error: str | None

    @classmethod
    def of(cls, result: FrameResult, **more: Any) -> Self:
        values = result_message(result).model_dump(include=set(Answers.model_fields))
        return cls.model_validate({**values, **more})


class Compared(Answers):
    caveat: str | None = Field(description="What has to be shown with every answer of its model")


class Analysis(Answers):
    caveat: str | None = Field(description="What has to be shown with every answer of this model")


class CorrectionPart(Part):
    """What somebody says of a picture in place of the model."""

    caption: str | None = Field(description="Null where the model's caption stands")
    detections: tuple[DetectionPart, ...] = Field(description="All of them")
    by: str = Field(description="Name of his token")
    at: float = Field(description="Unix seconds")

    @classmethod
    def of(cls, correction: Correction) -> CorrectionPart:
        return cls(
            caption=correction.caption,
            detections=tuple(map(DetectionPart.of, correction.detections)),
            by=correction.by,
            at=correction.at,
        )


class KeptResult(Answers):
    """A result of the history."""

    id: int
    stream: str
    at: float = Field(description="Unix seconds of capture")
    until: float = Field(description="Unix seconds of the last picture that had not changed since")
    sequence: int
    media_seconds: float
    reused: bool
    snippet: str = Field(description="Where the words stand that were asked for")
    picture: str | None = Field(description="Name of a picture under /api/v1/snapshots")
    correction: CorrectionPart | None = Field(
        default=None, description="Counts in place of what the model said, which all other fields have"
    )


class ResultPage(Part):
    results: tuple[KeptResult, ...]
    next: str | None = Field(description="The cursor of the next page")


class StreamSpread(Part):
    stream: str
    seen: tuple[int, ...] = Field(description="Results in each stretch of time")
    found: tuple[int, ...] = Field(description="Those of them that have boxes")


class HistorySpread(Part):
    """Results by stream and time."""

    since: float | None = Field(description="Unix seconds; null where there is no result")
    until: float | None
    streams: tuple[StreamSpread, ...]


class HistoryCounts(Part):
    results: int
    alerts: int
    pictures: int
    picture_bytes: int
    clips: int
    clip_bytes: int
    database_bytes: int
    oldest: float | None
    newest: float | None
    pending_notices: int
    dead_notices: int
    waiting: int
    dropped: int


# -- channels


class ChannelPart(Part):
    """How a channel does, since the start but for what waits and what is dead."""

    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True)

    name: str
    delivered: int
    superseded: int
    failed: int
    waiting: int | None
    dead: int | None
    last_error: str | None
    last_delivered_at: float | None


class ChannelList(Part):
    channels: tuple[ChannelPart, ...]


class DeadNotice(Part):
    id: int
    alert: str
    revision: int
    attempts: int
    error: str | None
    document: AlertPart


class DeadNotices(Part):
    notices: tuple[DeadNotice, ...]


class Replay(Strict):
    ids: Annotated[tuple[RowId, ...], Field(max_length=1000)] | None = Field(
        default=None, description="Of dead notices of this channel; left out: the newest thousand"
    )


class Replayed(Part):
    replayed: int


# -- the server


class ServerPart(Part):
    version: str
    model: str
    caveat: str | None
    models: tuple[str, ...] = Field(description="That a comparison may ask for; the first one watches the streams")
    budgets: tuple[int, ...]
    time: float = Field(description="Unix seconds on the server's clock")
    name: str = Field(description="Whose token this is")
    role: Role
    streams: tuple[str, ...] = Field(description="Names or patterns of the streams that may be seen; empty: all")
    can_add: bool
    reloads: int | None = Field(description="How often the configuration was read again; for admins")
    configuration_in_use: bool | None = Field(
        description="False where the newest version of the file cannot be used; for admins"
    )


class Reloaded(Part):
    reloads: int


class TokenPart(Part):
    name: str
    role: Role
    streams: tuple[str, ...]
    created_at: float


class TokenList(Part):
    tokens: tuple[TokenPart, ...]


class NewToken(Strict):
    name: Annotated[str, Field(min_length=1, max_length=60)]
    role: Role = "viewer"
    streams: Annotated[tuple[Pattern, ...], Field(max_length=100)] = ()


class CreatedToken(Part):
    name: str
    role: Role
    streams: tuple[str, ...]
    token: str = Field(repr=False, description="Told here and never again")


class Ready(Part):
    status: Literal["ready"] = "ready"
