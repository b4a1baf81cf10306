"""Many connections that want nothing, or want it slowly: those who do want something are served."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from urllib.request import urlopen

import pytest

from streamer.client import Client
from streamer.server import Server, connections
from streamer.server.protocol import Result
from tests.server.rig import eventually


def closed(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_a_thousand_connections_leave_a_viewer_its_results(server: Server) -> None:
    with Client(server.url) as client, ExitStack() as stack:
        crowd = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(1000)]
        eventually(lambda: sum(map(closed, crowd)) >= 1000 - connections.MAX_CONNECTIONS)
        begun = time.monotonic()
        for _ in range(3):
            while not isinstance(client.receive(5), Result):
                pass
        assert time.monotonic() - begun < 5


def test_who_asks_for_nothing_is_sent_away_and_makes_room(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    with ExitStack() as stack:
        crowd = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(1000)]
        for one in crowd[:50]:
            one.send(b"GET / HTTP/1.1\r\nHost: 127")  # and no more
        eventually(lambda: all(map(closed, crowd)))
        with urlopen(f"{server.address}healthz", timeout=5) as answer:
            assert answer.status == 200


def test_a_second_request_that_does_not_come_whole_is_given_up_too(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.5)
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as one:
        one.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert one.recv(1000).startswith(b"HTTP/1.1 200")
        one.sendall(b"GET /healthz HTTP/1.1\r\nHo")
        time.sleep(0.2)
        one.setblocking(True)
        one.settimeout(5)
        while one.recv(1000):
            pass
