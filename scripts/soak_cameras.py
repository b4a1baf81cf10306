"""The cameras of ``soak.py``, each with the faults that it can have: RTSP servers of their own, and MJPEG and HLS over
HTTP. All on 127.0.0.1 and ended with their block."""

from __future__ import annotations

import io
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

import av
from PIL import Image

from streamer.sources.synthetic import draw

SYSTEM_PYTHON = "/usr/bin/python3"
RTSP_PROGRAM = Path(__file__).resolve().parent.parent / "tests" / "sources" / "rtsp_server.py"
_HAS_GSTREAMER = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"

SIZE = (320, 180)
RATE = 10
HLS_SECONDS = 60
"""After which its pictures and its clock begin again."""
SEGMENT_SECONDS = 2
LISTED = 4
"""Segments in a playlist."""

Mode = Literal["well", "hang", "rubbish", "refuse", "cut"]
"""Answers; takes the request and says nothing more; sends noise; 503; breaks off in the middle."""
MODES: tuple[Mode, ...] = ("hang", "rubbish", "refuse", "cut")


def has_gstreamer() -> bool:
    try:
        subprocess.run([SYSTEM_PYTHON, "-c", _HAS_GSTREAMER], check=True, capture_output=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RtspCamera:
    """An RTSP server in a process of its own that can be killed, frozen, and started again with other pictures."""

    def __init__(self, size: str = "320x180") -> None:
        self.size, self.port = size, free_port()
        self.url = f"rtsp://127.0.0.1:{self.port}/live"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self, size: str | None = None) -> None:
        self.kill()
        self.size = size or self.size
        words = [SYSTEM_PYTHON, str(RTSP_PROGRAM), str(self.port), "pattern", self.size]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def freeze(self) -> None:
        """Its connections stay and nothing comes, and new ones are not answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()  # reaches a frozen one too
            self._process.wait(10)
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process = None

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            os.kill(self._process.pid, number)

    def __enter__(self) -> RtspCamera:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.kill()


class HttpCameras:
    """``/mjpeg``: pictures without end; ``/hls/index.m3u8``: the newest segments of an endless programme."""

    def __init__(self, folder: Path, seed: int = 1) -> None:
        self.modes: dict[str, Mode] = {"mjpeg": "well", "hls": "well"}
        self.parts = [_part(number) for number in range(0, 200, 2)]
        self.segments = make_segments(folder)
        self.noise = random.Random(seed).randbytes(20_000)
        self.stopping = threading.Event()
        self._began = time.monotonic()
        cameras = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                try:
                    cameras.answer(self)
                except OSError:
                    return  # the reader is gone

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="cameras", daemon=True)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        camera, _, name = handler.path.strip("/").partition("/")
        mode = self.modes.get(camera, "refuse")
        if mode == "refuse":
            handler.send_error(503)
        elif mode == "hang":
            self._while("hang", camera)
        elif mode == "cut":
            _send(handler, "video/mp2t", self.noise[:100], length=100_000)
        elif mode == "rubbish":
            _send(handler, "video/mp2t", self.noise)
        elif camera == "mjpeg":
            self._play(handler)
        elif name.endswith(".m3u8"):
            _send(handler, "application/vnd.apple.mpegurl", self.playlist(time.monotonic() - self._began).encode())
        else:
            number = int(name.removesuffix(".ts"))
            _send(handler, "video/mp2t", self.segments[number % len(self.segments)].read_bytes())

    def playlist(self, seconds: float) -> str:
        """The newest segments at so many seconds after the beginning."""
        newest = int(seconds / SEGMENT_SECONDS) + LISTED - 1
        first = newest - LISTED + 1
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{SEGMENT_SECONDS}"]
        lines.append(f"#EXT-X-MEDIA-SEQUENCE:{first}")
        for number in range(first, newest + 1):
            if number % len(self.segments) == 0:
                lines.append("#EXT-X-DISCONTINUITY")
            lines += [f"#EXTINF:{SEGMENT_SECONDS:.3f},", f"{number}.ts"]
        return "\n".join([*lines, ""])

    def _play(self, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        handler.end_headers()
        number = 0
        while not self.stopping.wait(1 / RATE):
            mode = self.modes["mjpeg"]
            if mode in ("refuse", "cut"):
                return
            if mode == "hang":
                self._while("hang", "mjpeg")
            handler.wfile.write(self.noise if mode == "rubbish" else self.parts[number % len(self.parts)])
            number += 1

    def _while(self, mode: Mode, camera: str) -> None:
        while self.modes[camera] == mode and not self.stopping.wait(0.1):
            pass

    def close(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def __enter__(self) -> HttpCameras:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _send(handler: BaseHTTPRequestHandler, kind: str, body: bytes, length: int | None = None) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def _part(number: int) -> bytes:
    data = io.BytesIO()
    Image.fromarray(draw(number, SIZE)).save(data, "JPEG", quality=85)
    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {data.tell()}\r\n\r\n"
    return head.encode() + data.getvalue() + b"\r\n"


def make_segments(folder: Path) -> Sequence[Path]:
    """A programme of `HLS_SECONDS` in segments of MPEG-TS, in order."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {"hls_time": str(SEGMENT_SECONDS), "hls_list_size": "0", "hls_segment_filename": str(folder / "%05d.ts")}
    with av.open(str(folder / "all.m3u8"), "w", format="hls", options=options) as out:
        encode(out, HLS_SECONDS)
    return sorted(folder.glob("*.ts"))


def make_file(path: Path, seconds: int = 20) -> Path:
    with av.open(str(path), "w") as out:
        encode(out, seconds)
    return path


def encode(out: av.container.OutputContainer, seconds: int) -> None:
    """H.264 of drawn pictures, a key picture at the beginning of each segment."""
    stream = out.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "tune": "zerolatency"})
    stream.width, stream.height = SIZE
    stream.pix_fmt, stream.gop_size = "yuv420p", RATE * SEGMENT_SECONDS
    for number in range(seconds * RATE):
        frame = av.VideoFrame.from_ndarray(draw(number, SIZE), format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, RATE)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


@contextmanager
def rtsp_cameras(count: int) -> Iterator[list[RtspCamera]]:
    """None where there is no GStreamer."""
    cameras: list[RtspCamera] = []
    try:
        if count and has_gstreamer():
            cameras += [RtspCamera() for _ in range(count)]
        yield cameras
    finally:
        for camera in cameras:
            camera.kill()
