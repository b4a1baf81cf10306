"""Between the live job and its viewers: what each is told, and what each may ask."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from pydantic import ValidationError

from streamer.alerts import Alert
from streamer.display import CarriedBoxes, EncodedPicture
from streamer.errors import OptionError, StreamerError
from streamer.monitor import Event, Monitor, StreamRemoved
from streamer.passthrough import VideoPacket
from streamer.results import FrameResult
from streamer.server import protocol
from streamer.server.access import Access
from streamer.server.controls import Controls
from streamer.server.inbox import Inbox
from streamer.server.looking import Looking
from streamer.server.messages import alert_message, boxes_message, result_message, stream_message
from streamer.server.outbox import Outbox
from streamer.server.picture import packet_message, picture_message
from streamer.settings import StreamSettings, StreamStatus

if TYPE_CHECKING:
    from streamer.alerting import Alerting
    from streamer.server.protocol import Result, Told

log = logging.getLogger(__name__)

RESULTS_KEPT = 50
"""Newest results a stream for the snapshot."""
MAX_VIEWERS = 200
STATUS_SECONDS = 1.0

ALERTS_KEPT = 100
"""Newest alerts that nobody has acknowledged, for the snapshot."""
OPEN_TO_VIEWERS = (protocol.Pictures, protocol.Acknowledge)
"""Commands that change nothing for others."""


class Viewer:
    """One connected page or program."""

    def __init__(self, access: Access, monitor: Monitor) -> None:
        self.access = access
        self.outbox = Outbox()
        self.looking = Looking(monitor, self.outbox)

    def tell(self, message: Told) -> None:
        self.outbox.put_event(message.model_dump_json())


class Hub:
    """Used on the event loop alone, but for what `Inbox` takes from the job's threads. Does not own the job.

    What each viewer is told and may ask follows its `Access`: it hears nothing of streams that it may not see.
    """

    def __init__(
        self,
        monitor: Monitor,
        controls: Controls,
        *,
        version: str,
        alerting: Alerting | None = None,
        trouble: Callable[[], str | None] = lambda: None,
    ) -> None:
        """``trouble()``: what cannot be kept at the moment."""
        self._monitor, self._controls, self._version, self._alerting = monitor, controls, version, alerting
        self._look_for_trouble, self._trouble = trouble, trouble()
        self._viewers: set[Viewer] = set()
        self._numbers: dict[str, int] = {}
        self._recent: dict[str, deque[Result]] = {}
        self._alerts: dict[str, protocol.Alert] = {}
        """Those for the snapshot, by id."""
        self._inbox: Inbox | None = None
        self._unsubscribe: Callable[[], None] = lambda: None
        self._ticking: asyncio.Task[None] | None = None

    @property
    def viewers(self) -> int:
        return len(self._viewers)

    def open(self) -> None:
        """Begins to follow the job; called on the running event loop."""
        self._inbox = Inbox(asyncio.get_running_loop(), self._deliver_lasting, self._send_all_away)
        unsubscribe = [self._monitor.subscribe(self._inbox.put)]
        if self._alerting is not None:
            unsubscribe.append(self._alerting.book.subscribe(self._inbox.put))
            for alert in self._alerting.book.unacknowledged(ALERTS_KEPT):
                self._keep_alert(alert_message(alert))

        def end_all() -> None:
            for end in unsubscribe:
                end()

        self._unsubscribe = end_all
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

    def enter(self, access: Access, *, token_needed: bool = False) -> Viewer:
        """A new viewer, told everything that it may know. Raises `OptionError` where there are too many."""
        if len(self._viewers) >= MAX_VIEWERS:
            raise OptionError("viewer", len(self._viewers) + 1, f"at most {MAX_VIEWERS} viewers at once")
        viewer = Viewer(access, self._monitor)
        viewer.tell(self._hello(access, token_needed))
        viewer.tell(self._snapshot(access))
        if self._trouble is not None and access.admin:
            viewer.tell(protocol.Trouble(time=time.time(), words=self._trouble))
        self._viewers.add(viewer)
        return viewer

    def leave(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)
        viewer.looking.close()

    def _hello(self, access: Access, token_needed: bool) -> protocol.Hello:
        model = self._monitor.model
        return protocol.Hello(
            time=time.time(),
            version=self._version,
            model=model.name,
            caveat=model.caveat,
            can_add=access.admin and self._controls.can_add,
            role=access.role,
            token_needed=token_needed,
            history=self._alerting is not None,
        )

    def _snapshot(self, access: Access) -> protocol.Snapshot:
        statuses = [status for status in self._monitor.statuses() if access.sees(status.name)]
        streams = tuple(stream_message(status) for status in statuses)
        results = tuple(result for name, recent in self._recent.items() if access.sees(name) for result in recent)
        alerts = tuple(alert for alert in self._alerts.values() if access.sees(alert.stream))
        return protocol.Snapshot(time=time.time(), streams=streams, results=results, alerts=alerts)

    # -- what the job says

    async def _tick(self) -> None:
        """Rates, counts and stalls change without an event."""
        while True:
            await asyncio.sleep(STATUS_SECONDS)
            self._tell_trouble(self._look_for_trouble())
            if self._viewers:
                for status in self._monitor.statuses():
                    self._deliver_lasting(status)
            for viewer in tuple(self._viewers):
                with contextlib.suppress(OptionError):  # a stream has gone at this moment: `_forget` comes
                    viewer.looking.tend(time.monotonic())

    def _tell_trouble(self, words: str | None) -> None:
        if words == self._trouble:
            return
        self._trouble = words
        for viewer in self._viewers:
            if viewer.access.admin:
                viewer.tell(protocol.Trouble(time=time.time(), words=words))

    def _deliver_lasting(self, event: Event | Alert) -> None:
        try:
            self._deliver(event)
        except Exception:  # what cannot be told of one event must not keep the others from being told
            log.exception("an event cannot be told to viewers")

    def _deliver(self, event: Event | Alert) -> None:
        match event:
            case Alert():
                self._deliver_alert(event)
            case EncodedPicture():
                self._deliver_picture(event)
            case CarriedBoxes():
                self._deliver_boxes(event)
            case VideoPacket():
                self._deliver_packet(event)
            case FrameResult():
                self._deliver_result(event)
            case StreamStatus():
                self._tell_state(event)
            case StreamRemoved() if self._numbers.get(event.stream) == event.number:
                self._forget(event)

    def _deliver_picture(self, picture: EncodedPicture) -> None:
        if (number := self._numbers.get(picture.stream)) is not None:
            message = cache(lambda: picture_message(number, picture))
            for viewer in self._viewers:
                viewer.looking.picture(picture, message)

    def _deliver_boxes(self, boxes: CarriedBoxes) -> None:
        if boxes.stream in self._numbers:
            text = cache(lambda: boxes_message(boxes).model_dump_json())
            for viewer in self._viewers:
                viewer.looking.boxes(boxes, text)

    def _deliver_packet(self, packet: VideoPacket) -> None:
        if (number := self._numbers.get(packet.stream)) is not None:
            message = cache(lambda: packet_message(number, packet))
            for viewer in self._viewers:
                viewer.looking.packet(number, packet, message)

    def _deliver_result(self, result: FrameResult) -> None:
        if result.stream not in self._numbers:
            return
        message = result_message(result)
        self._recent.setdefault(result.stream, deque(maxlen=RESULTS_KEPT)).append(message)
        text = message.model_dump_json()
        for viewer in self._seeing(result.stream):
            viewer.outbox.put_event(text)

    def _deliver_alert(self, alert: Alert) -> None:
        message = alert_message(alert)
        self._keep_alert(message)
        text = message.model_dump_json()
        for viewer in self._seeing(alert.stream):
            viewer.outbox.put_event(text)

    def _keep_alert(self, message: protocol.Alert) -> None:
        """Until it has ended and somebody took note of it."""
        self._alerts.pop(message.alert, None)
        if message.ended is None or message.acknowledged is None:
            self._alerts[message.alert] = message
        while len(self._alerts) > ALERTS_KEPT:
            del self._alerts[next(iter(self._alerts))]

    def _seeing(self, stream: str) -> list[Viewer]:
        return [viewer for viewer in self._viewers if viewer.access.sees(stream)]

    def _tell_state(self, status: StreamStatus) -> None:
        known = self._numbers.get(status.name)
        if known is not None and known != status.number:  # another stream of that name took its place
            self._forget(StreamRemoved(status.name, known))
        self._numbers[status.name] = status.number
        text = stream_message(status).model_dump_json()
        for viewer in self._seeing(status.name):
            viewer.outbox.put_state(status.name, text)

    def _forget(self, event: StreamRemoved) -> None:
        self._numbers.pop(event.stream, None)
        self._recent.pop(event.stream, None)
        message = protocol.Removed(time=time.time(), stream=event.stream, sequence=event.number)
        for viewer in self._seeing(event.stream):
            viewer.looking.forget(event.stream)
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
        if not (viewer.access.admin or isinstance(message, OPEN_TO_VIEWERS)):
            raise OptionError("command", message.type, "one that a viewer may give; this one needs an admin's token")
        controls = self._controls
        match message:
            case protocol.Pictures(streams=streams, widths=widths, video=video):
                await self._show(viewer, {name: widths.get(name, 0) for name in streams}, frozenset(video))
            case protocol.Acknowledge(alert=alert):
                await asyncio.to_thread(self._acknowledge, viewer.access, alert)
            case protocol.Set(stream=stream):
                await asyncio.to_thread(controls.change, stream, message.apply)
            case protocol.SetTask(stream=stream, task=part):
                task = part.task()
                await asyncio.to_thread(controls.change, stream, lambda settings: settings.with_task(task))
            case protocol.DropTask(stream=stream, name=name):
                await asyncio.to_thread(controls.change, stream, lambda settings: settings.without_task(name))
            case protocol.Restart(stream=stream):
                await asyncio.to_thread(controls.restart, stream)
            case protocol.Add(stream=stream, address=address):
                settings = message.apply(StreamSettings())
                await asyncio.to_thread(controls.add, stream, address, settings)
            case protocol.Remove(stream=stream):
                await asyncio.to_thread(controls.remove, stream)

    def _acknowledge(self, access: Access, id: str) -> None:
        """An alert that may not be seen is like one that does not exist."""
        alert = None if self._alerting is None else self._alerting.book.find(id)
        if alert is not None and not access.sees(alert.stream):
            raise OptionError("alert", id, "the id of an alert that is kept")
        self._controls.acknowledge(id, access.name)

    async def _show(self, viewer: Viewer, widths: dict[str, int], video: frozenset[str]) -> None:
        for name in widths:
            if not viewer.access.sees(name):
                raise OptionError("stream", name, "a stream that is there")
        try:
            fresh = viewer.looking.want(widths, video)
        except OptionError:
            if viewer.access.streams:  # the monitor's own words name all streams
                raise OptionError("stream", ", ".join(widths), "streams that are there") from None
            raise
        for name in fresh:
            still = await asyncio.to_thread(self._monitor.still, name)
            if still is not None and name in viewer.looking and name in self._numbers:
                viewer.outbox.put_picture(name, picture_message(self._numbers[name], still))
