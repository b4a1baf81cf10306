"""The way to a Ray cluster: found within seconds, or said why not."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from streamer.errors import ClusterError, MissingExtraError, OptionError

CONNECT_SECONDS = 5.0
"""For the cluster's port to answer."""
_EXPECTED = "auto, HOST:PORT, ray://HOST:PORT, or local for this machine alone"
_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
"""A frame of HTTP/2 with no settings in it."""
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # a cluster of ours tells nobody about itself
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the way of later versions; unset, Ray warns of it
    "RAY_DEDUP_LOGS": "0",
}


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster."""

    id: str
    name: str
    cpus: float
    gpus: float


def imported() -> ModuleType:
    """The module ray. Raises `MissingExtraError`."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise MissingExtraError("--ray", "ray", "ray") from error


@contextmanager
def connected(address: str) -> Iterator[ModuleType]:
    """The module ray, connected to the cluster at ``address``: ``auto`` (that of this machine), ``host:port``,
    ``ray://host:port``, or ``local``, which starts one on this machine and ends it with the block.

    Where this process is connected already, that connection is used and left. Raises `OptionError` for what is no
    address, `MissingExtraError`, and `ClusterError` where there is no cluster, or one of another version.
    """
    checked_address(address)
    ray = imported()
    if ray.is_initialized():
        yield ray
        return
    place = _place(address)
    if place is not None:
        _check_reachable(address, *place)
    _start(ray, address)
    try:
        yield ray
    finally:
        ray.shutdown()


def checked_address(address: str) -> str:
    """``address`` itself. Raises `OptionError` for what cannot be one."""
    if address not in ("auto", "local"):
        _place(address)
    return address


def _place(address: str) -> tuple[str, int] | None:
    """Host and port; None where there is none to look at."""
    if address in ("auto", "local"):
        return None
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.scheme not in ("", "ray") or parts.path or parts.query or parts.username:
        raise OptionError("--ray", address, _EXPECTED)
    return host, port


def _check_reachable(address: str, host: str, port: int) -> None:
    """Ray itself would go on trying for more than a minute. Its head speaks HTTP/2, which begins with settings."""
    remedy = "is it started, and is that its port? See docs/scaling.md"
    try:
        with closing(socket.create_connection((host, port), CONNECT_SECONDS)) as head:
            if os.environ.get("RAY_USE_TLS", "0") not in ("0", ""):
                return
            head.settimeout(CONNECT_SECONDS)
            head.sendall(_HELLO)
            said = head.recv(9)
    except OSError as error:
        raise ClusterError(address, f"nothing answers there: {error.strerror or error}", remedy) from error
    if said[3:4] != _SETTINGS[3:4]:
        raise ClusterError(address, "what answers there is no head of a Ray cluster", remedy)


def _start(ray: ModuleType, address: str) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        quiet["include_dashboard"] = False
    _silence(ray)
    try:
        with _own_handler():
            ray.init(address, **quiet)
    except Exception as error:  # Ray raises of many kinds, bare ones too
        raise _refused(address, error) from error


@contextmanager
def _own_handler() -> Iterator[None]:
    """What this process does when it is told to end stays its own affair: Ray sets a handler."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)


def _silence(ray: ModuleType) -> None:
    """Ray prints what it hears of dead workers to standard output, whatever it is told about logs; a program may read
    our rows there."""
    worker: Any = getattr(getattr(ray, "_private", None), "worker", None)
    if hasattr(worker, "_worker_logs_enabled"):
        worker._worker_logs_enabled = False


def _refused(address: str, error: Exception) -> ClusterError:
    said = " ".join(str(error).split())
    if "ersion mismatch" in said:
        return ClusterError(address, said, "install the same versions of Python and ray on all machines")
    if "ray[client]" in said:
        return ClusterError(address, "Ray's client is not installed", "pip install 'ray[client]', or use HOST:PORT")
    if address == "auto":
        return ClusterError(address, "no cluster runs on this machine", "start one: ray start --head")
    return ClusterError(address, f"Ray cannot connect: {said[:300]}", "is that the port of Ray's head?")


def nodes(ray: ModuleType) -> list[Node]:
    """Those that are alive."""
    found = []
    for node in ray.nodes():
        if node["Alive"]:
            has = node["Resources"]
            name = node.get("NodeName") or node["NodeManagerHostname"]
            found.append(Node(node["NodeID"], name, has.get("CPU", 0.0), has.get("GPU", 0.0)))
    return found
