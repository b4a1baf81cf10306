"""What all routes of one application share."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamer.probes import Probes
from streamer.server.api.limits import Attempts, Buckets, Limits, Slots

if TYPE_CHECKING:
    from streamer.server.access import Tokens
    from streamer.server.metrics import Metrics
    from streamer.station import Station

ROOT = "/api/v1"


@dataclass(eq=False)
class Context:
    """One a application, in ``app.state.api``."""

    station: Station
    tokens: Tokens
    metrics: Metrics
    open_locally: bool
    """Whoever is on this machine needs no token."""
    limits: Limits
    document: dict[str, Any] | None = None
    """The OpenAPI document, once it was asked for."""
    buckets: Buckets = field(init=False)
    attempts: Attempts = field(init=False)
    at_once: Slots = field(init=False)
    analyses: Slots = field(init=False)
    comparisons: Slots = field(init=False)
    exports: Slots = field(init=False)
    excerpts: Slots = field(init=False)
    scratch: Path | None = field(init=False)
    """Where excerpts are made; None for the system's own place for such things."""
    backtests: Slots = field(init=False)
    uploads: Slots = field(init=False)
    pictures: Slots = field(init=False)
    probes: Probes = field(init=False)

    def __post_init__(self) -> None:
        limits = self.limits
        self.buckets = Buckets(limits.rate, limits.burst)
        self.attempts = Attempts(limits.wrong_tokens)
        self.at_once = Slots(limits.at_once)
        self.analyses, self.exports = Slots(limits.analyses), Slots(limits.exports)
        self.comparisons, self.excerpts = Slots(limits.comparisons), Slots(limits.excerpts)
        self.backtests = Slots(limits.backtests)
        self.uploads, self.pictures = Slots(limits.uploads), Slots(limits.pictures)
        self.probes = Probes(limits.probes, limits.probe_seconds)
        data = self.station.configuration.data
        self.scratch = None if data is None else data / "excerpts"
        if self.scratch is not None:  # what a run that was killed has left: the job is alone in its data folder
            shutil.rmtree(self.scratch, ignore_errors=True)


def version() -> str:
    """Of the package."""
    try:
        return metadata.version("streamer")
    except metadata.PackageNotFoundError:
        return "0+source"
