"""The webhook of ``soak.py``: it takes alerts, and fails, hangs, asks to wait or hangs up as it is told."""

from __future__ import annotations

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Mode = Literal["well", "fail", "hang", "busy", "cut"]
MODES: tuple[Mode, ...] = ("fail", "hang", "busy", "cut")
_STATUS = {"well": 204, "fail": 500, "busy": 429}


class Receiver:
    """On 127.0.0.1 until it is closed."""

    def __init__(self) -> None:
        self.mode: Mode = "well"
        self.counts: Counter[str] = Counter()
        """Requests by what became of them; ``again`` is one that had come before."""
        self._keys: set[str] = set()
        self._closing = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                try:
                    receiver.answer(self)
                except OSError:
                    return  # the sender is gone

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="receiver", daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        mode = self.mode
        self.counts[mode] += 1
        if mode == "cut":
            handler.close_connection = True
            return
        while mode == "hang" and self.mode == "hang" and not self._closing.wait(0.1):
            pass
        handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        key = handler.headers.get("Idempotency-Key", "")
        if mode == "well":
            self.counts["again"] += key in self._keys
            self._keys.add(key)
        handler.send_response(_STATUS.get(mode, 204))
        if mode == "busy":
            handler.send_header("Retry-After", "2")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
