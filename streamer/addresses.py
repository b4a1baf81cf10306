"""Addresses of sources as people may see them: without passwords."""

from __future__ import annotations

import re

_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/?#\s]*@")
_ODD_USERINFO = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)[^/?#\s:\[]*:(?!\d+(?:[/?#]|$))[^\s]*@")
"""With a password that has a ``/``, ``?`` or ``#`` in it: what stands behind the colon is no port."""
_SECRET_PART = re.compile(
    r"(?P<name>(?:password|passwd|loginpas|loginpass|pass|pwd|token|secret)=)[^&\s#/?]*?(?=_[a-z]+=|[&\s#/?]|$)",
    re.IGNORECASE,
)
"""Wherever it stands: some recorders have ``/user=NAME_password=WORD_channel=1`` for a path."""
_SECRET_QUERY = re.compile(
    r"(?P<name>[?&;](?:[^=&\s]*(?:token|key|pass|pwd|secret|auth|sig)[^=&\s]*)=)[^&\s#]+", re.IGNORECASE
)


def redact(address: str) -> str:
    """The address without user, password and secret query values, fit for pages, logs and errors.

    >>> redact("rtsp://admin:hunter2@10.0.0.5/live?token=abc")
    'rtsp://***@10.0.0.5/live?token=***'
    """
    without = _USERINFO.sub(r"\g<scheme>***@", address)
    without = without if without != address else _ODD_USERINFO.sub(r"\g<scheme>***@", address)
    return _SECRET_QUERY.sub(r"\g<name>***", _SECRET_PART.sub(r"\g<name>***", without))
