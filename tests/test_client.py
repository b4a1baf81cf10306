"""The Python client against a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from streamer.client import Client, ClientError
from streamer.models.scripted import ScriptedModel
from streamer.monitor import Monitor
from streamer.server import Server
from streamer.server.picture import Picture
from streamer.server.protocol import Hello, Result, Snapshot, Stream
from streamer.settings import StreamSettings
from streamer.tasks import Task
from tests.server.rig import Camera


@pytest.fixture
def monitor() -> Iterator[Monitor]:
    with Monitor(ScriptedModel()) as monitor:
        monitor.add("gate", lambda: Camera(fps=10), StreamSettings(fps=5))
        yield monitor


def test_messages_come_typed_and_in_order(monitor: Monitor) -> None:
    with Server(monitor, port=0) as server, Client(server.url) as client:
        client.show(["gate"])
        kinds: list[type] = []
        for message in client:
            kinds.append(type(message))
            if {Result, Picture, Stream} <= set(kinds):
                break
        assert kinds[:2] == [Hello, Snapshot]


def test_tasks_are_given_as_tasks(monitor: Monitor) -> None:
    with Server(monitor, port=0) as server, Client(server.url) as client:
        client.set("gate", tasks=[Task.caption("Say it"), Task.detect("car")], paused=True)
        client.set_task("gate", Task.check("Is it day?"))
        client.drop_task("gate", "caption")
        counting = Task.ask("How many?", schema={"type": "object", "properties": {"cars": {"enum": [None, 1, 2]}}})
        client.set_task("gate", counting)
        settings = monitor.status("gate").settings
        assert settings.tasks == (Task.detect("car"), Task.check("Is it day?"), counting)
        assert settings.paused


def test_a_refusal_and_a_missing_server_are_errors_in_words(monitor: Monitor) -> None:
    with Server(monitor, port=0) as server, Client(server.url) as client:
        with pytest.raises(ClientError, match="budget: 5 cannot be used"):
            client.set("gate", budget=5)
        client.restart("gate")
    with pytest.raises(ClientError, match="no connection"):
        Client(server.url)
    with pytest.raises(ClientError):
        client.set("gate", budget=70)
    client.close()


def test_it_comes_back_after_a_restart_of_the_server(monitor: Monitor) -> None:
    first = Server(monitor, port=0).start()
    with Client(first.url, reconnect=True) as client:
        client.show(["gate"])
        messages = iter(client)
        next(message for message in messages if isinstance(message, Picture))
        first.close()
        second = Server(monitor, port=first.port)
        starting = threading.Timer(0.5, second.start)
        starting.start()
        assert isinstance(next(message for message in messages if isinstance(message, Hello)), Hello)
        next(message for message in messages if isinstance(message, Picture))
        starting.join()
        second.close()
