"""A small client of the viewer's WebSocket: results, states and pictures in, settings out."""

from __future__ import annotations

import contextlib
import json
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from streamer.errors import StreamerError
from streamer.server.parts import TaskPart
from streamer.server.picture import Packet, Picture, Setup, parse_binary
from streamer.server.protocol import Ack, Hello, Snapshot, Told, parse_told
from streamer.tasks import Task

MAX_WAITING = 1024
MAX_BYTES = 2**24
"""Of a message from the server."""
Message = Told | Picture | Packet | Setup


class ClientError(StreamerError):
    """The server at ``address`` cannot be reached, closed the connection, or refused a command: ``reason``."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(address, reason)
        self.address, self.reason = address, reason

    def __str__(self) -> str:
        return f"{self.address}: {self.reason}"


class Client:
    """One viewer. Used from one thread; a context manager. Iterating gives every message as it comes.

    ``url`` is that of the page, with or without ``?token=``. With ``reconnect`` iterating goes on after the connection
    was lost (a new `Hello` and `Snapshot` come first), trying again after 0.2 s, then twice as long each time, at most
    5 s.

    >>> with Client("http://127.0.0.1:8000/") as client:  # doctest: +SKIP
    ...     client.set("camera", budget=140)
    ...     for message in client:
    ...         print(message)
    """

    def __init__(
        self, url: str, *, token: str | None = None, reconnect: bool = False, timeout_seconds: float = 10.0
    ) -> None:
        parts = urlsplit(url)
        self.address = f"{parts.scheme}://{parts.netloc}/"
        self._token = token or next(iter(parse_qs(parts.query).get("token", [])), None)
        self._socket_url = f"{'wss' if parts.scheme in ('https', 'wss') else 'ws'}://{parts.netloc}/ws"
        self._reconnect, self._timeout = reconnect, timeout_seconds
        self._waiting: deque[Message] = deque(maxlen=MAX_WAITING)
        self._next_id = 1
        self._wanted: dict[str, Any] = {}
        """Fields of the newest `show`."""
        self._open = contextlib.ExitStack()
        self._socket = self._connect()

    def receive(self, timeout_seconds: float | None = None) -> Message:
        """The next message. Raises `TimeoutError`, and `ClientError` where the connection has ended."""
        return self._waiting.popleft() if self._waiting else self._read(timeout_seconds)

    def __iter__(self) -> Iterator[Message]:
        while True:
            try:
                yield self.receive()
            except ClientError:
                if not self._reconnect:
                    raise
                self._connect_again()

    def set(self, stream: str, **changes: Any) -> None:
        """Changes settings of a stream and waits for the acknowledgement; messages that come meanwhile are kept.

        They are ``budget`` (or ``"auto"``), ``fps``, ``gate``, ``gate_seconds``, ``display_fps``, ``display_width``,
        ``paused`` and ``tasks``. Raises `ClientError` if refused.
        """
        if (tasks := changes.get("tasks")) is not None:
            changes["tasks"] = [_task(task) for task in tasks]
        self.command("set", stream=stream, **changes)

    def set_task(self, stream: str, task: Task) -> None:
        """Puts the task in the place of the stream's task of that name, or behind the others."""
        self.command("set_task", stream=stream, task=_task(task))

    def drop_task(self, stream: str, name: str) -> None:
        self.command("drop_task", stream=stream, name=name)

    def add(self, stream: str, address: str, **settings: Any) -> None:
        """Adds a stream, where the server lets viewers do so."""
        self.command("add", stream=stream, address=address, **settings)

    def remove(self, stream: str) -> None:
        self.command("remove", stream=stream)

    def restart(self, stream: str) -> None:
        self.command("restart", stream=stream)

    def show(self, streams: Iterable[str], *, width: int = 0, video: bool = False) -> None:
        """Asks for the pictures of these streams, and no others; at most ``width`` pixels across (0: as their settings
        say), with ``video`` as the camera's own H.264 (`Setup` and `Packet`) where it sends that."""
        names = list(streams)
        self._wanted = {"streams": names, "widths": dict.fromkeys(names, width), "video": names if video else []}
        self.command("pictures", **self._wanted)

    def command(self, kind: str, **fields: Any) -> Ack:
        """Sends a command and waits for its acknowledgement. Raises `ClientError` where it is refused or none comes."""
        number, self._next_id = self._next_id, self._next_id + 1
        self.send({"type": kind, "id": number, **fields})
        deadline = time.monotonic() + self._timeout
        while (left := deadline - time.monotonic()) > 0:
            try:
                message = self._read(left)
            except TimeoutError:
                break
            if isinstance(message, Ack) and message.id in (number, None):
                if not message.ok:
                    raise ClientError(self.address, message.error or "refused")
                return message
            self._waiting.append(message)
        raise ClientError(self.address, f"no acknowledgement of {kind} within {self._timeout:g} s")

    def send(self, message: dict[str, Any]) -> None:
        """Sends a message as it is. Raises `ClientError` where the connection has ended."""
        try:
            self._socket.send(json.dumps(message))
        except ConnectionClosed as error:
            raise ClientError(self.address, _words(error)) from error

    def close(self) -> None:
        """Leaves; calling it again does nothing."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _connect(self) -> ClientConnection:
        self._open.close()
        try:
            socket = self._open.enter_context(
                connect(
                    self._socket_url, open_timeout=self._timeout, close_timeout=1, compression=None, max_size=MAX_BYTES
                )
            )
            socket.send(json.dumps({"type": "auth", "token": self._token or ""}))
        except (OSError, InvalidHandshake, ConnectionClosed) as error:
            raise ClientError(self.address, f"no connection: {error}") from error
        return socket

    def _connect_again(self) -> None:
        pause = 0.2
        while True:
            time.sleep(pause)
            try:
                self._socket = self._connect()
                break
            except ClientError:
                pause = min(5.0, pause * 2)
        if self._wanted:
            self.command("pictures", **self._wanted)

    def _read(self, timeout_seconds: float | None) -> Message:
        try:
            message = self._socket.recv(timeout_seconds)
        except ConnectionClosed as error:
            raise ClientError(self.address, _words(error)) from error
        return parse_told(message) if isinstance(message, str) else parse_binary(message)


def _task(task: Task | dict[str, Any]) -> dict[str, Any]:
    return TaskPart.of(task).model_dump(mode="json", exclude_none=True) if isinstance(task, Task) else task


def _words(error: ConnectionClosed) -> str:
    end = error.rcvd
    return f"closed by the server: {end.reason or end.code}" if end else "the connection was lost"


__all__ = ["Ack", "Client", "ClientError", "Hello", "Message", "Picture", "Snapshot"]
