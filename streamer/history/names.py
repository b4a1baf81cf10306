"""What pictures and clips are called: names that say their place and lead nowhere else."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import UTC, datetime
from typing import Literal

from streamer.errors import OptionError

Kind = Literal["pictures", "clips"]
ENDINGS: dict[Kind, str] = {"pictures": "jpg", "clips": "mp4"}

_NAME = re.compile(r"(?P<day>\d{8})_(?P<stream>[a-z0-9-]{1,40})_\d{9}_[0-9a-f]{8}\.(?P<ending>jpg|mp4)", re.ASCII)


def new_name(kind: Kind, stream: str, at: float) -> str:
    """For a file of that stream captured at Unix seconds ``at``. Raises `OptionError` for no time.

    ``20250131_gate-5f2b1c_101530250_9ab3c4d2.jpg``: the day, the stream, the time, in UTC; it is one word in an address
    of a page, and cannot name anything outside.
    """
    try:
        moment = datetime.fromtimestamp(at, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise OptionError("at", at, "Unix seconds") from error
    clock = f"{moment:%H%M%S}{moment.microsecond // 1000:03d}"
    day = f"{moment.year:04d}{moment:%m%d}"
    return f"{day}_{stream_key(stream)}_{clock}_{secrets.token_hex(4)}.{ENDINGS[kind]}"


def place(kind: Kind, name: str) -> tuple[str, str, str, str]:
    """Its folders and its name. Raises `OptionError` for what `new_name` cannot have given."""
    parts = _NAME.fullmatch(name)
    if parts is None or parts["ending"] != ENDINGS[kind]:
        raise OptionError(kind.removesuffix("s"), name[:100], "a name that the history has given")
    return kind, parts["day"], parts["stream"], name


def kind_of(name: str) -> Kind:
    """By its ending, which says nothing of the rest."""
    return "clips" if name.endswith(ENDINGS["clips"]) else "pictures"


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def stream_key(stream: str) -> str:
    """Letters, digits and hyphens, another word for every stream whatever it is called.

    >>> stream_key("Front Gate / 2")
    'front-gate-2-6ed1f2'
    """
    slug = re.sub(r"[^a-z0-9]+", "-", stream.lower(), flags=re.ASCII).strip("-")[:24].strip("-")
    digest = hashlib.sha256(stream.encode(errors="surrogatepass")).hexdigest()[:6]
    return f"{slug}-{digest}" if slug else digest
