"""Cursors of pages: where a page ended, in one word that clients hand back as it is."""

from __future__ import annotations

import base64
import json
import math

from streamer.errors import OptionError

_LARGEST_ID = 2**63


def cursor_of(at: float, id: int | str) -> str:
    return base64.urlsafe_b64encode(json.dumps([at, id]).encode()).decode().rstrip("=")


def alert_cursor(text: str | None) -> tuple[float, str] | None:
    """Raises `OptionError` for what `cursor_of` cannot have given."""
    pair = _read(text)
    if pair is None:
        return None
    at, id = pair
    if not isinstance(id, str) or len(id) > 100 or not (id.isascii() and id.isprintable()):
        raise _odd(text)
    return at, id


def result_cursor(text: str | None) -> tuple[float, int] | None:
    """Likewise."""
    pair = _read(text)
    if pair is None:
        return None
    at, id = pair
    if isinstance(id, bool) or not isinstance(id, int) or not 0 <= id < _LARGEST_ID:
        raise _odd(text)
    return at, id


def _read(text: str | None) -> tuple[float, object] | None:
    if text is None:
        return None
    try:
        at, id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        at = float(at)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise _odd(text) from None
    if not math.isfinite(at):
        raise _odd(text)
    return at, id


def _odd(text: object) -> OptionError:
    return OptionError("cursor", text, "one that a page gave as its next")
