"""How much one client may ask for, and all of them together. Values in, values out: time is an argument."""

from __future__ import annotations

import ipaddress
import threading
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

MAX_CLIENTS = 10_000
"""That are remembered; then the one that was quiet longest is forgotten."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What requests may take."""

    json_bytes: int = 64 * 1024
    """Of a body of JSON."""
    picture_bytes: int = 20 * 2**20
    """Of an uploaded picture."""
    picture_pixels: int = 50_000_000
    body_seconds: float = 30.0
    """In which a body has to have come."""
    rate: float = 50.0
    """Requests a second of one client (a token, or an address without one)."""
    burst: int = 100
    """Requests that may come at once after a pause."""
    at_once: int = 16
    """Requests of one client that are answered at the same time."""
    wrong_tokens: int = 10
    """Of one address in a minute; after them no token of it is looked at for a minute."""
    analyses: int = 4
    """Uploaded pictures at the same time, of all clients."""
    analyze_seconds: float = 60.0
    """After which nobody waits for the model any longer."""
    comparisons: int = 2
    """Comparisons of a live picture at the same time, of all clients."""
    next_picture_seconds: float = 5.0
    """In which the picture for one has to come."""
    exports: int = 4
    """Exports at the same time, of all clients."""
    export_seconds: float = 600.0
    """After which an export is cut off, as for somebody who does not read it."""
    excerpts: int = 2
    """Excerpts that are made or sent at the same time, of all clients."""
    excerpt_results: int = 5000
    """In one excerpt."""
    uploads: int = 2
    """Files that are being handed in at the same time, of all clients."""
    upload_pause_seconds: float = 30.0
    """Without any of its bytes, after which a file that is being handed in is given up."""
    pictures: int = 4
    """Pictures of handed-in files that are decoded at the same time, of all clients."""
    backtests: int = 2
    probes: int = 2
    """Sources looked at at the same time, of all clients."""
    probe_seconds: float = 10.0
    """In which the first picture of one has to come."""
    backtest_seconds: float = 60.0
    """After which a back-test says what it has found so far."""


class Buckets:
    """A bucket of ``burst`` tokens a client, filled at ``rate`` a second; each request takes one."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate, self._burst = rate, burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Client -> tokens at that time."""

    def take(self, client: str, now: float) -> float:
        """Seconds until the request may be made; 0: now, and it is counted."""
        left, since = self._left.pop(client, (float(self._burst), now))
        left = min(float(self._burst), left + max(0.0, now - since) * self._rate)
        wait = 0.0 if left >= 1 else (1 - left) / self._rate
        self._left[client] = (left - 1 if wait == 0 else left, now)
        if len(self._left) > MAX_CLIENTS:
            self._left.popitem(last=False)
        return wait


class Attempts:
    """Wrong tokens by address: more than ``most`` in ``seconds`` shut it out for as long."""

    def __init__(self, most: int, seconds: float = 60.0) -> None:
        self._most, self._seconds = most, seconds
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, address: str, now: float) -> float:
        """Seconds until a token of that address is looked at again; 0: now."""
        wrong = self._wrong.get(address)
        if wrong is None or len(wrong) < self._most:
            return 0.0
        if wrong[-1] - wrong[0] > self._seconds:
            return 0.0
        return max(0.0, wrong[-1] + self._seconds - now)

    def note(self, address: str, now: float) -> None:
        """A token was wrong."""
        wrong = self._wrong.pop(address, None) or deque(maxlen=self._most)
        wrong.append(now)
        self._wrong[address] = wrong
        if len(self._wrong) > MAX_CLIENTS:
            self._wrong.popitem(last=False)


class Slots:
    """So many things at the same time, by key. Used from any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    def take(self, key: str = "") -> bool:
        """False where all are taken; else `release` has to follow."""
        with self._lock:
            if self._taken[key] >= self._most:
                return False
            self._taken[key] += 1
            return True

    def release(self, key: str = "") -> None:
        with self._lock:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]

    @contextmanager
    def taken(self, key: str = "") -> Iterator[bool]:
        """Gives whether there was one, and gives it back at the end."""
        if not self.take(key):
            yield False
            return
        try:
            yield True
        finally:
            self.release(key)


def network(host: str) -> str:
    """What counts as one address: of IPv6 the /64, as one machine has all of it."""
    try:
        address = ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)
