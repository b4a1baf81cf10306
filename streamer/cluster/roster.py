"""The nodes of a cluster as a live job sees them: which are there, what each carries, which analyzer a stream asks."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, Self

from streamer.cluster import placing
from streamer.cluster.analyzers import Analyzers
from streamer.cluster.connecting import Node, nodes
from streamer.cluster.shared import ClusterModel, Facts
from streamer.errors import ClusterError, ModelError

if TYPE_CHECKING:
    from streamer.models.base import VisionModel

log = logging.getLogger(__name__)

ROUND_SECONDS = 1.0
DOUBT_SECONDS = 20.0
"""For which a node where something failed and that has not answered since gets no stream, where there is another."""
FREE_SECONDS = 5.0
"""How often it is asked how many CPUs other jobs leave."""
LOADING_SECONDS = 120.0
"""For which streams stay on a node whose analyzer is being replaced."""
_POLL_SECONDS = 0.1
_MEMORY = 0.9
"""Of what they left before: half a minute, so that streams do not follow every task of another job."""
CLOSE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class _Doubt:
    """Of a node."""

    failures: int
    """Since it last answered."""
    at: float
    """``time.monotonic()`` of the newest."""


class Watcher(Protocol):
    """The live job that runs on the nodes; called on the thread of the nodes."""

    def reassigned(self, stream: str) -> None:
        """The stream is to ask another analyzer."""

    def movable(self) -> Collection[str]:
        """Streams that may run elsewhere without harm."""

    def move(self, stream: str, node: Node) -> None:
        """The stream should run there."""


class Roster:
    """Owns the thread ``nodes``, the analyzers, and the model as it is asked from here. A context manager; may be asked
    from any thread."""

    def __init__(
        self,
        ray: ModuleType,
        make: Callable[[], VisionModel],
        *,
        servers: bool = False,
        gpus_per_model: float | None = None,
    ) -> None:
        """Waits for the first analyzer. ``make()`` is called on the nodes and gives the model: once an analyzer, or,
        where it is one that asks ``servers``, once a stream, and here. ``gpus_per_model``: of an analyzer, or a part of
        one; by default one where the cluster has any.

        Raises `ModelError` and `OptionError` as ``make`` does, `ClusterError` where no node can carry streams.
        """
        self.ray, self.make = ray, make if servers else None
        """``make``: of the model that streams make themselves; None where they ask an analyzer."""
        self._watcher: Watcher | None = None
        self._own: VisionModel | None = None
        """That asks servers from here."""
        self._lock = threading.Lock()
        self._nodes: dict[str, Node] = {node.id: node for node in nodes(ray)}
        self._free: dict[str, float] = {}
        self._free_at = 0.0
        self._doubts: dict[str, _Doubt] = {}
        """By node id."""
        self._had_analyzer: dict[str, float] = {}
        """Node id -> ``time.monotonic()`` when one was last ready there."""
        self._placed: dict[str, str] = {}
        """Stream -> node id."""
        self._moving: dict[str, str] = {}
        """Those that are to run on another one soon -> its id."""
        self._asks: dict[str, int | None] = {}
        """Stream -> number of its analyzer."""
        if gpus_per_model is None:
            gpus_per_model = 1.0 if any(node.gpus for node in self._nodes.values()) else 0.0
        self._analyzers = None if servers else Analyzers(ray, make, gpus_per_model)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="nodes", daemon=True)
        try:
            self.facts = self._loaded()
            self._asking = ClusterModel(self.facts, self.any_analyzer())
            if servers:
                self._own = make()
            self.model: VisionModel = self._own or self._asking
            """As it is asked from here."""
        except BaseException:  # Ctrl-C too: no process stays
            self.close()
            raise

    def _loaded(self) -> Facts:
        if not any(node.cpus for node in self._nodes.values()):
            raise ClusterError(
                "the cluster", "none of its nodes has CPUs for streams", "add one: ray start --address …"
            )
        analyzers = self._analyzers
        if analyzers is None:
            return Facts("")
        began = time.monotonic()
        self._round()
        while analyzers.facts is None:
            if not analyzers.loading:
                raise analyzers.fault or ModelError("of the job", "no node has room for it", "see --gpus-per-model")
            time.sleep(_POLL_SECONDS)
            self._round()
        self._wait_for_others(analyzers, time.monotonic() - began)
        return analyzers.facts

    def _wait_for_others(self, analyzers: Analyzers, taken: float) -> None:
        """Streams are spread better where all are there; one that takes twice as long as the first comes later."""
        deadline = time.monotonic() + taken
        while analyzers.loading and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            self._round()

    def watch(self, watcher: Watcher) -> None:
        """From now on nodes and analyzers are looked after for this one; for one at a time."""
        self._watcher = watcher
        if self._thread.ident is None:
            self._thread.start()

    # -- what streams ask, from any thread

    def place(self, stream: str) -> Node | None:
        """The node for a stream that has none, or has to leave its own; it counts there from now on. None where there
        is no node."""
        now = time.monotonic()
        with self._lock:
            self._placed.pop(stream, None)
            self._moving.pop(stream, None)
            failures = {id: doubt.failures for id, doubt in self._doubts.items() if now - doubt.at < DOUBT_SECONDS}
            id = placing.choose(self._carriers(self.analyzers.values()), self._placed | self._moving, failures)
            if id is None:
                return None
            self._placed[stream] = id
            self._assign(stream)
            return self._nodes[id]

    def settle(self, stream: str, node: Node) -> None:
        """The stream runs there from now on, whether it has moved or stays after all."""
        with self._lock:
            self._placed[stream] = node.id
            self._moving.pop(stream, None)
            self._assign(stream)

    def forget(self, stream: str) -> None:
        with self._lock:
            for known in (self._placed, self._moving, self._asks):
                known.pop(stream, None)

    def doubt(self, node: Node) -> None:
        """A process there failed: others rather go elsewhere until the node answers again."""
        with self._lock:
            failures = self._doubts[node.id].failures if node.id in self._doubts else 0
            self._doubts[node.id] = _Doubt(failures + 1, time.monotonic())

    def answered(self, node: str, asked_at: float) -> None:
        """A process on the node (id) answered what it was asked then (``time.monotonic()``): the node is well."""
        with self._lock:
            if node in self._doubts and asked_at > self._doubts[node].at:
                del self._doubts[node]

    @property
    def analyzers(self) -> Mapping[int, str]:
        """Those that are ready: number -> node id."""
        return {} if self._analyzers is None else self._analyzers.ready

    def is_there(self, node: Node) -> bool:
        """As far as Ray knows, which takes its time."""
        return node.id in self._nodes

    def analyzer(self, stream: str) -> Any | None:
        """Handle of the one that the stream asks; None where none is ready, and where there are none."""
        with self._lock:
            return None if self._analyzers is None else self._analyzers.handle(self._asks.get(stream))

    def any_analyzer(self) -> Any | None:
        """Handle of the one that is asked by the fewest streams."""
        with self._lock:
            if self._analyzers is None or not (ready := self._analyzers.ready):
                return None
            users = Counter(self._asks.values())
            return self._analyzers.handle(min(ready, key=lambda number: (users[number], number)))

    # -- on the thread of the nodes

    def _work(self) -> None:
        while not self._stopping.wait(ROUND_SECONDS):
            try:
                self._round()
                self._asking.use(self.any_analyzer())
                if self._watcher is not None:
                    self._settle_analyzers(self._watcher)
                    self._balance(self._watcher)
            except Exception:  # a cluster that says nothing for a while must not end the job
                log.exception("the nodes of the cluster could not be looked at")

    def _round(self) -> None:
        there = {node.id: node for node in nodes(self.ray)}
        now = time.monotonic()
        if now - self._free_at > FREE_SECONDS:
            before, self._free_at = self._free, now
            free = free_cpus(self.ray)
            self._free = {id: _MEMORY * before.get(id, cpus) + (1 - _MEMORY) * cpus for id, cpus in free.items()}
        with self._lock:
            for id in there.keys() - self._nodes.keys():
                log.warning("node %s has joined the cluster", there[id].name)
            for id in self._nodes.keys() - there.keys():
                log.warning("node %s has left the cluster", self._nodes[id].name)
            self._nodes = there
            self._doubts = {
                id: doubt for id, doubt in self._doubts.items() if now - doubt.at < DOUBT_SECONDS and id in there
            }
            doubtful = tuple(self._doubts)
        if self._analyzers is not None:
            for node, asked_at in self._analyzers.look_after(there.values(), doubtful).items():
                self.answered(node, asked_at)
            self._had_analyzer |= dict.fromkeys(self._analyzers.ready.values(), now)
            self._had_analyzer = {id: at for id, at in self._had_analyzer.items() if now - at < LOADING_SECONDS}

    def _settle_analyzers(self, watcher: Watcher) -> None:
        """Streams whose analyzer is gone ask another one, those that ask one elsewhere their own node's."""
        with self._lock:
            changed = [stream for stream in self._placed if self._assign(stream)]
        for stream in changed:
            watcher.reassigned(stream)

    def _balance(self, watcher: Watcher) -> None:
        movable = set(watcher.movable())
        with self._lock:
            carriers = [node for node in self._carriers(self._had_analyzer) if node.id not in self._doubts]
            placed = self._placed | self._moving
            wanted = placing.moves(carriers, placed, movable - self._moving.keys())
            self._moving |= wanted
            found = [(stream, self._nodes[id]) for stream, id in wanted.items()]
        for stream, node in found:
            watcher.move(stream, node)

    # -- with the lock held

    def _carriers(self, with_analyzer: Collection[str]) -> list[placing.Node]:
        return [
            placing.Node(
                id=node.id,
                address=node.name,
                cpus=self._free.get(node.id, node.cpus),
                analyzer=self._analyzers is None or node.id in with_analyzer,
            )
            for node in self._nodes.values()
            if node.cpus > 0
        ]

    def _assign(self, stream: str) -> bool:
        """Whether the stream asks another analyzer than before."""
        if self._analyzers is None:
            return False
        before = self._asks.get(stream)
        users = Counter(number for other, number in self._asks.items() if other != stream and number is not None)
        self._asks[stream] = placing.choose_analyzer(self._placed[stream], self._analyzers.ready, users, before)
        return self._asks[stream] != before

    # -- the end

    def close(self) -> None:
        """Ends the thread and the analyzers; calling it again does nothing."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_SECONDS)
        if self._analyzers is not None:
            self._analyzers.close()
        if self._own is not None:
            self._own.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def free_cpus(ray: ModuleType) -> dict[str, float]:
    """Node id -> CPUs that no job has taken; empty where that cannot be known (through ``ray://``)."""
    with suppress(Exception):
        state = ray._private.state
        return {id: has.get("CPU", 0.0) for id, has in state.available_resources_per_node().items()}
    return {}
