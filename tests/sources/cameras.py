"""Real cameras for tests, each on 127.0.0.1 and a free port: RTSP (GStreamer), multipart MJPEG, HLS, and a mute one."""

from __future__ import annotations

import io
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL import Image

from streamer.sources.synthetic import draw

SYSTEM_PYTHON = "/usr/bin/python3"
_HAS_GSTREAMER = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RtspCamera:
    """A real RTSP server in a process of its own. ``what`` is a drawn ball or an MP4 file."""

    def __init__(self, port: int | None = None, what: str = "pattern", size: str = "320x180") -> None:
        self.port = port or free_port()
        self.url = f"rtsp://127.0.0.1:{self.port}/live"
        script = str(Path(__file__).with_name("rtsp_server.py"))
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, script, str(self.port), what, size],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def tell(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> RtspCamera:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()


def need_gstreamer() -> None:
    try:
        subprocess.run([SYSTEM_PYTHON, "-c", _HAS_GSTREAMER], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no RTSP server: the system's Python has no bindings for gst-rtsp-server")


class _Mjpeg(BaseHTTPRequestHandler):
    """``/cam`` endless pictures, ``/denied`` 401, anything else 404."""

    def do_GET(self) -> None:
        if self.path != "/cam":
            self.send_error(401 if self.path == "/denied" else 404)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            for number in range(2000):
                self.wfile.write(_part(number))
                time.sleep(0.05)
        except OSError:
            return  # the reader is gone

    def log_message(self, format: str, *args: object) -> None:
        return


def _part(number: int) -> bytes:
    data = io.BytesIO()
    Image.fromarray(draw(number, (320, 180))).save(data, "JPEG", quality=90)
    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {data.tell()}\r\n\r\n"
    return head.encode() + data.getvalue() + b"\r\n"


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        return


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler] | partial[_Files]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="http-camera", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def mjpeg_camera() -> Iterator[str]:
    """The server's address; the camera is at ``/cam``."""
    with _serving(_Mjpeg) as address:
        yield address


@contextmanager
def file_server(folder: Path) -> Iterator[str]:
    with _serving(partial(_Files, directory=str(folder))) as address:
        yield address


@contextmanager
def mute_camera() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []
        server.settimeout(0.1)
        stop = threading.Event()

        def accept() -> None:
            while not stop.is_set():
                try:
                    held.append(server.accept()[0])
                except TimeoutError:
                    continue

        thread = threading.Thread(target=accept, name="mute-camera", daemon=True)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            stop.set()
            thread.join(10)
            for connection in held:
                connection.close()
