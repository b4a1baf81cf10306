"""The viewer: a page and a WebSocket on a live job."""

from streamer.server.controls import Admit
from streamer.server.server import Server

__all__ = ["Admit", "Server"]
