"""What every channel sends: an alert's document in an envelope that says how to drop doubles and where its media are.

::

    {
      "id": "0192f3…:2",                      the dedupe key: the alert and its revision
      "sent_at": 1764072000.5,                Unix seconds of this attempt
      "alert": {"id": "0192f3…", "type": "update", "revision": 2, …},
      "snapshot_url": "https://cam.example/api/v1/snapshots/0192f3….jpg",
      "clip_url": null
    }

Every message is whole: who gets two of one alert keeps the one of the higher revision. What could not be had stands in
``alert.faults``.
"""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import quote

from streamer.notify.base import Notice


def dedupe_key(notice: Notice) -> str:
    """The same for every attempt and every channel: ``<alert id>:<revision>``."""
    return f"{notice.alert}:{notice.revision}"


def message(notice: Notice, base_url: str | None = None, sent_at: float | None = None) -> dict[str, Any]:
    """``base_url`` is where the page is reached; without it the addresses of media begin with ``/api``."""
    return {
        "id": dedupe_key(notice),
        "sent_at": round(time.time() if sent_at is None else sent_at, 3),
        "alert": notice.document,
        "snapshot_url": _media_url(base_url, "snapshots", notice.document.get("snapshot")),
        "clip_url": _media_url(base_url, "clips", notice.document.get("clip")),
    }


def message_bytes(values: object) -> bytes:
    """JSON in UTF-8. A lone surrogate, which UTF-8 has no room for, stays escaped."""
    try:
        return json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(values).encode()


def _media_url(base_url: str | None, kind: str, name: str | None) -> str | None:
    return None if name is None else f"{(base_url or '').rstrip('/')}/api/v1/{kind}/{quote(name, safe='')}"
