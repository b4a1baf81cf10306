"""Who may talk to the server."""

from __future__ import annotations

import pytest

from streamer.errors import OptionError
from streamer.server import guard
from streamer.server.guard import host_allowed, is_loopback, origin_allowed, same_token


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("127.0.0.1:8000", True),
        ("localhost:8000", True),
        ("LOCALHOST", True),
        ("[::1]:8000", True),
        ("192.168.1.7:8000", True),
        ("cameras.home:8000", True),
        ("evil.example:8000", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("", False),
        (None, False),
        ("[::1", False),
    ],
)
def test_host_names(header: str | None, allowed: bool) -> None:
    assert host_allowed(header, frozenset({"cameras.home"})) is allowed


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", True),
        ("https://cameras.home", "cameras.home", True),
        ("http://cameras.home", "cameras.home:80", True),
        ("http://127.0.0.1:9000", "127.0.0.1:8000", False),
        ("http://127.0.0.1", "127.0.0.1:8000", False),
        ("http://localhost:8000", "127.0.0.1:8000", False),
        ("http://evil.example", "127.0.0.1:8000", False),
        ("http://127.0.0.1:8000.evil.example", "127.0.0.1:8000", False),
        ("file://127.0.0.1:8000", "127.0.0.1:8000", False),
        ("null", "127.0.0.1:8000", False),
        ("", "127.0.0.1:8000", False),
        ("http://127.0.0.1:8000", None, False),
        ("http://[", "127.0.0.1:8000", False),
    ],
)
def test_origins(origin: str, host: str | None, allowed: bool) -> None:
    assert origin_allowed(origin, host, trusted=True) is allowed


def test_programs_without_origin_are_let_in_where_trusted() -> None:
    assert origin_allowed(None, "127.0.0.1", trusted=True)
    assert not origin_allowed(None, "127.0.0.1", trusted=False)


def test_loopback_addresses() -> None:
    assert [
        host for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost", "0.0.0.0", "10.0.0.1", "") if is_loopback(host)
    ] == [
        "127.0.0.1",
        "127.9.9.9",
        "::1",
        "localhost",
    ]


def test_tokens_of_any_letters_are_compared() -> None:
    assert same_token("gestürzt", "gestürzt")
    assert not same_token("gestürzt", "gesturzt")


@pytest.mark.parametrize(
    ("host", "names", "token", "words"),
    [
        ("0.0.0.0", (), "short", "at least 16 letters"),
        ("127.0.0.1", ("cameras.example.org",), "short", "at least 16 letters"),
        ("127.0.0.1", ("http://x y/",), None, "without http"),
    ],
)
def test_what_is_not_safe_to_serve_is_refused(host: str, names: tuple[str, ...], token: str | None, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        guard.check_access(host, names, token)


def test_a_name_for_others_makes_the_server_one_for_others() -> None:
    assert guard.check_access("127.0.0.1", (), "short")
    assert not guard.check_access("127.0.0.1", ("cameras.example.org",), "a-long-word-of-one's-own")
