"""The server itself: what it is, and the tokens that open it."""

from __future__ import annotations

import time

from fastapi import APIRouter

from streamer.errors import OptionError
from streamer.models.base import BUDGETS
from streamer.server.access import EVERYTHING
from streamer.server.api.answers import WITH_BODY, problems
from streamer.server.api.context import version
from streamer.server.api.identity import Admin, Api, Viewer
from streamer.server.api.models import CreatedToken, NewToken, Reloaded, ServerPart, TokenList, TokenPart
from streamer.server.api.names import Name
from streamer.server.api.problems import Refused, unknown

router = APIRouter(tags=["server"])


@router.get("/server", responses=problems())
def get_server(api: Api, access: Viewer) -> ServerPart:
    """What runs here, and what this token may do."""
    station, model = api.station, api.station.monitor.model
    return ServerPart(
        version=version(),
        model=model.name,
        caveat=model.caveat,
        models=station.further.names,
        budgets=BUDGETS,
        time=time.time(),
        name=access.name,
        role=access.role,
        streams=access.streams,
        can_add=access.admin and bool(station.configuration.allow),
        reloads=station.reloads if access.admin else None,
        configuration_in_use=station.fault is None if access.admin else None,
    )


@router.post("/reload", responses=problems(422, 507))
def reload_configuration(api: Api, access: Admin) -> Reloaded:
    """Reads the configuration file again and does what it says now; where it cannot be used everything stays."""
    api.station.reload()
    return Reloaded(reloads=api.station.reloads)


@router.get("/tokens", responses=problems())
def list_tokens(api: Api, access: Admin) -> TokenList:
    """Who has a token. The tokens themselves are not known."""
    return TokenList(
        tokens=tuple(
            TokenPart(name=one.name, role=one.role, streams=one.streams, created_at=created)
            for one, created in api.tokens.list()
        )
    )


@router.post("/tokens", status_code=201, responses=problems(409, 507, *WITH_BODY))
def create_token(api: Api, access: Admin, new: NewToken) -> CreatedToken:
    """Makes a token, which is told here and never again."""
    if _has(api, new.name) or new.name == EVERYTHING.name:
        raise Refused(409, "expected a name that has no token yet", field="name")
    try:
        token = api.tokens.create(new.name, new.role, new.streams)
    except OptionError as error:
        raise Refused(422, f"expected {error.expected}", field=error.option.removeprefix("token ")) from None
    return CreatedToken(name=new.name, role=new.role, streams=new.streams, token=token)


@router.delete("/tokens/{name}", status_code=204, responses=problems(404, 507))
def remove_token(api: Api, access: Admin, name: Name) -> None:
    """The token is good for nothing from now on."""
    if not _has(api, name):
        raise unknown()
    api.tokens.remove(name)


def _has(api: Api, name: str) -> bool:
    return any(one.name == name for one, _ in api.tokens.list())
