"""Which servers are asked, for which model, with which key and how patiently."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from streamer.addresses import redact
from streamer.errors import OptionError
from streamer.secret import Secret, read_secret

KEY_ENV, KEY_FILE_ENV = "STREAMER_MODEL_KEY", "STREAMER_MODEL_KEY_FILE"
LIVE_SECONDS = 10.0
"""The deadline of live frames: an older answer is worth nothing."""


@dataclass(frozen=True, slots=True)
class RemoteOptions:
    """How `RemoteModel` asks."""

    urls: tuple[str, ...]
    """Bases such as ``http://gpu:8000/v1``; `parse_urls` makes them."""
    model: str
    """Its name on the servers."""
    key: Secret | None = None
    """Sent as a bearer token to all of them."""
    deadline_seconds: float = 300.0
    """For one call of `generate`, with its retries."""
    attempt_seconds: float = 120.0
    """For one request to one server; what takes longer is tried again where the deadline allows."""
    attempts: int = 4
    """A request goes to servers so many times at most."""
    at_once: int = 16
    """Requests under way at each server, at most; others wait here."""
    lossless: bool = False
    """Pictures as PNG only: about five times the bytes of camera pictures."""

    def __post_init__(self) -> None:
        for option in ("deadline_seconds", "attempt_seconds"):
            if not 0 < getattr(self, option) <= 86_400:
                raise OptionError(option, getattr(self, option), "seconds above 0, a day at most")
        for option in ("attempts", "at_once"):
            if getattr(self, option) < 1:
                raise OptionError(option, getattr(self, option), "1 or more")
        if not self.model.strip():
            raise OptionError("model", self.model, "the model's name on the server")


def parse_urls(text: str) -> tuple[str, ...]:
    """The servers' bases out of addresses with commas between them; ``/v1`` is added where there is no path.

    Raises `OptionError` for what is no such address; one with a password in it is refused and not shown.

    >>> parse_urls("http://a:8000/v1/, http://b:8000")
    ('http://a:8000/v1', 'http://b:8000/v1')
    """
    urls = [_base(part.strip()) for part in text.split(",") if part.strip()]
    if not urls:
        raise OptionError("--model-url", text, "http://HOST:PORT/v1, or several with commas between them")
    return tuple(dict.fromkeys(urls))


def _base(url: str) -> str:
    from httpx import URL, InvalidURL

    try:
        parts = urlsplit(url)
        _ = parts.port, URL(url)
    except (ValueError, InvalidURL):
        raise OptionError("--model-url", redact(url), "http://HOST:PORT/v1") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or any(char.isspace() for char in url):
        raise OptionError("--model-url", redact(url), "http://HOST:PORT/v1 or https://…")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise OptionError("--model-url", redact(url), f"an address alone; a key belongs into {KEY_ENV}")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or '/v1'}"


def read_key() -> Secret | None:
    """The key out of ``STREAMER_MODEL_KEY``, or out of the file that ``STREAMER_MODEL_KEY_FILE`` names; None where
    neither is set. Raises `OptionError`, without the key."""
    file = os.environ.get(KEY_FILE_ENV)
    key = read_secret("model_key", KEY_ENV if os.environ.get(KEY_ENV) else None, file)
    if key is not None and not (key.reveal().isascii() and key.reveal().isprintable()):
        raise OptionError(KEY_FILE_ENV if file else KEY_ENV, "***", "a key of printable ASCII letters")
    return key
