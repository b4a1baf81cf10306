"""What a viewer can do to its own connection is no fault of the server, and fills no log."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from streamer.client import Client, ClientError
from streamer.configuration import Configuration
from streamer.models.scripted import ScriptedModel
from streamer.server import Server
from streamer.server.access import Tokens
from streamer.server.protocol import Hello
from streamer.station import Station


def test_broken_text_leaves_no_traceback_in_the_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with connect(server.url.replace("http", "ws") + "ws") as socket:
        socket.send(b"\xff\xfe", text=True)
        with suppress(ConnectionClosed):
            while True:
                socket.recv(5)
    with Client(server.url) as client:
        assert isinstance(client.receive(5), Hello)
    assert caplog.records == []


def test_tokens_that_cannot_be_read_are_no_traceback(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Those who are in stay, others are told to come again."""
    caplog.set_level(logging.ERROR)
    with (
        ScriptedModel() as model,
        Station(model, Configuration(data=tmp_path)) as station,
        Server(station.monitor, station=station, port=0, token="the-owners-token-0123456789") as server,
    ):
        token = Tokens(tmp_path / "tokens.json").create("guard", "viewer")
        with Client(f"{server.address}?token={token}") as client:
            assert isinstance(client.receive(5), Hello)
            (tmp_path / "tokens.json").write_text("[{")
            time.sleep(1.5)
            with (
                pytest.raises(ClientError, match="tokens cannot be read"),
                Client(f"{server.address}?token={token}") as other,
            ):
                other.receive(5)
            client.show([])
    assert caplog.records == []


def test_a_message_that_is_too_large_while_much_is_sent_is_no_fault_of_the_server(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(15):
        with connect(server.url.replace("http", "ws") + "ws", compression=None) as socket, suppress(ConnectionClosed):
            socket.send('{"type": "pictures", "id": 1, "streams": ["gate"]}')
            for number in range(200):
                socket.send(f'{{"type": "ping", "sent": {number}}}')
            socket.send("x" * 100_000)
            while True:
                socket.recv(5)
    assert caplog.records == []
