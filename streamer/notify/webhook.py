"""Alerts as signed HTTP POSTs. What is sent: `streamer.notify.message`; how it is signed: `streamer.notify.signing`.

Besides the signature, each request carries ``Idempotency-Key`` (the same for all attempts of one notice) and
``X-Streamer-Delivery`` (another for each). Any 2xx is delivered. 408, 409, 425, 429, 5xx and faults of the network are
tried again; every other answer, redirects among them, is lasting.
"""

from __future__ import annotations

import base64
import ssl
import time
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Self
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from streamer.addresses import redact
from streamer.errors import NotifyError, OptionError
from streamer.notify.base import BusyError, Notice
from streamer.notify.message import dedupe_key, message, message_bytes
from streamer.notify.posting import Answer, Poster
from streamer.notify.signing import sign, verify
from streamer.secret import Secret, read_secret

__all__ = ["Webhook", "WebhookOptions", "sign", "verify"]

RETRIED_STATUSES = frozenset((408, 409, 425, 429))
"""Of the 4xx; 409 is what a receiver says that still works on the first attempt with the same key."""
LONGEST_RETRY_AFTER_SECONDS = 3600.0
_EXCERPT = 200
_PATH_LETTERS = "/%:@!$&'()*+,;=~-._?"


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """Where alerts are posted and how."""

    url: str = field(repr=False)
    """``http://`` or ``https://``; may hold ``user:password@``. Never shown beyond its host: paths are secrets too."""
    secret_env: str | None = None
    """Environment variable with the secret that requests are signed with."""
    secret_file: str | None = None
    """File with that secret instead. With neither, requests are not signed."""
    timeout_seconds: float = 10.0
    """For the whole of a request, its answer included."""
    base_url: str | None = None
    """Where receivers reach the page, for the addresses of snapshots and clips."""
    ca_file: str | None = None
    """Certificates in PEM that the receiver's is checked against; the system's by default."""
    allow_private: bool = True
    """Whether the receiver may have an address that is not public, such as 192.168.0.7."""

    def __post_init__(self) -> None:
        _check_url("url", self.url)
        if self.base_url is not None:
            _check_url("base_url", self.base_url)
        if not 0 < self.timeout_seconds <= 300:
            raise OptionError("timeout_seconds", self.timeout_seconds, "a number above 0, at most 300")


class Webhook:
    """A channel that posts to a webhook."""

    def __init__(self, name: str, options: WebhookOptions) -> None:
        """Raises `OptionError` where the secret or the certificates cannot be read."""
        self.name = name
        self._options = options
        self._secret = read_secret("secret", options.secret_env, options.secret_file)
        self._url, self._authorization = _without_user(options.url)
        parts = urlsplit(self._url)
        self._place = f"{parts.scheme}://{parts.netloc}"
        self._hidden = _hidden_words(options.url, self._secret)
        self._poster = Poster(context=_context(options.ca_file), allow_private=options.allow_private)

    def send(self, notice: Notice) -> None:
        body = message_bytes(message(notice, self._options.base_url))
        try:
            answer = self._poster.post(self._url, self._headers(notice, body), body, self._options.timeout_seconds)
        except OSError as error:
            raise NotifyError(self.name, f"{self._place}: {_words(error)}") from None  # a cause would show the path
        self._judge(answer)

    def close(self) -> None:
        self._poster.interrupt()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Webhook({self.name!r}, {self._place!r})"

    def _headers(self, notice: Notice, body: bytes) -> dict[str, str]:
        key = dedupe_key(notice)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "streamer",
            "Idempotency-Key": key,
            "X-Streamer-Delivery": f"{key}:{notice.id}:{notice.attempts + 1}",
        }
        if self._authorization is not None:
            headers["Authorization"] = self._authorization.reveal()
        if self._secret is not None:
            headers["X-Streamer-Signature"] = sign(self._secret.reveal(), int(time.time()), body)
        return headers

    def _judge(self, answer: Answer) -> None:
        status = answer.status
        if 200 <= status < 300:
            return
        reason = f"{self._place} answered {status}{self._excerpt(answer)}"
        wait = _seconds_of(answer.retry_after)
        if status < 200 or status >= 500 or status in RETRIED_STATUSES:
            raise BusyError(self.name, reason, wait) if wait else NotifyError(self.name, reason)
        if status < 400:
            reason += "; redirects are not followed: give the address that it leads to"
        raise NotifyError(self.name, reason, lasting=True)

    def _excerpt(self, answer: Answer) -> str:
        text = " ".join(answer.body[: 4 * _EXCERPT].decode(errors="replace").split())
        for word in self._hidden:
            text = text.replace(word, "***")
        shown = "".join(letter for letter in text if letter.isprintable())[:_EXCERPT]
        return f": {shown}" if shown else ""


def _check_url(option: str, url: str) -> None:
    expected = "an address that begins with http:// or https://"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(letter.isspace() or not letter.isprintable() for letter in url):
        raise OptionError(option, redact(url) if "://" in url else "***", expected)


def _without_user(url: str) -> tuple[str, Secret | None]:
    """The address as it is requested, and the header that takes the place of ``user:password@``."""
    parts = urlsplit(url)
    path = quote(parts.path, safe=_PATH_LETTERS) or "/"
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, quote(parts.query, safe=_PATH_LETTERS), ""))
    if parts.username is None:
        return bare, None
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return bare, Secret("Basic " + base64.b64encode(pair.encode()).decode())


def _hidden_words(url: str, secret: Secret | None) -> list[str]:
    """What a receiver that repeats our request would give away, longest first."""
    parts = urlsplit(url)
    words = [parts.path, parts.query, *parts.path.split("/"), parts.password or "", unquote(parts.password or "")]
    words += [secret.reveal()] if secret else []
    return sorted((word for word in words if len(word) >= 4), key=len, reverse=True)


def _context(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise OptionError("ca_file", ca_file, f"a file of certificates in PEM ({error.strerror or error})") from error


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate cannot be trusted: {error.verify_message}"
    return error.strerror or str(error) or type(error).__name__


def _seconds_of(retry_after: str | None) -> float:
    """Of a Retry-After header, from 0 to an hour; 0 where it says nothing that can be used."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_RETRY_AFTER_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return min(max(moment.timestamp() - time.time(), 0.0), LONGEST_RETRY_AFTER_SECONDS)
    except (ValueError, OverflowError):
        return 0.0
