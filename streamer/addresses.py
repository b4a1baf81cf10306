"""Addresses of sources as people may see them: without passwords."""

from __future__ import annotations

import re

_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/?#\s]*@")
_SECRET_QUERY = re.compile(
    r"(?P<name>[?&;](?:[^=&\s]*(?:token|key|pass|pwd|secret|auth|sig)[^=&\s]*)=)[^&\s#]+", re.IGNORECASE
)


def redact(address: str) -> str:
    """The address without user, password and secret query values, fit for pages, logs and errors.

    >>> redact("rtsp://admin:hunter2@10.0.0.5/live?token=abc")
    'rtsp://***@10.0.0.5/live?token=***'
    """
    return _SECRET_QUERY.sub(r"\g<name>***", _USERINFO.sub(r"\g<scheme>***@", address))
