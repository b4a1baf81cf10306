"""Streams: what runs, and what is done with it."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Response

from streamer.configuration import StreamEntry
from streamer.errors import OptionError
from streamer.rules import WatchState
from streamer.server import protocol
from streamer.server.api.answers import WITH_BODY, file, problems
from streamer.server.api.context import ROOT
from streamer.server.api.identity import Admin, Api, ManagedStream, SeenStream, Viewer
from streamer.server.api.models import NewStream, RuleState, RuleStates, StreamChange, StreamList
from streamer.server.api.names import quoted
from streamer.server.api.problems import Refused
from streamer.server.messages import stream_message
from streamer.settings import StreamSettings

router = APIRouter(prefix="/streams", tags=["streams"])
_NEVER_SEEN = WatchState("idle")


@router.get("", responses=problems())
def list_streams(api: Api, access: Viewer) -> StreamList:
    """All streams that may be seen, as they stand."""
    statuses = [status for status in api.station.monitor.statuses() if access.sees(status.name)]
    return StreamList(streams=tuple(map(stream_message, statuses)))


@router.post("", status_code=201, responses=problems(404, 409, 507, *WITH_BODY))
def add_stream(api: Api, access: Admin, new: NewStream, response: Response) -> protocol.Stream:
    """Starts a stream from one of the schemes and folders that the configuration allows, and keeps it."""
    settings = new.apply(StreamSettings())
    entry = StreamEntry(new.name, new.address, settings, loop=new.loop, udp=new.udp, group=new.group)
    try:
        status = api.station.add(entry)
    except OptionError as error:
        if error.option in ("stream", "stream name"):
            raise Refused(409, f"expected {error.expected}", field="name") from None
        raise
    response.headers["location"] = f"{ROOT}/streams/{quoted(new.name)}"
    return stream_message(status)


@router.get("/{stream}", responses=problems(404))
def get_stream(api: Api, stream: SeenStream) -> protocol.Stream:
    """One stream as it stands."""
    return stream_message(api.station.monitor.status(stream))


@router.patch("/{stream}", responses=problems(404, 507, *WITH_BODY))
def change_stream(api: Api, stream: ManagedStream, change: StreamChange) -> protocol.Stream:
    """Changes the settings that are given, and keeps them."""
    return stream_message(api.station.change(stream, change.apply, group=change.group))


@router.delete("/{stream}", status_code=204, responses=problems(404, 507))
def remove_stream(api: Api, stream: ManagedStream) -> None:
    """Ends a stream for good. Its history stays."""
    api.station.remove(stream)


@router.post("/{stream}/restart", responses=problems(404))
def restart_stream(api: Api, stream: ManagedStream) -> protocol.Stream:
    """Opens the source again, from its start."""
    api.station.restart(stream)
    return stream_message(api.station.monitor.status(stream))


@router.post("/{stream}/pause", responses=problems(404, 507))
def pause_stream(api: Api, stream: ManagedStream) -> protocol.Stream:
    """Stops the analysis; pictures go on."""
    return _paused(api, stream, True)


@router.post("/{stream}/resume", responses=problems(404, 507))
def resume_stream(api: Api, stream: ManagedStream) -> protocol.Stream:
    """Goes on with the analysis."""
    return _paused(api, stream, False)


@router.get(
    "/{stream}/picture.jpg",
    response_class=Response,
    responses={**problems(404), **file("image/jpeg", "The newest picture at hand")},
)
def get_picture(api: Api, stream: SeenStream) -> Response:
    """The newest picture at hand, also of a stream that has ended."""
    still = api.station.monitor.still(stream)
    if still is None:
        raise Refused(404, "there is no picture yet")
    return Response(still.jpeg, media_type="image/jpeg")


@router.get("/{stream}/rules", responses=problems(404))
def get_rule_states(api: Api, stream: SeenStream) -> RuleStates:
    """Where the rules of this stream stand."""
    states, found = api.station.alerting.states(), []
    for rule in api.station.rules:
        if rule.applies_to(stream):
            state = states.get((rule.name, stream), _NEVER_SEEN) if rule.enabled else WatchState("disabled")
            found.append(
                RuleState(
                    rule=rule.name,
                    state=state.kind,
                    count=state.count,
                    needed=state.needed,
                    since=state.since,
                    until=state.until,
                )
            )
    return RuleStates(rules=tuple(found))


def _paused(api: Api, stream: str, paused: bool) -> protocol.Stream:
    return stream_message(api.station.change(stream, lambda settings: replace(settings, paused=paused)))
