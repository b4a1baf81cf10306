"""A proxy on this machine before a real HTTP server: it sends on what it is asked, and breaks answers by a plan."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from tests.models.http_serving import Http, Serving

Plan = Callable[[int], str | None]
"""What happens to the nth counted request, from 0: a kind of fault, or nothing."""

KINDS = ("hang", "500", "429", "cut", "reset", "nonsense", "slow")
"""``hang``: no answer; ``cut``: half of the real one; ``reset``: the connection is torn before it; ``nonsense``: a page
in its place; ``slow``: the real one in small pieces over half a second; a number: that status."""
HANG_SECONDS = 30.0
SLOW_SECONDS, PIECES = 0.5, 10
_HOP = {"connection", "transfer-encoding", "keep-alive", "server", "date"}


def nothing(place: int) -> str | None:
    return None


class FaultyProxy(Serving):
    """On 127.0.0.1 and a free port, before ``upstream`` (``http://HOST:PORT``); a context manager.

    Only requests whose method is in ``counted`` are under the plan. `stop` is a server that is gone, `start` brings it
    back to the same port.
    """

    def __init__(self, upstream: str, *, counted: tuple[str, ...] = ("POST",)) -> None:
        super().__init__()
        self.upstream = urlsplit(upstream)
        self.counted = counted
        self.plan: Plan = nothing
        self.met: Counter[str] = Counter()
        """What was done, by its kind; ``passed``: sent on and back whole."""
        self.headers: list[dict[str, str]] = []
        """Of what came."""
        self._lock = threading.Lock()
        self._number = 0

    def follow(self, plan: Plan) -> None:
        """From the next request on, which is number 0 again."""
        with self._lock:
            self.plan, self._number = plan, 0
            self.met.clear()

    def next_fault(self, method: str) -> str | None:
        if method not in self.counted:
            return None
        with self._lock:
            number, self._number = self._number, self._number + 1
            return self.plan(number)

    def note(self, what: str) -> None:
        with self._lock:
            self.met[what] += 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    disable_nagle_algorithm = True
    server: Http

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _do(self) -> None:
        owner = self.server.owner
        body = self._body()
        owner.headers.append(dict(self.headers.items()))
        kind = owner.next_fault(self.command)
        if kind is not None:
            owner.note(kind)
        match kind:
            case "hang":
                owner.over.wait(HANG_SECONDS)
                self.close_connection = True
            case "reset":
                self._tear()
            case "nonsense":
                self._send(200, [("Content-Type", "text/html")], b"<html>It works!</html>")
            case "cut" | "slow" | None:
                self._pass_on(body, kind)
            case _:
                self._send(int(kind), [("Content-Type", "application/json")], b'{"error": {"message": "boom"}}')

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _do

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return b"".join(self._chunks())
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def _pass_on(self, body: bytes, kind: str | None) -> None:
        owner = self.server.owner
        upstream = http.client.HTTPConnection(owner.upstream.hostname or "", owner.upstream.port, timeout=60)
        try:
            sent = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
            upstream.request(self.command, self.path, body, sent | {"Content-Length": str(len(body))})
            answer = upstream.getresponse()
            data = answer.read()
        finally:
            upstream.close()
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP]
        if kind is None:
            owner.note("passed")
        self._send(answer.status, headers, data, kind)

    def _send(self, status: int, headers: list[tuple[str, str]], data: bytes, kind: str | None = None) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() != "content-length":
                self.send_header(name, value)
        length = {name.lower(): value for name, value in headers}.get("content-length", "")
        self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(data)))
        self.end_headers()
        if kind == "cut":
            self.wfile.write(data[: len(data) // 2])
            self._tear()
        elif kind == "slow":
            self._dribble(data)
        else:
            self.wfile.write(data)

    def _dribble(self, data: bytes) -> None:
        size = max(1, len(data) // PIECES)
        for start in range(0, len(data), size):
            self.server.owner.over.wait(SLOW_SECONDS / PIECES)
            self.wfile.write(data[start : start + size])

    def _tear(self) -> None:
        """The other side sees a reset, not an end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


FaultyProxy.handler = _Handler
