"""Between the live job and its viewers: what each is told, and what each may ask."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from pydantic import ValidationError

from streamer.display import EncodedPicture
from streamer.errors import OptionError, StreamerError
from streamer.monitor import Event, Monitor, StreamRemoved
from streamer.results import FrameResult
from streamer.server import protocol
from streamer.server.inbox import Inbox
from streamer.server.outbox import Outbox
from streamer.server.picture import picture_message
from streamer.settings import StreamSettings, StreamStatus
from streamer.streams import Opener

if TYPE_CHECKING:
    from streamer.server.protocol import Result, Told

RESULTS_KEPT = 50
"""Newest results a stream for the snapshot."""
MAX_VIEWERS = 200
STATUS_SECONDS = 1.0

Admit = Callable[[str], Opener]
"""From the address of a source that a viewer wants to add to its opener; raises `StreamerError` where it may not be."""


class Viewer:
    """One connected page or program."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.looking: dict[str, Callable[[], None]] = {}
        """Streams whose pictures it wants -> how to stop asking the job for them."""

    def tell(self, message: Told) -> None:
        self.outbox.put_event(message.model_dump_json())


class Hub:
    """Used on the event loop alone, but for what `Inbox` takes from the job's threads. Does not own the monitor."""

    def __init__(self, monitor: Monitor, *, version: str, admit: Admit | None = None) -> None:
        self._monitor, self._version, self._admit = monitor, version, admit
        self._viewers: set[Viewer] = set()
        self._numbers: dict[str, int] = {}
        self._recent: dict[str, deque[Result]] = {}
        self._inbox: Inbox | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._ticking: asyncio.Task[None] | None = None

    @property
    def viewers(self) -> int:
        return len(self._viewers)

    def open(self) -> None:
        """Begins to follow the job; called on the running event loop."""
        self._inbox = Inbox(asyncio.get_running_loop(), self._deliver, self._send_all_away)
        self._unsubscribe = self._monitor.subscribe(self._inbox.put)
        self._numbers = {status.name: status.number for status in self._monitor.statuses()}
        self._ticking = asyncio.create_task(self._tick())

    async def close(self) -> None:
        self._unsubscribe()
        if self._inbox is not None:
            self._inbox.close()
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking
        for viewer in tuple(self._viewers):
            self.leave(viewer)

    # -- viewers come and go

    def enter(self) -> Viewer:
        """A new viewer, told everything that is known. Raises `OptionError` where there are too many."""
        if len(self._viewers) >= MAX_VIEWERS:
            raise OptionError("viewer", len(self._viewers) + 1, f"at most {MAX_VIEWERS} viewers at once")
        viewer = Viewer()
        viewer.tell(self._hello())
        viewer.tell(self._snapshot())
        self._viewers.add(viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)
        for unlook in viewer.looking.values():
            unlook()
        viewer.looking.clear()

    def _hello(self) -> protocol.Hello:
        model = self._monitor.model
        return protocol.Hello(
            time=time.time(),
            version=self._version,
            model=model.name,
            caveat=model.caveat,
            can_add=self._admit is not None,
        )

    def _snapshot(self) -> protocol.Snapshot:
        streams = tuple(protocol.stream_message(status) for status in self._monitor.statuses())
        results = tuple(result for recent in self._recent.values() for result in recent)
        return protocol.Snapshot(time=time.time(), streams=streams, results=results)

    # -- what the job says

    async def _tick(self) -> None:
        """Rates, counts and stalls change without an event."""
        while True:
            await asyncio.sleep(STATUS_SECONDS)
            if self._viewers:
                for status in self._monitor.statuses():
                    self._deliver(status)

    def _deliver(self, event: Event) -> None:
        match event:
            case EncodedPicture():
                self._deliver_picture(event)
            case FrameResult():
                self._deliver_result(event)
            case StreamStatus():
                self._tell_state(event)
            case StreamRemoved() if self._numbers.get(event.stream) == event.number:
                self._forget(event)

    def _deliver_picture(self, picture: EncodedPicture) -> None:
        wanting = [viewer for viewer in self._viewers if picture.stream in viewer.looking]
        if wanting and (number := self._numbers.get(picture.stream)) is not None:
            message = picture_message(number, picture)
            for viewer in wanting:
                viewer.outbox.put_picture(picture.stream, message)

    def _deliver_result(self, result: FrameResult) -> None:
        if result.stream not in self._numbers:
            return
        message = protocol.result_message(result)
        self._recent.setdefault(result.stream, deque(maxlen=RESULTS_KEPT)).append(message)
        text = message.model_dump_json()
        for viewer in self._viewers:
            viewer.outbox.put_event(text)

    def _tell_state(self, status: StreamStatus) -> None:
        known = self._numbers.get(status.name)
        if known is not None and known != status.number:  # another stream of that name took its place
            self._forget(StreamRemoved(status.name, known))
        self._numbers[status.name] = status.number
        text = protocol.stream_message(status).model_dump_json()
        for viewer in self._viewers:
            viewer.outbox.put_state(status.name, text)

    def _forget(self, event: StreamRemoved) -> None:
        self._numbers.pop(event.stream, None)
        self._recent.pop(event.stream, None)
        message = protocol.Removed(time=time.time(), stream=event.stream, sequence=event.number)
        for viewer in self._viewers:
            if unlook := viewer.looking.pop(event.stream, None):
                unlook()
            viewer.outbox.forget(event.stream)
            viewer.tell(message)

    def _send_all_away(self) -> None:
        for viewer in self._viewers:
            viewer.outbox.overflowed.set()

    # -- what viewers ask

    async def handle(self, viewer: Viewer, text: str | bytes) -> None:
        """Does what a message asks and acknowledges it; what cannot be read or done is answered with words."""
        try:
            message = protocol.parse_asked(text)
        except ValidationError as error:
            viewer.tell(protocol.refusal(text, error))
            return
        match message:
            case protocol.Auth():
                return
            case protocol.Ping(sent=sent):
                viewer.tell(protocol.Pong(time=time.time(), sent=sent))
            case _:
                viewer.tell(await self._acknowledged(viewer, message))

    async def _acknowledged(self, viewer: Viewer, message: protocol.Command) -> protocol.Ack:
        try:
            await self._obey(viewer, message)
        except StreamerError as error:
            return protocol.Ack(time=time.time(), id=message.id, ok=False, error=str(error))
        return protocol.Ack(time=time.time(), id=message.id, ok=True)

    async def _obey(self, viewer: Viewer, message: protocol.Command) -> None:
        match message:
            case protocol.Pictures(streams=streams):
                await self._show(viewer, frozenset(streams))
            case protocol.Set(stream=stream):
                self._monitor.change(stream, message.apply)
            case protocol.SetTask(stream=stream, task=part):
                task = part.task()
                self._monitor.change(stream, lambda settings: settings.with_task(task))
            case protocol.DropTask(stream=stream, name=name):
                self._monitor.change(stream, lambda settings: settings.without_task(name))
            case protocol.Restart(stream=stream):
                self._monitor.restart(stream)
            case protocol.Add():
                await self._add(message)
            case protocol.Remove(stream=stream):
                self._admitted()
                await asyncio.to_thread(self._monitor.remove, stream)

    async def _add(self, message: protocol.Add) -> None:
        settings = message.apply(StreamSettings())
        opener = await asyncio.to_thread(self._admitted(), message.address)
        self._monitor.add(message.stream, opener, settings, address=message.address)

    def _admitted(self) -> Admit:
        if self._admit is None:
            raise OptionError("command", "add or remove", "a server that lets viewers add streams; this one does not")
        return self._admit

    async def _show(self, viewer: Viewer, wanted: frozenset[str]) -> None:
        for name in viewer.looking.keys() - wanted:
            viewer.looking.pop(name)()
        viewer.outbox.keep_pictures(wanted)
        for name in wanted - viewer.looking.keys():
            viewer.looking[name] = self._monitor.look(name)
            still = await asyncio.to_thread(self._monitor.still, name)
            if still is not None and name in viewer.looking and name in self._numbers:
                viewer.outbox.put_picture(name, picture_message(self._numbers[name], still))
