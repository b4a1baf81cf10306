"""What a viewer can do to its own connection is no fault of the server, and fills no log."""

from __future__ import annotations

from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from streamer.client import Client
from streamer.server import Server
from streamer.server.protocol import Hello


def test_broken_text_leaves_no_traceback_in_the_log(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    with connect(server.url.replace("http", "ws") + "ws") as socket:
        socket.send(b"\xff\xfe", text=True)
        with suppress(ConnectionClosed):
            while True:
                socket.recv(5)
    with Client(server.url) as client:
        assert isinstance(client.receive(5), Hello)
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
