"""What the job tells, as messages to viewers."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from streamer import alerts
from streamer.display import CarriedBoxes
from streamer.results import FrameResult
from streamer.server.parts import DetectionPart, SettingsPart, SourcePart, TaskPart, TimingsPart, UsagePart
from streamer.server.protocol import Alert, Boxes, Result, Stream
from streamer.settings import StreamStatus


def stream_message(status: StreamStatus) -> Stream:
    now, settings = time.time(), status.settings
    source = None
    if status.source_size is not None:
        width, height = status.source_size
        source = SourcePart(width=width, height=height, kind=status.kind, codec=status.codec)
    return Stream(
        time=now,
        stream=status.name,
        sequence=status.revision,
        number=status.number,
        address=status.address,
        state=status.state,
        reason=status.reason,
        since=now - status.since_seconds,
        settings=SettingsPart(
            tasks=tuple(TaskPart.of(task) for task in settings.tasks),
            budget=settings.budget,
            fps=settings.fps,
            display_fps=settings.display_fps,
            display_width=settings.display_width,
            paused=settings.paused,
            gate=settings.gate,
            gate_seconds=settings.gate_seconds,
        ),
        source=source,
        analysed_fps=round(status.analysed_fps, 3),
        reused_fps=round(status.reused_fps, 3),
        picture_fps=round(status.picture_fps, 3),
        counts=dict(status.counts),
        reconnects=status.reconnects,
        group=status.group,
        retry=None if status.retry_seconds is None else round(now + status.retry_seconds, 3),
    )


def boxes_message(boxes: CarriedBoxes) -> Boxes:
    now = time.time()
    return Boxes(
        time=now,
        stream=boxes.stream,
        sequence=boxes.sequence,
        captured=now - (time.monotonic() - boxes.captured_at),
        media_seconds=boxes.time_seconds,
        detections=tuple(map(DetectionPart.of, boxes.detections)),
    )


def alert_message(alert: alerts.Alert) -> Alert:
    return Alert(
        time=time.time(),
        alert=alert.id,
        stream=alert.stream,
        sequence=alert.revision,
        phase=alert.phase,
        rule=alert.rule,
        severity=alert.severity,
        title=alert.title,
        reason=alert.reason,
        description=alert.description,
        started=alert.started_at,
        ended=alert.ended_at,
        media_seconds=alert.media_seconds,
        detections=tuple(DetectionPart.of(found) for found in alert.detections),
        snapshot=alert.snapshot,
        clip=alert.clip,
        acknowledged=alert.acknowledged_at,
        acknowledged_by=alert.acknowledged_by,
        faults=dict(alert.faults),
    )


def result_message(result: FrameResult) -> Result:
    now = time.time()
    names = ("decode_ms", "queue_ms", "preprocess_ms", "model_ms", "total_ms")
    timings = {name: round(getattr(result.timings, name), 2) for name in names}
    usage = {name: getattr(result.usage, name) for name in UsagePart.model_fields}
    return Result(
        time=now,
        stream=result.stream,
        sequence=result.sequence,
        captured=now - (result.timings.age_ms or 0.0) / 1000,
        media_seconds=result.time_seconds,
        index=result.index,
        width=result.source_size[0],
        height=result.source_size[1],
        caption=result.caption,
        detections=tuple(DetectionPart.of(found) for found in result.detections),
        answers=_plain(result.answers),
        notes=dict(result.notes),
        usage=UsagePart(**usage),
        timings=TimingsPart(**timings, age_ms=result.timings.age_ms, deliver_ms=result.timings.deliver_ms),
        budget=result.budget,
        model=result.model,
        reused=result.reused,
        error=result.error,
    )


def _plain(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Answers without mapping types that JSON does not know."""
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in answers.items()}
