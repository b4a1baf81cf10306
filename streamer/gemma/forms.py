"""Forms of answers that streamer asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CHECK_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"answer": {"enum": ["yes", "no"]}, "reason": {"type": "string", "maxLength": 160}},
    "required": ["answer", "reason"],
    "additionalProperties": False,
}
"""The answer to a yes-or-no question. The answer stands first: it is there even where the reason is cut."""
