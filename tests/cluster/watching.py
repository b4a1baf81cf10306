"""Models and sources of live jobs on a cluster: the nodes make them, so they are of a module that nodes have."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from streamer.errors import ModelError
from streamer.models.remote.model import RemoteModel
from streamer.models.remote.options import RemoteOptions
from streamer.models.scripted import ScriptedModel
from streamer.settings import StreamSettings
from streamer.sources import open_source
from streamer.tasks import Task
from tests.annotating import says_the_numbers

if TYPE_CHECKING:
    from streamer.models.base import VisionModel
    from streamer.sources.base import Source

SETTINGS = StreamSettings(tasks=(Task.caption(), Task.detect("even")), fps=5, gate=0, budget=70)
DRAWN = "synthetic:?live=1&fps=10&size=320x180"


def scripted(seconds: float = 0.02) -> VisionModel:
    """Says which picture it sees."""
    return ScriptedModel(says_the_numbers, seconds=seconds)


def missing() -> VisionModel:
    raise ModelError("nobody/has-it", "there is no such model", "name another one")


def asking(url: str) -> VisionModel:
    """A model that the server there has."""
    return RemoteModel(RemoteOptions((url,), "gemma", deadline_seconds=10))


def opens(address: str, loop: bool = False) -> Source:
    return open_source(address, realtime=True, loop=loop)


def opener(address: str = DRAWN, *, loop: bool = False) -> Callable[[], Source]:
    return partial(opens, address, loop)
