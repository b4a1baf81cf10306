"""What the commands of a page find when `readme_outputs` runs them: a job that ran, one that runs, a broker."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STREAMS = ROOT / "sample_videos" / "streams.toml"
Places = Mapping[str, str]
"""The ports, folders and tokens that a page names -> those that are really used."""


@contextmanager
def nothing(_page: str) -> Iterator[Places]:
    yield {}


@contextmanager
def recorded(_page: str) -> Iterator[Places]:
    """The sample streams with their rules ran for a while, so that there is something to be found again."""
    shutil.rmtree(ROOT / "streamer-data", ignore_errors=True)
    with running("-c", str(STREAMS), port="0"):
        time.sleep(50)
    yield {}


@contextmanager
def watched(_page: str) -> Iterator[Places]:
    """One camera is watched at port 8000, by whoever sits at this machine."""
    port, words = free_port(), ["--loop", "--task", "caption", "--detect", "car,person,dog", "--data", "out/served"]
    with running(str(ROOT / "sample_videos" / "street.mp4"), *words, port=port):
        time.sleep(8)
        yield {"8000": port}


@contextmanager
def served(_page: str) -> Iterator[Places]:
    """The sample streams are served at port 8000, behind a token."""
    port, token = free_port(), "a-long-word-of-your-own"
    with running("-c", str(STREAMS), "--data", "out/served", "--token", token, port=port):
        time.sleep(12)
        yield {"8000": port, "streamer-data": "out/served", "$STREAMER_TOKEN": token}


@contextmanager
def home(page: str) -> Iterator[Places]:
    """A broker, and the sample streams with the channels in the page's TOML."""
    ports = {"8000": free_port(), "1883": free_port()}
    [channels] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    with tempfile.TemporaryDirectory() as folder:
        broker, streams = Path(folder, "mosquitto.conf"), Path(folder, "streams.toml")
        user = "user root\n" if os.geteuid() == 0 else ""  # else the broker becomes one who may not read the folder
        broker.write_text(f"listener {ports['1883']} 127.0.0.1\nallow_anonymous true\npersistence false\n{user}")
        with_rules = STREAMS.read_text().partition("[[streams]]")[1:]
        streams.write_text(channels.replace("1883", ports["1883"]) + "\n" + "".join(with_rules))
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        with ended(subprocess.Popen([program, "-c", str(broker)], stderr=subprocess.DEVNULL)):
            time.sleep(1)
            with running("-c", str(streams), "--data", "out/served", port=ports["8000"]):
                yield ports


@contextmanager
def running(*words: str, port: str) -> Iterator[None]:
    """``streamer watch`` with tiny, until the block ends; the block begins when it answers, if its port is known."""
    command = [sys.executable, "-m", "streamer", "watch", *words, "--model", "tiny", "--port", port]
    with ended(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)):
        for _ in range(0 if port == "0" else 120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        yield


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """SIGTERM instead of SIGINT, which a process that was started in the background does not hear."""
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


SCENES: Mapping[str, Callable[[str], AbstractContextManager[Places]]] = {
    "README.md": recorded,
    "monitor.md": recorded,
    "watch.md": watched,
    "serve.md": served,
    "home-assistant.md": home,
}
"""By the page's name; `nothing` for all others."""
