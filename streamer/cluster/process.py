"""A process of a stream on a node: an actor of Ray, with what can go wrong with it said in words."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from streamer.addresses import redact
from streamer.cluster.camera import CameraActor, Plan
from streamer.cluster.connecting import Node

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_THREADS = 8
"""Of the process, for calls at once."""
_SLICE_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited for what. All in seconds."""

    take: float = 1.0
    """A stream's process answers at the latest after so long, also where there is nothing to say."""
    hang: float = 5.0
    """So much later it is taken for dead."""
    start: float = 20.0
    """For a process to come up on its node, and its stream to be begun."""
    stay: float = 30.0
    """A stream that came to its node so lately is not moved; one that ran for so long has a fresh start."""
    longest_backoff: float = 30.0
    """Between two attempts where every one fails."""

    def backoff(self, failures: int) -> float:
        """Before the next attempt, after so many in a row; the first one comes at once."""
        return 0.0 if failures <= 1 else min(self.longest_backoff, 2.0 ** min(failures - 2, 30))


class Lost(Exception):
    """The process is of no more use: why, for people."""


class Refused(Lost):
    """The process is well, and cannot begin the stream: why."""


class Stopped(Exception):
    """The stream is to end."""


class Process:
    """Comes up by and by on the node that it is put on; used from any thread."""

    def __init__(self, ray: ModuleType, plan: Plan, node: Node) -> None:
        self._ray, self._name, self.node = ray, plan.name, node
        self.since = time.monotonic()
        self._handle = (
            ray.remote(CameraActor)
            .options(num_cpus=0, max_concurrency=_THREADS, scheduling_strategy=on_node(ray, node.id))
            .remote(plan)
        )
        self._up = self._handle.pid.remote()

    def up(self) -> bool:
        """Whether it has come up. Raises `Lost`."""
        if not self._ray.wait([self._up], timeout=0)[0]:
            return False
        self._answer(self._up)
        return True

    def call(
        self, method: str, *words: Any, seconds: float, stopping: threading.Event, is_there: Callable[[Node], bool]
    ) -> Any:
        """What ``method(*words)`` of `CameraActor` gives. Raises `Lost` where it does not within so many seconds, and
        `Stopped`."""
        if stopping.is_set():
            raise Stopped
        deadline = time.monotonic() + seconds
        asked = self._method(method).remote(*words)
        while not self._ray.wait([asked], timeout=_SLICE_SECONDS)[0]:
            if stopping.is_set():
                raise Stopped
            if not is_there(self.node):
                raise Lost(f"node {self.node.name} has left the cluster")
            if time.monotonic() > deadline:
                raise Lost(f"node {self.node.name} does not answer")
        return self._answer(asked)

    def _answer(self, asked: Any) -> Any:
        try:
            return self._ray.get(asked)
        except self._ray.exceptions.RayTaskError as error:
            reason = redact(f"{type(error.cause).__name__}: {first_line(error.cause)}")
            raise Lost(f"its process on node {self.node.name} failed: {reason}") from None
        except self._ray.exceptions.RayError as error:
            log.debug("stream %s: %s", self._name, first_line(error))
            raise Lost(f"its process on node {self.node.name} ended") from None

    def ask(self, method: str, *words: Any, seconds: float) -> Any:
        """As `call`, None where there is no answer in time."""
        try:
            return self._ray.get(self._method(method).remote(*words), timeout=seconds)
        except self._ray.exceptions.RayError as error:
            log.debug("stream %s: %s", self._name, first_line(error))
            return None

    def tell(self, method: str, *words: Any) -> None:
        """Without waiting for an answer."""
        self._method(method).remote(*words)

    def kill(self) -> None:
        """At once; again does nothing."""
        self._ray.kill(self._handle)

    def _method(self, name: str) -> Any:
        return getattr(self._handle, name)


def on_node(ray: ModuleType, id: str) -> Any:
    """Where Ray is to put an actor: there, and nowhere else."""
    return ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node_id=id, soft=False)


def first_line(error: BaseException) -> str:
    """Of what Ray says, which is long: its first sentence or so."""
    return str(error).strip().partition("\n")[0][:200]
