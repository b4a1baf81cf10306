"""Connections that ask for nothing are not kept, and there is an end to their number."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 600
"""At once, viewers among them; further ones are closed."""
MAX_OF_ONE = 300
"""Of one address: nobody shuts the server for others alone."""
HEAD_SECONDS = 10.0
"""In which the head of a request has to come whole."""


class PatientProtocol(H11Protocol):
    """uvicorn's protocol, which by itself waits forever for a request's first letter, and for its last."""

    _giving_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        clients = [getattr(one, "client", None) for one in self.connections]
        same = sum(client is not None and self.client is not None and client[0] == self.client[0] for client in clients)
        if len(self.connections) > MAX_CONNECTIONS or same > MAX_OF_ONE:
            transport.abort()
        else:
            self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait(over=True)
        super().connection_lost(exc)

    def _wait(self, *, over: bool = False) -> None:
        """Counts the seconds while no request is being answered; a WebSocket is no longer this protocol's."""
        idle = self in self.connections and (self.cycle is None or self.cycle.response_complete)
        if idle and not over:
            if self._giving_up is None:
                self._giving_up = asyncio.get_running_loop().call_later(HEAD_SECONDS, self.transport.abort)
        elif self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None
