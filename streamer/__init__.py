"""Watch any video with Gemma 4: captions and boxes on files and cameras.

Light to import: torch is loaded with the first model.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamer.analyzer import Analyzer, Job
    from streamer.annotation import AnnotateJob, AnnotateRun, annotate
    from streamer.client import Client
    from streamer.configuration import Configuration, StreamEntry, read_configuration
    from streamer.errors import (
        MissingExtraError,
        ModelError,
        ModelMemoryError,
        OptionError,
        OutputError,
        SourceError,
        StreamerError,
    )
    from streamer.exporting import export
    from streamer.filejob import AnnotateOptions
    from streamer.frames import Frame
    from streamer.geometry import Box
    from streamer.history import History, HistoryOptions
    from streamer.models import connect, load
    from streamer.models.base import BUDGETS, Generation, Request, VisionModel
    from streamer.monitor import Monitor
    from streamer.pictures import ask, budget_figure, compare_budgets, read_picture
    from streamer.results import Detection, FrameResult, Timings, Usage
    from streamer.rules import Rule
    from streamer.sampling import Sampling
    from streamer.server import Server
    from streamer.settings import StreamSettings
    from streamer.sources import Source, expand, open_source
    from streamer.station import Station
    from streamer.tasks import Task
    from streamer.watching import watch

# No module of the package may have the name of one of these: importing it would put the module in its place.
_HOMES = {
    "streamer.analyzer": ("Analyzer", "Job"),
    "streamer.annotation": ("AnnotateJob", "AnnotateRun", "annotate"),
    "streamer.pictures": ("ask", "budget_figure", "compare_budgets", "read_picture"),
    "streamer.client": ("Client",),
    "streamer.configuration": ("Configuration", "StreamEntry", "read_configuration"),
    "streamer.errors": (
        "MissingExtraError", "ModelError", "ModelMemoryError", "OptionError", "OutputError", "SourceError",
        "StreamerError",
    ),
    "streamer.exporting": ("export",),
    "streamer.filejob": ("AnnotateOptions",),
    "streamer.frames": ("Frame",),
    "streamer.geometry": ("Box",),
    "streamer.history": ("History", "HistoryOptions"),
    "streamer.models": ("connect", "load"),
    "streamer.models.base": ("BUDGETS", "Generation", "Request", "VisionModel"),
    "streamer.monitor": ("Monitor",),
    "streamer.results": ("Detection", "FrameResult", "Timings", "Usage"),
    "streamer.rules": ("Rule",),
    "streamer.sampling": ("Sampling",),
    "streamer.server": ("Server",),
    "streamer.sources": ("Source", "expand", "open_source"),
    "streamer.settings": ("StreamSettings",),
    "streamer.station": ("Station",),
    "streamer.tasks": ("Task",),
    "streamer.watching": ("watch",),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BUDGETS",
    "Analyzer",
    "AnnotateJob",
    "AnnotateOptions",
    "AnnotateRun",
    "Box",
    "Client",
    "Configuration",
    "Detection",
    "Frame",
    "FrameResult",
    "Generation",
    "History",
    "HistoryOptions",
    "Job",
    "MissingExtraError",
    "ModelError",
    "ModelMemoryError",
    "Monitor",
    "OptionError",
    "OutputError",
    "Request",
    "Rule",
    "Sampling",
    "Server",
    "Source",
    "SourceError",
    "Station",
    "StreamEntry",
    "StreamSettings",
    "StreamerError",
    "Task",
    "Timings",
    "Usage",
    "VisionModel",
    "annotate",
    "ask",
    "budget_figure",
    "compare_budgets",
    "connect",
    "expand",
    "export",
    "load",
    "open_source",
    "read_configuration",
    "read_picture",
    "watch",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'streamer' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
