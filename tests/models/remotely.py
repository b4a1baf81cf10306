"""Requests to a remote model, and the model itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from streamer.models.base import Request
from streamer.models.remote.model import RemoteModel
from streamer.models.remote.options import RemoteOptions
from tests.models.openai_server import OpenAIServer


def ask(seed: int = 1, words: str = "What is this?", pictures: int = 1) -> Request:
    image = np.full((288, 528, 3), seed, np.uint8)
    return Request((image,) * pictures, words, 70, 32)


def options(*servers: OpenAIServer) -> RemoteOptions:
    return RemoteOptions(tuple(server.url for server in servers), "gemma", deadline_seconds=10, attempt_seconds=5)


@contextmanager
def remote(*servers: OpenAIServer, wanted: RemoteOptions | None = None) -> Iterator[RemoteModel]:
    with RemoteModel(wanted or options(*servers)) as model:
        for server in servers:
            server.asked()
        yield model
    assert "remote" not in [thread.name for thread in threading.enumerate()]
