"""An OpenAI-compatible server with faults that can be switched, for tests of whoever asks one."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from PIL import Image

from streamer.gemma.budget import token_count
from tests.models.http_serving import Http, Serving

Body = dict[str, Any]
Say = Callable[[Body], str]


@dataclass
class Abilities:
    """What the server takes, as the several kinds of servers differ."""

    owner: str = "vllm"
    root: str = ""
    budget: bool = True
    default_budget: int = 280
    schema: bool = True
    lists: bool = True
    several: bool = True
    extras: bool = True
    counts: bool = True
    thinks: bool = False


@dataclass
class Fault:
    """What happens to the next requests."""

    kind: str
    """``hang``, ``cut``, ``nonsense``, ``empty``, ``slow``, ``endless``, or a status such as ``500``."""
    times: int = 1_000_000
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "boom"
    health: bool = False
    """The list of models too."""


class OpenAIServer(Serving):
    """On 127.0.0.1 and a free port; a context manager. ``say(body)`` is the answer where no schema is asked for."""

    def __init__(self, say: Say = lambda body: "a street", *, model: str = "gemma", key: str | None = None) -> None:
        super().__init__()
        self.able = Abilities()
        self.say, self.models, self.key = say, [model], key
        self.fault: Fault | None = None
        self.bodies: list[Body] = []
        """Of chat completions, whatever became of them."""
        self.looks = 0
        self.under_way = self.most_under_way = self.gone = 0
        """``gone``: answers that nobody took."""
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"{super().url}/v1"

    def asked(self) -> list[Body]:
        """The bodies since the last call."""
        with self.lock:
            bodies, self.bodies = self.bodies, []
        return bodies

    def take_fault(self, *, health: bool) -> Fault | None:
        with self.lock:
            fault = self.fault
            if fault is None or fault.times < 1 or (health and not fault.health):
                return None
            fault.times -= 1
            return fault


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20
    disable_nagle_algorithm = True
    server: Http

    @property
    def owner(self) -> OpenAIServer:
        owner: OpenAIServer = self.server.owner
        return owner

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.owner.looks += 1
        if self._refused_key() or self._met(self.owner.take_fault(health=True)):
            return
        able = self.owner.able
        rows = [
            {"id": name, "object": "model", "owned_by": able.owner, "root": able.root} for name in self.owner.models
        ]
        self._send(200, {"object": "list", "data": rows})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        owner = self.owner
        with owner.lock:
            owner.bodies.append(body)
            owner.under_way += 1
            owner.most_under_way = max(owner.most_under_way, owner.under_way)
        try:
            if not self._refused_key() and not self._met(owner.take_fault(health=False)):
                self._send(*self._answer(body))
        except OSError:
            owner.gone += 1
            self.close_connection = True
        finally:
            with owner.lock:
                owner.under_way -= 1

    def _refused_key(self) -> bool:
        given = self.headers.get("Authorization", "")
        if self.owner.key is None or given == f"Bearer {self.owner.key}":
            return False
        self._send(401, {"error": {"message": f"{given} is no key of mine"}})
        return True

    def _answer(self, body: Body) -> tuple[int, Body]:
        able = self.owner.able
        if body["model"] not in self.owner.models:
            return 404, {"error": {"message": f"The model `{body['model']}` does not exist."}}
        extras = {"chat_template_kwargs", "mm_processor_kwargs", "top_k", "reasoning_effort"} & body.keys()
        if extras and not able.extras:
            return 400, {"error": {"message": f"Unrecognized request argument supplied: {min(extras)}"}}
        if "mm_processor_kwargs" in body and not able.budget and able.owner == "vllm":
            return 400, {"error": {"message": "Per-request mm_processor_kwargs are disabled by default"}}
        pictures = pictures_of(body)
        if len(pictures) > 1 and not able.several:
            return 400, {"error": {"message": "At most 1 image(s) may be provided in one prompt."}}
        text, finish = self._text(body), "stop"
        if len(text.split()) > body["max_tokens"]:
            text, finish = " ".join(text.split()[: body["max_tokens"]]), "length"
        message: Body = {"role": "assistant", "content": text}
        if able.thinks:
            message["reasoning_content"] = "Let me see."
        answer: Body = {"choices": [{"index": 0, "message": message, "finish_reason": finish}]}
        if able.counts:
            answer["usage"] = {"prompt_tokens": self._cost(body, pictures), "completion_tokens": len(text.split()) + 1}
        return 200, answer

    def _text(self, body: Body) -> str:
        able, form = self.owner.able, body.get("response_format")
        if form is not None and able.schema:
            schema = form["json_schema"]["schema"]
            if schema["type"] == "array" and able.lists:
                return "[]" if "enum" not in schema["items"] else '["yes"]'
            if schema["type"] == "object":
                return '{"answer": "yes"}' if "reason" not in schema["properties"] else '{"answer":"yes","reason":"x"}'
        return self.owner.say(body)

    def _cost(self, body: Body, pictures: list[Image.Image]) -> int:
        able = self.owner.able
        asked = body.get("mm_processor_kwargs", {}).get("max_soft_tokens", able.default_budget)
        budget = asked if able.budget else able.default_budget
        words = sum(len(part.get("text", "").split()) for part in body["messages"][-1]["content"])
        return 8 + words + sum(token_count(one.size, budget) + 2 for one in pictures)

    def _met(self, fault: Fault | None) -> bool:
        """Whether the fault was the answer."""
        owner = self.owner
        match fault.kind if fault else None:
            case None:
                return False
            case "slow":
                owner.over.wait(0.3)
                return False
            case "hang":
                owner.over.wait(20)
                self.close_connection = True
            case "cut":
                self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"choices"')
                self.close_connection = True
            case "nonsense":
                self._raw(200, b"<html>It works!</html>")
            case "empty":
                self._send(200, {"choices": []})
            case "endless":
                self._endless()
            case _:
                assert fault is not None
                self._send(int(fault.kind), {"error": {"message": fault.message}}, fault.headers)
        return True

    def _endless(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while not self.owner.over.is_set():
            self.wfile.write(b"10000\r\n" + b" " * 65_536 + b"\r\n")

    def _send(self, status: int, document: Body, headers: dict[str, str] | None = None) -> None:
        self._raw(status, json.dumps(document).encode(), headers)

    def _raw(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def pictures_of(body: Body) -> list[Image.Image]:
    """The pictures of the last message, decoded: what is no picture fails the test's server."""
    found: list[Image.Image] = []
    for part in body["messages"][-1]["content"]:
        if part["type"] == "image_url":
            coded = part["image_url"]["url"].partition(";base64,")[2]
            picture = Image.open(io.BytesIO(base64.b64decode(coded, validate=True)))
            picture.load()
            found.append(picture)
    return found


def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Waits for it. Raises `AssertionError` where it does not become true."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


OpenAIServer.handler = _Handler
