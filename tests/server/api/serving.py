"""A whole live job behind the HTTP interface, on a real socket."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from streamer.alerts import Alert
from streamer.configuration import Configuration, StreamEntry
from streamer.display import encode_jpeg
from streamer.further import FurtherModel
from streamer.models.base import Request
from streamer.models.scripted import Script, ScriptedModel
from streamer.server.access import Tokens
from streamer.server.api import Limits, install
from streamer.server.app import Doorkeeper
from streamer.settings import StreamSettings
from streamer.sources.synthetic import draw
from streamer.station import Station
from streamer.tasks import Task

CAMERA = "synthetic:?live=1&fps=5&size=320x180"
PASSWORD = "hunter2"
OWNER = "the-owners-own-token-of-24-letters"
SCRIPT = "<script>alert(1)</script>"
NOW = float(round(time.time()) - 7200)
"""Two hours ago."""
GENEROUS = Limits(rate=100_000, burst=100_000, at_once=200)
"""So that tests of other things are not stopped."""


def say(request: Request) -> str:
    """Boxes where they are asked for, yes where it is a question, and words that must not become HTML."""
    if "output only" in request.prompt:
        return '```json\n[{"box_2d": [200, 100, 500, 400], "label": "person"}]\n```'
    if request.prompt.startswith("Is "):
        return "Yes, somebody is there."
    return f"{SCRIPT} a red car"


@dataclass(frozen=True, slots=True)
class Served:
    """What a test has in hand."""

    url: str
    app: FastAPI
    station: Station
    tokens: Tokens
    model: ScriptedModel

    def client(self, token: str | None = None, **headers: str) -> httpx.Client:
        given = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers={**given, **headers}, timeout=20)


@contextmanager
def serving(
    folder: Path,
    configuration: Configuration | None = None,
    *,
    open_locally: bool = True,
    limits: Limits = GENEROUS,
    script: Script = say,
    seconds: float = 0.0,
    further: Sequence[FurtherModel] = (),
) -> Iterator[Served]:
    """``folder``: for the history; ``seconds``: how long the model takes for a batch."""
    given = replace(configuration or of_streams("gate"), data=folder / "data")
    model = ScriptedModel(script, seconds=seconds)
    with Station(model, given, further=further) as station:
        tokens = Tokens(station.tokens_path, owner=None if open_locally else OWNER)
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
        install(app, station, tokens, open_locally=open_locally, viewers=lambda: 3, limits=limits)
        app.add_middleware(Doorkeeper, host_names=frozenset())
        with _listening(app) as url:
            yield Served(url, app, station, tokens, model)


def of_streams(*names: str, **more: Any) -> Configuration:
    settings = StreamSettings(tasks=(Task.caption(), Task.detect("person")), budget=70, fps=3, gate=0)
    streams = tuple(StreamEntry(name, CAMERA, settings) for name in names)
    return Configuration(streams=streams, clip_before_seconds=0, clip_after_seconds=0, **more)


@contextmanager
def _listening(app: FastAPI) -> Iterator[str]:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # or asyncio leaves Nagle on
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, lifespan="off", log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    try:
        eventually(lambda: server.started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
        assert not thread.is_alive(), "the server did not end"


def eventually(condition: Any, seconds: float = 15.0) -> Any:
    """Waits until it holds, and gives what it gave."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(0.02)
    return found


def break_history(folder: Path) -> None:
    """What is read of it from now on cannot be."""
    with closing(sqlite3.connect(folder / "data" / "history.sqlite")) as database:
        for table in ("alerts", "results", "result_words"):
            database.execute(f"DROP TABLE {table}")
        database.commit()


def jpeg(size: tuple[int, int] = (320, 180)) -> bytes:
    return encode_jpeg(draw(7, size))


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The document of a refusal, checked as RFC 9457 wants it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    values: dict[str, Any] = json.loads(answer.content)
    assert values["status"] == status
    assert values["type"] == "about:blank"
    assert values["title"]
    assert values["detail"]
    assert values.keys() <= {"type", "title", "status", "detail", "field"}
    return values


def alert(number: int, stream: str = "gate", **values: Any) -> Alert:
    given = {"started_at": NOW + number, "updated_at": NOW + number, **values}
    return Alert(
        **{
            "id": f"{number:032x}",
            "rule": "person",
            "stream": stream,
            "severity": "warning",
            "phase": "new",
            "revision": 1,
            "title": "A person",
            **given,
        }
    )
