"""The server on real sockets: who gets in, what each viewer is told, and who waits for whom."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from streamer.client import Client, ClientError, Message
from streamer.errors import OptionError, SourceError
from streamer.monitor import Monitor
from streamer.server import Server
from streamer.server import protocol as p
from streamer.server.picture import Picture
from streamer.sources.base import Source
from tests.server.conftest import BOXES
from tests.server.rig import Camera, eventually

M = TypeVar("M")


def ws_url(server: Server) -> str:
    return f"ws://{urlsplit(server.address).netloc}/ws"


def _shake_hands(connection: AbstractContextManager[object]) -> None:
    with connection:
        pass


def until(client: Client, wanted: Callable[[Message], bool], seconds: float = 10.0) -> Message:
    """The next message that is wanted."""
    end = time.monotonic() + seconds
    while True:
        message = client.receive(max(0.01, end - time.monotonic()))
        if wanted(message):
            return message


def next_of(client: Client, kind: type[M]) -> M:
    message = until(client, lambda message: isinstance(message, kind))
    assert isinstance(message, kind)
    return message


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url) as client:
        yield client


def test_the_page_and_its_files_come_with_safety_headers(server: Server) -> None:
    for path, kind in (("", "text/html"), ("static/main.js", "text/javascript"), ("static/icon.svg", "image/svg+xml")):
        answer = httpx.get(server.address + path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith(kind)
        assert answer.headers["x-content-type-options"] == "nosniff"
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    assert httpx.get(server.address + "healthz").json() == {"status": "ok"}
    for path in ("static/../app.py", "static/%2e%2e/app.py", "docs", "openapi.json"):
        assert httpx.get(server.address + path).status_code == 404


def test_another_host_name_is_turned_away(server: Server) -> None:
    assert httpx.get(server.address, headers={"host": "evil.example"}).status_code == 421
    with pytest.raises(InvalidStatus) as caught:
        _shake_hands(connect(ws_url(server), additional_headers={"host": "evil.example"}))
    assert caught.value.response.status_code in (400, 403)


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null"])
def test_a_page_from_elsewhere_is_turned_away(server: Server, origin: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        _shake_hands(connect(ws_url(server), origin=Origin(origin)))
    assert caught.value.response.status_code == 403


def test_the_servers_own_page_is_let_in(server: Server) -> None:
    own = server.address.rstrip("/")
    with connect(ws_url(server), origin=Origin(own)) as viewer:
        assert json.loads(viewer.recv())["type"] == "hello"


def test_a_token_is_needed_where_one_is_set(monitor: Monitor) -> None:
    with Server(monitor, port=0, token="open sesame") as server:
        for first in ('{"type": "auth", "token": "wrong"}', '{"type": "ping", "sent": 1}', "rubbish"):
            with connect(ws_url(server)) as viewer:
                viewer.send(first)
                with pytest.raises(ConnectionClosed) as caught:
                    viewer.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 4401
        assert server.url.endswith("?token=open sesame")
        with Client(server.address, token="open sesame") as client:
            assert next_of(client, p.Hello).model == "scripted"


def test_a_token_is_made_up_where_others_can_reach_the_server(monitor: Monitor) -> None:
    with Server(monitor, host="0.0.0.0", port=0) as server:
        assert server.token is not None
        assert len(server.token) >= 32
        with Client(server.url) as client:
            next_of(client, p.Snapshot)
        with pytest.raises(ClientError, match="needs its token"), Client(server.address, token="guess") as client:
            client.receive()


def test_a_viewer_is_told_everything_at_first(client: Client, monitor: Monitor) -> None:
    hello, snapshot = client.receive(5), client.receive(5)
    assert isinstance(hello, p.Hello)
    assert (hello.protocol, hello.can_add, hello.caveat) == (1, False, monitor.model.caveat)
    assert isinstance(snapshot, p.Snapshot)
    (stream,) = snapshot.streams
    assert (stream.stream, stream.address) == ("gate", "rtsp://***@10.0.0.5/live")
    assert [task.name for task in stream.settings.tasks] == ["caption", "detect"]
    result = next_of(client, p.Result)
    assert result.caption == "said of: Describe this picture in one sentence."
    assert {found.label: (found.x1, found.y1, found.x2, found.y2) for found in result.detections} == BOXES
    assert 0 <= time.time() - result.captured < 1.5


def test_a_late_viewer_gets_the_newest_results_at_once(server: Server, monitor: Monitor) -> None:
    with Client(server.url) as first:
        seen = [next_of(first, p.Result).sequence for _ in range(4)]
    with Client(server.url) as late:
        snapshot = next_of(late, p.Snapshot)
    assert [result.sequence for result in snapshot.results][: len(seen)] <= seen
    assert snapshot.results[-1].sequence >= seen[-1]


def test_pictures_come_only_when_asked_for(client: Client, camera: Camera, monitor: Monitor) -> None:
    next_of(client, p.Result)
    sizes = set(camera.scaled)
    assert (640, 360) not in sizes, "a picture was made for nobody"
    client.show(["gate"])
    picture = next_of(client, Picture)
    assert picture.jpeg[:2] == b"\xff\xd8"
    client.show([])
    time.sleep(0.3)
    with contextlib.suppress(TimeoutError):
        while True:
            message = client.receive(0.01)
            assert not isinstance(message, Picture) or message.captured < time.time()
    before = camera.scaled.count((640, 360))
    time.sleep(0.5)
    assert camera.scaled.count((640, 360)) == before


def test_a_viewer_that_leaves_wants_no_more_pictures(server: Server, camera: Camera) -> None:
    with Client(server.url) as client:
        client.show(["gate"])
        next_of(client, Picture)
    eventually(lambda: server.viewers == 0)
    before = camera.scaled.count((640, 360))
    time.sleep(0.5)
    assert camera.scaled.count((640, 360)) <= before + 1


def test_commands_are_acknowledged_and_seen_by_all(server: Server, monitor: Monitor) -> None:
    with Client(server.url) as one, Client(server.url) as two:
        one.set("gate", budget=70, fps=8)
        stream = until(two, lambda message: isinstance(message, p.Stream) and message.settings.budget == 70)
        assert isinstance(stream, p.Stream)
        assert stream.settings.fps == 8
        two.command("set_task", stream="gate", task={"kind": "ask", "prompt": "Is it day?"})
        until(one, lambda message: isinstance(message, p.Result) and "ask" in message.answers)
        two.drop_task("gate", "ask")
        assert [task.name for task in monitor.status("gate").settings.tasks] == ["caption", "detect"]


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("set", {"stream": "gate", "budget": 100}, "one of 70, 140"),
        ("set", {"stream": "gate", "fps": -1}, "from 0.01 to 60"),
        ("set", {"stream": "nowhere", "budget": 70}, "expected one of gate"),
        ("set", {"stream": "gate", "speed": 1}, "speed"),
        ("set_task", {"stream": "gate", "task": {"kind": "ask"}}, "some words"),
        ("pictures", {"streams": ["nowhere"]}, "expected one of gate"),
        ("add", {"stream": "more", "address": "x.mp4"}, "this one does not"),
        ("remove", {"stream": "gate"}, "this one does not"),
        ("dance", {}, "expected one of 'auth'.* as its type"),
    ],
)
def test_commands_that_cannot_be_are_refused_in_words(
    client: Client, monitor: Monitor, kind: str, fields: dict[str, object], words: str
) -> None:
    before = monitor.status("gate").settings
    with pytest.raises(ClientError, match=words):
        client.command(kind, **fields)
    assert monitor.status("gate").settings == before
    client.set("gate", budget=140)


def test_streams_are_added_and_removed_where_it_is_allowed(monitor: Monitor) -> None:
    def admit(address: str) -> Callable[[], Source]:
        if not address.startswith("drawn:"):
            raise SourceError(address, "not among the allowed schemes", "use drawn:")
        return lambda: Camera((320, 240))

    with Server(monitor, port=0, admit=admit) as server, Client(server.url) as client:
        with pytest.raises(ClientError, match="not among the allowed schemes"):
            client.add("more", "file:///etc/passwd")
        client.add("more", "drawn:any", budget=70, fps=4)
        until(client, lambda message: isinstance(message, p.Result) and message.stream == "more")
        client.remove("more")
        assert next_of(client, p.Removed).stream == "more"
        assert [status.name for status in monitor.statuses()] == ["gate"]


def test_an_oversized_message_ends_that_viewer_alone(server: Server) -> None:
    with Client(server.url) as other, connect(ws_url(server)) as viewer:
        viewer.send("x" * (p.MAX_MESSAGE_BYTES + 1))
        with pytest.raises(ConnectionClosed) as caught:
            deque(iter(viewer.recv, None), maxlen=0)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009
        next_of(other, p.Result)


def test_rubbish_is_answered_and_harms_nobody(client: Client, server: Server) -> None:
    with connect(ws_url(server)) as viewer:
        for rubbish in ("", "{", "[1]", "null", b"\x00\xff", json.dumps({"type": "set", "id": "x"})):
            viewer.send(rubbish)
        acks: list[bool] = []
        while len(acks) < 6:
            message = viewer.recv(5)
            if isinstance(message, str) and (told := json.loads(message))["type"] == "ack":
                acks.append(told["ok"])
        assert acks == [False] * 6
    next_of(client, p.Result)


def framed(text: str) -> bytes:
    """A masked text frame of at most 125 bytes."""
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text.encode()


def open_and_never_read(server: Server) -> socket.socket:
    """A viewer that asks for pictures and then reads nothing at all."""
    parts = urlsplit(server.address)
    stuck = socket.socket()
    stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stuck.connect((parts.hostname, parts.port))
    key = base64.b64encode(os.urandom(16)).decode()
    head = f"GET /ws HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    stuck.sendall(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
    stuck.sendall(framed('{"type":"pictures","id":1,"streams":["gate"]}'))
    return stuck


def test_a_viewer_that_does_not_read_slows_nobody_and_is_sent_away(server: Server) -> None:
    refused = framed('{"type":"set","id":1,"stream":"' + "n" * 80 + '"}')
    with contextlib.closing(open_and_never_read(server)) as stuck, Client(server.url) as client:
        client.show(["gate"])
        eventually(lambda: server.viewers == 2)
        flood = threading.Thread(target=_send_until_cut, args=(stuck, refused))
        flood.start()
        delays: list[float] = []
        while server.viewers == 2 and len(delays) < 200:
            delays.append(time.time() - next_of(client, p.Result).time)
        assert server.viewers == 1, "it still holds its place"
        delays += [time.time() - next_of(client, p.Result).time for _ in range(3)]
        assert max(delays) < 1.0
        next_of(client, Picture)
        started = time.monotonic()
        server.close()
        assert time.monotonic() - started < 3
    flood.join(5)
    assert not flood.is_alive()


def _send_until_cut(stuck: socket.socket, message: bytes) -> None:
    with contextlib.suppress(OSError):
        stuck.settimeout(5)
        for _ in range(20_000):
            stuck.sendall(message)


def test_two_servers_cannot_have_one_port(server: Server, monitor: Monitor) -> None:
    with pytest.raises(OptionError, match="expected a free port"):
        Server(monitor, port=server.port).start()


def test_it_ends_in_time_and_leaves_nothing(monitor: Monitor) -> None:
    before = set(threading.enumerate())
    server = Server(monitor, port=0).start()
    with Client(server.url) as client:
        client.show(["gate"])
        next_of(client, Picture)
        started = time.monotonic()
        server.close()
        assert time.monotonic() - started < 3
        assert server.wait(0)
        with pytest.raises(ClientError, match=r"closed by the server|connection was lost"):
            until(client, lambda message: False)
    server.close()
    assert {thread for thread in threading.enumerate() if thread.name == "server"} <= before


PROGRAM = """
from streamer.models.scripted import ScriptedModel
from streamer.monitor import Monitor
from streamer.server import Server
from tests.server.rig import Camera

with Monitor(ScriptedModel()) as monitor, Server(monitor, port=0) as server:
    monitor.add("gate", Camera)
    print(server.url, flush=True)
    try:
        server.wait()
    except KeyboardInterrupt:
        print("good-bye", flush=True)
"""


def test_control_c_ends_a_waiting_program_cleanly() -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert program.stdout is not None
        with Client(program.stdout.readline().strip()) as client:
            next_of(client, p.Result)
            started = time.monotonic()
            program.send_signal(signal.SIGINT)
            said, complained = program.communicate(timeout=10)
        assert time.monotonic() - started < 3
    finally:
        program.kill()
    assert (program.returncode, said, complained) == (0, "good-bye\n", "")
