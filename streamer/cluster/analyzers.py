"""The analyzers of a cluster, as the program that started them sees them: begun where there is room, watched, replaced.

Used on one thread; what others may read is said so.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from streamer.cluster.connecting import Node
from streamer.cluster.process import first_line, on_node
from streamer.cluster.shared import AnalyzerActor, Facts
from streamer.errors import ModelError, StreamerError

if TYPE_CHECKING:
    from streamer.models.base import VisionModel

log = logging.getLogger(__name__)

MAX_A_NODE = 16
PING_SECONDS = 10.0
"""Without an answer for so long an analyzer is taken for dead; a third of it on a node that is in doubt."""
STUCK_SECONDS = 300.0
"""A batch that takes longer never ends."""
LONGEST_BACKOFF_SECONDS = 60.0
_CALLS_AT_ONCE = 1000


@dataclass(slots=True, eq=False)
class _Analyzer:
    node: Node
    handle: Any
    loading: Any | None
    """What `AnalyzerActor.load` will give; None once it is there."""
    ping: Any | None = None
    asked_at: float = 0.0
    answered: float = 0.0
    """When the ping was asked that was answered last."""
    answered_at: float = 0.0


@dataclass(slots=True)
class _Failed:
    """Of a node: in a row."""

    times: int = 0
    next_at: float = 0.0


class Analyzers:
    """As many on each node as its GPUs allow, or one where none are asked for. `ready` may be read on any thread."""

    def __init__(self, ray: ModuleType, make: Callable[[], VisionModel], gpus: float) -> None:
        """``gpus``: of each analyzer; may be a part of one, 0 asks for none."""
        self._ray, self._make, self._gpus = ray, make, gpus
        self._all: dict[int, _Analyzer] = {}
        self._next = 1
        self._failed: dict[str, _Failed] = {}
        self.facts: Facts | None = None
        """Of the model, once one is ready."""
        self.fault: StreamerError | None = None
        """Why the newest one that failed to load did."""
        self.ready: Mapping[int, str] = {}
        """Number -> node id."""

    def handle(self, number: int | None) -> Any | None:
        """To be asked; None where there is none of that number any more."""
        found = None if number is None else self._all.get(number)
        return None if found is None else found.handle

    @property
    def loading(self) -> bool:
        """Whether one is on its way."""
        return any(one.loading is not None for one in self._all.values())

    def look_after(self, nodes: Iterable[Node], doubtful: Iterable[str] = ()) -> dict[str, float]:
        """One round: begins, takes in what was loaded, looks whether all answer. ``doubtful``: ids of nodes. Gives
        those nodes (ids) that answered, and when they were asked."""
        there, unsure = {node.id: node for node in nodes}, set(doubtful)
        now = time.monotonic()
        self._failed = {id: failed for id, failed in self._failed.items() if id in there}
        for number, one in list(self._all.items()):
            if one.node.id not in there:
                self._end(number, "its node is gone", now)
            elif one.loading is not None:
                self._look_at_loading(number, one, now)
            else:
                self._look_at_ready(number, one, now, PING_SECONDS / 3 if one.node.id in unsure else PING_SECONDS)
        for node in there.values():
            if node.id not in unsure and now >= self._failed.get(node.id, _Failed()).next_at:
                self._fill(node)
        self.ready = {number: one.node.id for number, one in self._all.items() if one.loading is None}
        return {one.node.id: one.answered for one in self._all.values() if one.answered}

    def _room(self, node: Node) -> int:
        if self._gpus == 0:
            return 1 if node.cpus > 0 else 0
        return min(MAX_A_NODE, int(node.gpus / self._gpus + 1e-6))

    def _fill(self, node: Node) -> None:
        missing = self._room(node) - sum(one.node.id == node.id for one in self._all.values())
        for _ in range(missing):
            handle = (
                self._ray.remote(AnalyzerActor)
                .options(
                    num_cpus=0,
                    num_gpus=self._gpus,
                    max_concurrency=_CALLS_AT_ONCE,
                    scheduling_strategy=on_node(self._ray, node.id),
                )
                .remote(self._make, os.getcwd())
            )
            self._all[self._next] = _Analyzer(node, handle, handle.load.remote())
            self._next += 1

    def _look_at_loading(self, number: int, one: _Analyzer, now: float) -> None:
        if not self._ray.wait([one.loading], timeout=0)[0]:
            return
        try:
            found: Facts | StreamerError = self._ray.get(one.loading)
        except self._ray.exceptions.RayError as error:
            found = ModelError("of the job", f"its process on {one.node.name} ended: {first_line(error)}")
        if isinstance(found, StreamerError):
            self.fault = found
            self._end(number, str(found), now)
            return
        self.facts = self.facts or found
        self._failed.pop(one.node.id, None)
        one.loading, one.ping, one.answered_at = None, one.handle.busy_seconds.remote(), now

    def _look_at_ready(self, number: int, one: _Analyzer, now: float, patience: float) -> None:
        busy_seconds = 0.0
        if self._ray.wait([one.ping], timeout=0)[0]:
            ping, asked_at = one.ping, one.asked_at
            one.ping, one.asked_at = one.handle.busy_seconds.remote(), now
            try:
                busy_seconds, one.answered_at = self._ray.get(ping), now
                one.answered = asked_at
            except self._ray.exceptions.ActorUnavailableError:  # the network, perhaps: loading it again takes long
                pass
            except self._ray.exceptions.RayError as error:
                self._end(number, first_line(error), now)
                return
        if now - one.answered_at > patience:
            self._end(number, f"it has not answered for {patience:.0f} s", now)
        elif busy_seconds > STUCK_SECONDS:
            self._end(number, f"it has been at one batch for {busy_seconds:.0f} s", now)

    def _end(self, number: int, why: str, now: float) -> None:
        one = self._all.pop(number)
        self._ray.kill(one.handle)
        failed = self._failed.setdefault(one.node.id, _Failed())
        failed.times += 1
        failed.next_at = now + min(LONGEST_BACKOFF_SECONDS, 2.0 ** (failed.times - 1))
        log.warning("the analyzer on %s is given up, another one takes over: %s", one.node.name, why)

    def close(self) -> None:
        """Ends all of them."""
        for one in self._all.values():
            self._ray.kill(one.handle)
        self._all, self.ready = {}, {}
