"""Who is not there, or does not fit, is named within seconds."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from streamer.cluster.connecting import _refused, checked_address
from streamer.cluster.spread import SpreadOptions, parse_models
from streamer.errors import OptionError

SAYS = "import sys; from streamer.cluster.connecting import connected\nwith connected(sys.argv[1]) as ray: pass"


@pytest.mark.parametrize("address", ["", "head", "head:", ":6379", "http://head:6379", "head:6379/x", "ray://a", "[::"])
def test_what_is_no_address_is_said(address: str) -> None:
    with pytest.raises(OptionError, match="expected auto, HOST:PORT"):
        checked_address(address)


@pytest.mark.parametrize("address", ["auto", "local", "head:6379", "10.0.0.1:6379", "ray://head:10001", "[::1]:6379"])
def test_what_is_one_is_taken(address: str) -> None:
    assert checked_address(address) == address


def test_a_missing_package_is_named() -> None:
    """In a process of its own, in which ray cannot be imported."""
    code = "import sys; sys.modules['ray'] = None\n" + SAYS
    done = subprocess.run([sys.executable, "-c", code, "auto"], capture_output=True, text=True, timeout=60)
    assert "MissingExtraError: --ray needs the package ray: pip install 'streamer[ray]'" in done.stderr


@pytest.fixture
def web_server() -> Iterator[str]:
    """Of a web server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(5)


def test_nobody_at_that_port() -> None:
    pytest.importorskip("ray")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        before = time.monotonic()
        done = subprocess.run([sys.executable, "-c", SAYS, address], capture_output=True, text=True, timeout=60)
    assert f"ClusterError: cluster {address}: nothing answers there: Connection refused" in done.stderr
    assert time.monotonic() - before < 15


def test_somebody_else_at_that_port(web_server: str) -> None:
    """Ray itself would try for more than a minute."""
    before = time.monotonic()
    done = subprocess.run([sys.executable, "-c", SAYS, web_server], capture_output=True, text=True, timeout=60)
    assert f"ClusterError: cluster {web_server}: what answers there is no head of a Ray cluster" in done.stderr
    assert time.monotonic() - before < 15


def test_another_version_is_said() -> None:
    error = RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.9.0\n    Python: 3.9.1")
    said = str(_refused("head:6379", error))
    assert said.startswith(
        "cluster head:6379: Version mismatch: The cluster was started with: Ray: 2.9.0 Python: 3.9.1"
    )
    assert "install the same versions" in said


@pytest.mark.parametrize("text", ["", "x", "1,x", "2.5"])
def test_a_number_of_models_that_is_none(text: str) -> None:
    with pytest.raises(OptionError, match="--models"):
        parse_models(text)


@pytest.mark.parametrize(
    "wrong", [{"models": (0, 1)}, {"models": (3, 2)}, {"gpus_per_model": -1}, {"part_seconds": 0}, {"address": "x"}]
)
def test_options_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        SpreadOptions(**{"address": "auto", **wrong})  # type: ignore[arg-type]
