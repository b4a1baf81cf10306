"""What the tests of live jobs on a cluster stand on: three nodes that can be killed, and all that a job tells."""

from __future__ import annotations

import time
from types import ModuleType
from typing import Any

from streamer.display import EncodedPicture
from streamer.frames import Frame
from streamer.monitor import Event, Monitor
from streamer.results import FrameResult
from streamer.settings import StreamStatus
from tests.server.rig import eventually

BACK_SECONDS = 15.0
"""Within which a stream has to be live again, whatever happened to its node."""


class Machines:
    """Three nodes on this machine, as Ray is by default: it takes half a minute to notice that one is dead."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
        self.address = self._cluster.address
        self._others = [self.join(), self.join()]

    def join(self) -> Any:
        return self._cluster.add_node(num_cpus=2, wait=True)

    def kill_one(self) -> str:
        """As a power failure would; gives its id."""
        node = self._others.pop()
        self._cluster.remove_node(node, allow_graceful=False)
        return str(node.node_id)

    def add_one(self) -> str:
        self._others.append(self.join())
        return str(self._others[-1].node_id)

    def close(self) -> None:
        self._cluster.shutdown()


class Heard:
    """All that a job tells."""

    def __init__(self, monitor: Monitor) -> None:
        self.events: list[tuple[float, Event]] = []
        self.frames: list[tuple[FrameResult, Frame | None]] = []
        monitor.subscribe(lambda event: self.events.append((time.monotonic(), event)))
        monitor.follow(lambda result, frame: self.frames.append((result, frame)))

    def results(self, stream: str, since: float = 0.0) -> list[FrameResult]:
        return [
            event
            for at, event in tuple(self.events)
            if at > since and isinstance(event, FrameResult) and event.stream == stream
        ]

    def reasons(self, stream: str) -> list[str]:
        found = [event for _, event in tuple(self.events) if isinstance(event, StreamStatus) and event.name == stream]
        return [status.reason for status in found if status.state == "waiting"]

    def pictures(self, stream: str) -> list[EncodedPicture]:
        return [
            event for _, event in tuple(self.events) if isinstance(event, EncodedPicture) and event.stream == stream
        ]


def actors(ray: ModuleType) -> int:
    return sum(actor["State"] not in ("DEAD",) for actor in ray._private.state.actors().values())


def come_back(heard: Heard, names: set[str], since: float) -> float:
    """Waits until all of them give results that belong to pictures from then on; after how many seconds they did."""
    eventually(lambda: all(heard.results(name, since) for name in names), BACK_SECONDS + 15)
    return time.monotonic() - since


def answers(heard: Heard) -> dict[int | None, tuple[object, ...]]:
    """Picture -> all that was said of it."""
    return {
        result.pts: (result.caption, [(one.label, one.box) for one in result.detections], result.answers, result.usage,
                     result.budget, result.source_size, result.model, result.error)
        for result in heard.results("street")
    }  # fmt: skip
