"""The live job on a cluster: each stream a process on some node, watched from here, for the same page and rules."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import Future
from fractions import Fraction
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np

from streamer.cluster.camera import Plan
from streamer.cluster.connecting import Node
from streamer.cluster.process import Patience
from streamer.cluster.roster import Roster
from streamer.cluster.supervising import Supervised
from streamer.display import ANY, EncodedPicture, Wish
from streamer.errors import OptionError
from streamer.monitor import Event, Follower, Look, Monitor, StreamRemoved
from streamer.settings import StreamSettings, StreamStatus, check_stream_name
from streamer.sources.picture import Scaler, VideoPicture

if TYPE_CHECKING:
    from streamer.frames import Frame
    from streamer.models.base import VisionModel
    from streamer.results import FrameResult
    from streamer.sources.base import Picture
    from streamer.sources.ring import PacketRing
    from streamer.streams import Opener
    from streamer.tasks import Task

log = logging.getLogger(__name__)
T = TypeVar("T")

MAX_STREAMS = 512
CLOSE_SECONDS = 5.0
"""How long `ClusterMonitor.close` waits for the streams' processes, all together."""


class ClusterMonitor(Monitor):
    """A `Monitor` whose streams are decoded, gated and analysed on the nodes of a Ray cluster. A context manager.

    Each stream is a process of its own on the node whose load is lowest; its model is that of an analyzer on its node,
    which all streams there share, or one on servers elsewhere. A process that ends or does not answer is made anew on
    another node, with the stream's newest settings; its numbers go on. Where nodes join, some streams move there.
    Questions beside the streams' own are asked from here, as any `Monitor` does.
    """

    most_streams = MAX_STREAMS

    def __init__(self, model: VisionModel, roster: Roster, *, patience: Patience | None = None) -> None:
        """``model``: of the roster, in whatever it is wrapped. Does not own them."""
        super().__init__(model)
        self._roster, self._patience = roster, patience or Patience()
        self._watched: dict[str, Supervised] = {}
        roster.watch(self)

    # -- streams

    def add(
        self,
        name: str,
        opener: Opener,
        settings: StreamSettings | None = None,
        *,
        address: str = "",
        group: str = "",
    ) -> StreamStatus:
        """As `Monitor.add`; ``opener`` travels to a node and is called there, with this program's working folder where
        the node has it. At most 512 streams."""
        with self._lock:
            check_stream_name(name, self._watched)
            if len(self._watched) >= self.most_streams or self._closing:
                raise OptionError("stream", name, f"at most {self.most_streams} streams in a running job")
            stream = Supervised(
                Plan(name, opener, os.getcwd(), version("streamer"), self._roster.facts, self._roster.make),
                self._next_number,
                settings or StreamSettings(),
                address=address,
                group=group,
                frames=bool(self._followers),
                roster=self._roster,
                patience=self._patience,
                told=self._say,
                heard=self._hear,
            )
            self._next_number += 1
            self._watched[name] = stream
            stream.start()
        return stream.status()

    def remove(self, name: str) -> None:
        """Ends a stream and its process. Raises `OptionError` for an unknown name."""
        with self._lock:
            stream = self._known(name)
            del self._watched[name]
        stream.stop()
        if not stream.join(CLOSE_SECONDS):
            log.warning("stream %s: its process is still being ended", name)
        self._tell(StreamRemoved(name, stream.number))

    def change(self, name: str, edit: Callable[[StreamSettings], StreamSettings]) -> StreamStatus:
        stream = self._find_stream(name)
        stream.change(edit)
        return stream.status()

    def regroup(self, name: str, group: str) -> None:
        self._find_stream(name).regroup(group)

    def add_tasks(self, name: str, extend: Callable[[tuple[Task, ...]], tuple[Task, ...]]) -> None:
        self._find_stream(name).add_tasks(extend)

    def ring(self, name: str) -> PacketRing | None:
        with self._lock:
            stream = self._watched.get(name)
        return None if stream is None else stream.ring

    def restart(self, name: str) -> None:
        self._find_stream(name).restart()

    def status(self, name: str) -> StreamStatus:
        return self._find_stream(name).status()

    def statuses(self) -> tuple[StreamStatus, ...]:
        return tuple(stream.status() for stream in self._all())

    def process(self, name: str) -> tuple[Node, int] | None:
        """On which node the stream runs, and the process there; None while it does not. Raises `OptionError` for an
        unknown name."""
        stream = self._find_stream(name)
        node, pid = stream.node, stream.pid
        return None if node is None or pid is None else (node, pid)

    # -- viewers

    def follow(self, follower: Follower) -> Callable[[], None]:
        end = super().follow(follower)
        self._want_frames()

        def unfollow() -> None:
            end()
            self._want_frames()

        return unfollow

    def _want_frames(self) -> None:
        wanted = bool(self._followers)
        for stream in self._all():
            stream.want_frames(wanted)

    def look(self, name: str, wish: Wish = ANY) -> Look:
        stream = self._find_stream(name)
        shared = stream.look(wish)
        return Look(wish, shared, lambda: stream.unlook(shared))

    def watch(self, name: str) -> Callable[[], None]:
        stream = self._find_stream(name)
        stream.watch(1)
        return Look(ANY, ANY, lambda: stream.watch(-1))

    def still(self, name: str) -> EncodedPicture | None:
        """As `Monitor.still`; may ask the stream's process, for 2 s at most."""
        return self._find_stream(name).still()

    def next_picture(self, name: str, take: Callable[[Picture, float], T]) -> Future[T]:
        """As `Monitor.next_picture`, but of the newest picture that can be had from the stream's process, which may be
        as small as viewers wish it; ``take`` is called here. May take 2 s."""
        still, future = self._find_stream(name).still(), Future[T]()
        if still is not None:
            image = cv2.imdecode(np.frombuffer(still.jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
            time_seconds = Fraction(still.time_seconds)
            picture = VideoPicture.from_rgb(np.asarray(image, np.uint8), Scaler(), time_seconds, still.sequence)
            future.set_result(take(picture, still.captured_at))
        return future

    # -- the end

    def close(self) -> None:
        """Ends all streams and their processes within 8 s; calling it again does nothing."""
        with self._lock:
            self._closing, self._subscribers, self._followers = True, (), ()
            streams, self._watched = tuple(self._watched.values()), {}
        for stream in streams:
            stream.stop()
        deadline = time.monotonic() + CLOSE_SECONDS
        for stream in streams:
            if not stream.join(max(0.0, deadline - time.monotonic())):
                log.warning("stream %s: its process is still being ended", stream.name)
        super().close()

    # -- on the streams' threads

    def _hear(self, stream: Supervised, result: FrameResult, frame: Frame | None) -> None:
        if self._is_watched(stream):
            self._hand_out(result, frame)

    def _say(self, stream: Supervised, event: Event) -> None:
        if self._is_watched(stream):
            self._tell(event)

    def _is_watched(self, stream: Supervised) -> bool:
        with self._lock:
            return self._watched.get(stream.name) is stream

    # -- on the thread of the nodes

    def reassigned(self, stream: str) -> None:
        """As `Watcher` says; so are the next two."""
        with self._lock:
            found = self._watched.get(stream)
        if found is not None:
            found.ask_again()

    def movable(self) -> set[str]:
        return {stream.name for stream in self._all() if stream.movable}

    def move(self, stream: str, node: Node) -> None:
        with self._lock:
            found = self._watched.get(stream)
        if found is not None:
            found.move(node)

    # -- parts

    def _all(self) -> tuple[Supervised, ...]:
        with self._lock:
            return tuple(self._watched.values())

    def _find_stream(self, name: str) -> Supervised:
        with self._lock:
            return self._known(name)

    def _known(self, name: str) -> Supervised:
        if name not in self._watched:
            raise OptionError("stream", name, "one of " + (", ".join(self._watched) or "none yet"))
        return self._watched[name]
