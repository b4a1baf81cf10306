"""An alert and its life: something that a rule looks for began, went on, and ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from streamer.results import Detection

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
Phase = Literal["new", "update", "end"]


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as it stands after its newest change. The same `id` from its beginning to its end."""

    id: str
    """Unique everywhere: 32 hexadecimal digits that rise with time."""
    rule: str
    stream: str
    severity: Severity
    phase: Phase
    """What the newest change was: it began, more became known of it, it ended."""
    revision: int
    """1 for ``new``, one more with every change: who gets two of the same alert keeps the higher one."""
    title: str
    """One line of the rule's own words: what happened."""
    started_at: float
    """Unix seconds when the picture was captured whose answer confirmed the rule."""
    updated_at: float
    """Unix seconds of the newest change."""
    ended_at: float | None = None
    reason: str | None = None
    """Why the rule held, in the model's words or by numbers ("3 persons in the zone gate")."""
    description: str | None = None
    """What the picture shows, in the model's words; often comes as an update."""
    media_seconds: float | None = None
    """Time in the source of the confirming picture, as `Frame.time_seconds`."""
    detections: tuple[Detection, ...] = ()
    """Those that made the rule hold, in the confirming picture."""
    snapshot: str | None = None
    """Name of the kept picture with boxes; None while there is none."""
    clip: str | None = None
    """Name of the kept video; None while there is none."""
    acknowledged_at: float | None = None
    """Unix seconds when a person took note of it."""
    acknowledged_by: str | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
    """What could not be had -> why: ``clip``, ``snapshot``, ``description``."""

    def document(self) -> dict[str, Any]:
        """As plain JSON, the same for every channel and for the HTTP interface."""
        return {
            "id": self.id,
            "type": self.phase,
            "revision": self.revision,
            "rule": self.rule,
            "stream": self.stream,
            "severity": self.severity,
            "title": self.title,
            "reason": self.reason,
            "description": self.description,
            "started_at": self.started_at,
            "updated_at": self.updated_at,
            "ended_at": self.ended_at,
            "media_seconds": self.media_seconds,
            "detections": [
                {"label": found.label, "box": list(found.box), "track_id": found.track_id} for found in self.detections
            ],
            "snapshot": self.snapshot,
            "clip": self.clip,
            "acknowledged_at": self.acknowledged_at,
            "acknowledged_by": self.acknowledged_by,
            "faults": dict(self.faults),
        }
