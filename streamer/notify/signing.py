"""Signatures of webhooks: the receiver can tell that a message is ours, whole, and not an old one sent again.

The header ``X-Streamer-Signature`` is ``t=<unix seconds>,v1=<hex>``, where ``<hex>`` is the HMAC-SHA256 of
``<unix seconds>.<body>`` with the shared secret. In Python, on the receiver's side::

    body = request.get_data()  # the bytes as they came, before any JSON parsing
    if not verify(os.environ["HOOK_SECRET"], request.headers["X-Streamer-Signature"], body):
        abort(401)

and in a shell, with ``t`` and ``v1`` taken from the header::

    printf '%s.%s' "$t" "$body" | openssl dgst -sha256 -hmac "$HOOK_SECRET"     # must show v1
"""

from __future__ import annotations

import hashlib
import hmac
import time

TOLERANCE_SECONDS = 300.0


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """The header's value for a body sent at ``timestamp`` (Unix seconds).

    >>> sign("swordfish", 1764072000, b"{}")
    't=1764072000,v1=c7c21ee80d822a3cb55f75f7e7f673c7e97c11eecd670da731ca2e70065c945f'
    """
    return f"t={timestamp},v1={_digest(secret, str(timestamp), body)}"


def verify(
    secret: str,
    header: str | None,
    body: bytes,
    *,
    tolerance_seconds: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> bool:
    """Whether ``header`` is a signature of ``body`` by ``secret``, not older or newer than the tolerance.

    Compares in constant time and raises nothing, whatever the header is. A header may carry several ``v1``, as while a
    secret is changed; one that fits suffices.
    """
    parts = [part.strip().partition("=") for part in (header or "").split(",")]
    times = [value for key, _, value in parts if key == "t"]
    digests = [value for key, _, value in parts if key == "v1"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) <= 12):
        return False
    expected = _digest(secret, times[0], body).encode()
    fits = [hmac.compare_digest(expected, digest.encode(errors="replace")) for digest in digests]
    moment = time.time() if now is None else now
    return any(fits) and abs(moment - int(times[0])) <= tolerance_seconds


def _digest(secret: str, timestamp: str, body: bytes) -> str:
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
