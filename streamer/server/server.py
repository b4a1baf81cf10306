"""The viewer's server on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from importlib import metadata
from typing import TYPE_CHECKING, Self

import uvicorn

from streamer.errors import OptionError
from streamer.server import guard
from streamer.server.access import Tokens
from streamer.server.app import create_app
from streamer.server.connections import PatientProtocol
from streamer.server.controls import Admit, MonitorControls, StationControls
from streamer.server.hub import Hub
from streamer.server.protocol import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from streamer.monitor import Monitor
    from streamer.station import Station

log = logging.getLogger(__name__)

START_SECONDS = 10.0
SEND_BUFFER_BYTES = 256 * 1024
"""Of each connection: what a slow viewer's system holds back is old by the time it is read."""
DEAD_PEER_MS = 30_000


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a fault that uvicorn logs is more than a viewer's nonsense, such as a text that is none: anybody could
    fill the log with tracebacks."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, UnicodeDecodeError | ConnectionError)


class Server:
    """Shows a `Monitor` to browsers and programs. A context manager; does not own the monitor.

    ``port`` 0 takes a free one. On an address that others can reach a token is made up where none is given; `url` holds
    it. ``host_names`` are names besides ``localhost`` under which browsers may ask for it (DNS rebinding is refused);
    where there are any a token is needed too, as others come by a proxy on this machine.
    ``admit`` lets viewers add and remove streams: from an address to its opener, raising `StreamerError` where it may
    not be opened; without it nobody may. With a ``station``, whose monitor it has to be, there are alerts and the HTTP
    interface, and what viewers change is kept. ``tls``: files of the certificate chain and its key, in PEM.
    """

    def __init__(
        self,
        monitor: Monitor,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        token: str | None = None,
        host_names: Iterable[str] = (),
        admit: Admit | None = None,
        station: Station | None = None,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        host_names = tuple(host_names)
        near = guard.check_access(host, host_names, token)
        self.token = token if token or near else guard.new_token()
        self.monitor = monitor
        controls = MonitorControls(monitor, admit) if station is None else StationControls(station)
        alerting = None if station is None else station.alerting
        trouble = (lambda: None) if station is None else (lambda: station.history.fault)
        self._hub = Hub(monitor, controls, version=_version(), alerting=alerting, trouble=trouble)
        app = create_app(
            self._hub,
            tokens=Tokens(None if station is None else station.tokens_path, owner=self.token),
            open_locally=self.token is None,
            host_names=frozenset(name.lower() for name in (*host_names, host)),
            station=station,
            viewers=lambda: self.viewers,
        )
        logging.getLogger("uvicorn.error").addFilter(_without_cut_off)
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                app,
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,  # addresses of pages may hold the token
                server_header=False,
                ws_max_size=MAX_MESSAGE_BYTES,
                http=PatientProtocol,
                ssl_certfile=None if tls is None else str(tls[0]),
                ssl_keyfile=None if tls is None else str(tls[1]),
                ws_per_message_deflate=False,  # pictures do not get smaller
                timeout_keep_alive=5,
            )
        )
        logging.getLogger("uvicorn.error").addFilter(_is_ours)
        self._socket: socket.socket | None = None
        self._serving: asyncio.Future[None]
        self._loop: asyncio.AbstractEventLoop | None = None
        """Set while `_serving` can be cancelled."""
        self._ended = threading.Event()
        """Waited for in place of the thread: a ``join`` that Ctrl-C interrupts takes the thread for ended
        (https://github.com/python/cpython/issues/90882)."""
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on; the wanted one before `start`."""
        return self._port

    @property
    def address(self) -> str:
        """Where the page is, without the token."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self._host, self._host)
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://[{host}]:{self.port}/" if ":" in host else f"{scheme}://{host}:{self.port}/"

    @property
    def url(self) -> str:
        """Where the page is, with the token if one is needed: for the person who started it, and for no log."""
        return f"{self.address}?token={self.token}" if self.token else self.address

    @property
    def viewers(self) -> int:
        """Pages and programs connected now."""
        return self._hub.viewers

    def start(self) -> Self:
        """Listens, and returns when it answers. Raises `OptionError` for an address or port that cannot be had."""
        self._socket = _listen(self._host, self._port)
        self._port = int(self._socket.getsockname()[1])
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not (self._uvicorn.started or self._ended.wait(0.01) or time.monotonic() > deadline):
            pass
        if not self._uvicorn.started:
            self.close()
            raise OptionError("server", self.address, "a server that starts; the log says why it does not")
        return self

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Waits until the server has ended, or so long; says whether it has. Ctrl-C comes through."""
        return self._ended.wait(timeout_seconds)

    def close(self) -> None:
        """Tells viewers good-bye and ends within 3 s; calling it again does nothing."""
        self._uvicorn.should_exit = True
        if self._thread.ident is not None:
            if (
                not self._ended.wait(1.5) and self._loop is not None
            ):  # a viewer does not read: its connection stays open
                with contextlib.suppress(RuntimeError):  # it ended meanwhile
                    self._loop.call_soon_threadsafe(self._serving.cancel)
            if self._ended.wait(1.0):
                self._thread.join(0.2)
            else:
                log.warning("the server's thread is still busy")
        if self._socket is not None:
            self._socket.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._ended.set()

    async def _serve(self) -> None:
        assert self._socket is not None
        self._hub.open()
        self._serving = asyncio.ensure_future(self._uvicorn.serve(sockets=[self._socket]))
        self._loop = asyncio.get_running_loop()
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await self._serving
        finally:
            self._loop = None
            await self._hub.close()
            await self._abort_connections()

    async def _abort_connections(self) -> None:
        """Those whose other side does not read hold their sockets open still."""
        for connection in tuple(self._uvicorn.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0.01)  # in which the loop closes them


def check_port(host: str, port: int) -> None:
    """Raises `OptionError` for an address or port that cannot be had now."""
    _listen(host, port).close()


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections keep little unsent and give up on peers that vanished."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small messages at once (no Nagle) only on sockets that name their protocol.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_MS)
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        expected = f"a free port on this machine, or 0 for any ({error})"
        raise OptionError("address", f"{host}:{port}", expected) from error
    return listener


def _without_cut_off(record: logging.LogRecord) -> bool:
    """Requests that the server's end cuts off are no faults, though uvicorn logs each with its traceback."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _version() -> str:
    try:
        return metadata.version("streamer")
    except metadata.PackageNotFoundError:
        return "0+source"
