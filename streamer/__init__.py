"""Watch any video with Gemma 4: captions and boxes on files and cameras.

Light to import: torch is loaded with the first model.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamer.analyzer import Analyzer, Job
    from streamer.annotate import AnnotateJob, AnnotateRun, annotate
    from streamer.ask import ask, budget_figure, compare_budgets, read_picture
    from streamer.errors import (
        MissingExtraError,
        ModelError,
        ModelMemoryError,
        OptionError,
        OutputError,
        SourceError,
        StreamerError,
    )
    from streamer.export import export
    from streamer.filejob import AnnotateOptions
    from streamer.frames import Frame
    from streamer.geometry import Box
    from streamer.models import load
    from streamer.models.base import BUDGETS, Generation, Request, VisionModel
    from streamer.monitor import Monitor
    from streamer.results import Detection, FrameResult, Timings, Usage
    from streamer.sampling import Sampling
    from streamer.server import Server
    from streamer.settings import StreamSettings
    from streamer.sources import Source, expand, open_source
    from streamer.tasks import Task

_HOMES = {
    "streamer.analyzer": ("Analyzer", "Job"),
    "streamer.annotate": ("AnnotateJob", "AnnotateRun", "annotate"),
    "streamer.ask": ("ask", "budget_figure", "compare_budgets", "read_picture"),
    "streamer.errors": (
        "MissingExtraError", "ModelError", "ModelMemoryError", "OptionError", "OutputError", "SourceError",
        "StreamerError",
    ),
    "streamer.export": ("export",),
    "streamer.filejob": ("AnnotateOptions",),
    "streamer.frames": ("Frame",),
    "streamer.geometry": ("Box",),
    "streamer.models": ("load",),
    "streamer.models.base": ("BUDGETS", "Generation", "Request", "VisionModel"),
    "streamer.monitor": ("Monitor",),
    "streamer.results": ("Detection", "FrameResult", "Timings", "Usage"),
    "streamer.sampling": ("Sampling",),
    "streamer.server": ("Server",),
    "streamer.sources": ("Source", "expand", "open_source"),
    "streamer.settings": ("StreamSettings",),
    "streamer.tasks": ("Task",),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BUDGETS",
    "Analyzer",
    "AnnotateJob",
    "AnnotateOptions",
    "AnnotateRun",
    "Box",
    "Detection",
    "Frame",
    "FrameResult",
    "Generation",
    "Job",
    "MissingExtraError",
    "ModelError",
    "ModelMemoryError",
    "Monitor",
    "OptionError",
    "OutputError",
    "Request",
    "Sampling",
    "Server",
    "Source",
    "SourceError",
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
    "expand",
    "export",
    "load",
    "open_source",
    "read_picture",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'streamer' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
