"""Moments as people write them: ``2h`` ago, ``today``, a date with or without a time."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from streamer.errors import OptionError

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)(?:\s+ago)?")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_moment(text: str, now: float) -> float:
    """Unix seconds of ``text``: ``90s``, ``10m``, ``2h``, ``7d``, ``2w`` (before ``now``), ``now``, ``today``,
    ``yesterday`` (their midnights), Unix seconds, or ISO 8601 in local time unless it names its zone.

    Raises `OptionError` for anything else.

    >>> parse_moment("2h", 10_000.0)
    2800.0
    """
    words = text.strip().lower()
    if match := _AGO.fullmatch(words):
        return now - float(match[1]) * _SECONDS[match[2]]
    midnight = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)
    named = {"now": now, "today": midnight.timestamp(), "yesterday": (midnight - timedelta(days=1)).timestamp()}
    if words in named:
        return named[words]
    try:
        return float(words) if words.replace(".", "", 1).isdecimal() and len(words) > 8 else _iso(text.strip())
    except (ValueError, OverflowError, OSError):
        raise OptionError("time", text, "2h, 7d, today, 2026-11-25, 2026-11-25T18:30 or Unix seconds") from None


def shown(at: float) -> str:
    """``2026-11-25 18:30:05`` in local time."""
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


def _iso(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
