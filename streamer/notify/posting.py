"""One HTTP POST that is over within its time, whatever the receiver does.

The timeouts of HTTP libraries hold for one read, and a receiver that sends a byte now and then outlasts them for ever.
Here a timer shuts the connection down, also within a TLS handshake or a proxy's greeting; `Poster.interrupt` does the
same from another thread. Only the lookup of a name takes as long as the system lets it.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import ipaddress
import socket
import ssl
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import URLError

MAX_BODY_BYTES = 64 * 1024
"""How much of an answer is read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver said. Its status came in time; the body may have been cut off."""

    status: int
    body: bytes
    """The first 64 KiB at most."""
    retry_after: str | None
    """The header of that name."""
    location: str | None
    """Where a redirect, which is not followed, leads."""


class Poster:
    """Posts from one thread at a time; `interrupt` may come from any."""

    def __init__(self, *, context: ssl.SSLContext, allow_private: bool) -> None:
        """``context`` verifies receivers. Without ``allow_private`` a connection to an address that is not public is
        given up before anything is sent over it, however its name was resolved; proxies are not used then."""
        self._context = context
        self._allow_private = allow_private
        self._lock = threading.Lock()
        self._current: _Cutter | None = None
        self._interrupted = False

    def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout_seconds: float) -> Answer:
        """Raises `OSError` where no status came in time: `TimeoutError`, or what the network said."""
        request = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")
        with self._cutter() as cutter, cutter.within(timeout_seconds):
            try:
                with self._opener(cutter).open(request, timeout=timeout_seconds) as response:
                    if cutter.reason is not None:
                        raise cutter.reason  # http.client takes a head that was cut off for a whole one
                    return Answer(
                        response.status,
                        _beginning(response),
                        response.headers.get("Retry-After"),
                        response.headers.get("Location"),
                    )
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise _as_os_error(error, cutter, timeout_seconds) from error

    def interrupt(self) -> None:
        """Ends a post that is under way, and every later one at once."""
        with self._lock:
            self._interrupted = True
            if self._current is not None:
                self._current.cut(ConnectionAbortedError("it was called off"))

    @contextlib.contextmanager
    def _cutter(self) -> Iterator[_Cutter]:
        with self._lock:
            self._current = cutter = _Cutter(self._allow_private)
            if self._interrupted:
                cutter.cut(ConnectionAbortedError("it was called off"))
        try:
            yield cutter
        finally:
            with self._lock:
                self._current = None
            cutter.release()

    def _opener(self, cutter: _Cutter) -> urllib.request.OpenerDirector:
        """Without handlers of redirects and of errors: every answer is given out as it came."""
        opener = urllib.request.OpenerDirector()
        opener.addheaders = []
        opener.add_handler(urllib.request.ProxyHandler(None if self._allow_private else {}))
        opener.add_handler(_Http(cutter))
        opener.add_handler(_Https(cutter, self._context))
        return opener


class _Cutter:
    """Holds a second handle of the connections of one post, by which they are shut down under whoever uses them."""

    def __init__(self, allow_private: bool) -> None:
        self.reason: OSError | None = None
        """Why it was cut; None while it was not."""
        self._allow_private = allow_private
        self._lock = threading.Lock()
        self._handles: list[socket.socket] = []

    def watch(self, connection: socket.socket) -> None:
        """Raises where the post is over already, and where its receiver is not to be talked to."""
        if not self._allow_private:
            _refuse_private(str(connection.getpeername()[0]))
        with self._lock:
            if self.reason is not None:
                raise self.reason
            self._handles.append(connection.dup())

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        timer = threading.Timer(seconds, self.cut, [TimeoutError(_late(seconds))])
        timer.name, timer.daemon = "post timeout", True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    def cut(self, reason: OSError) -> None:
        with self._lock:
            self.reason = self.reason or reason
            for handle in self._handles:
                with contextlib.suppress(OSError):
                    handle.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        with self._lock:
            for handle in self._handles:
                handle.close()
            self._handles.clear()


class _Watched:
    """Mixed into a connection: its socket is watched from the moment it has one, so before proxies and TLS."""

    _cutter: _Cutter
    _sock: socket.socket | None = None

    @property
    def sock(self) -> Any:
        return self._sock

    @sock.setter
    def sock(self, value: socket.socket | None) -> None:
        self._sock = value
        if value is not None and not isinstance(value, ssl.SSLSocket):  # TLS runs over the one that is watched already
            try:
                self._cutter.watch(value)
            except OSError:
                value.close()
                raise


class _PlainConnection(_Watched, http.client.HTTPConnection):
    def __init__(self, host: str, *, cutter: _Cutter, **options: Any) -> None:
        self._cutter = cutter
        super().__init__(host, **options)


class _TlsConnection(_Watched, http.client.HTTPSConnection):
    def __init__(self, host: str, *, cutter: _Cutter, **options: Any) -> None:
        self._cutter = cutter
        super().__init__(host, **options)


class _Http(urllib.request.HTTPHandler):
    def __init__(self, cutter: _Cutter) -> None:
        super().__init__()
        self._connect = functools.partial(_PlainConnection, cutter=cutter)

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connect, req)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, cutter: _Cutter, context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._connect = functools.partial(_TlsConnection, cutter=cutter, context=context)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._connect, req)


def _beginning(response: http.client.HTTPResponse) -> bytes:
    """What can be had of the body; with the status known, a fault in it changes nothing any more."""
    read = bytearray()
    with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
        while len(read) < MAX_BODY_BYTES and (piece := response.read1(MAX_BODY_BYTES - len(read))):
            read += piece
    return bytes(read)


def _as_os_error(error: Exception, cutter: _Cutter, seconds: float) -> OSError:
    if cutter.reason is not None:
        return cutter.reason
    if isinstance(error, URLError) and isinstance(error.reason, OSError):
        error = error.reason
    if isinstance(error, TimeoutError):
        return TimeoutError(_late(seconds))
    return error if isinstance(error, OSError) else OSError(f"the answer is no HTTP ({type(error).__name__})")


def _late(seconds: float) -> str:
    return f"no answer within {seconds:g} s"


def _refuse_private(host: str) -> None:
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None) or address
    if not mapped.is_global or mapped.is_multicast:
        raise PermissionError("its address is not a public one, which allow_private = false forbids")
